// The controller's inside: private to scheduler/*.cpp of the controller, which divide it by verbs:
//
//   controller.cpp     turns, timers, the pass, start and restart
//   waiting_slices.cpp jobs that waited before a restart begin to wait again
//   submit.cpp         submissions: parts, checks, acceptance
//   eligibility.cpp    what keeps a waiting job besides resources; ends and what follows from them
//   dag_order.cpp      workflows in the order of the line
//   gang_protocol.cpp  attempts: prepare, launch, stop, release
//   pauses.cpp         gangs that stand still and go on
//   time_slices.cpp    gangs that take turns
//   node_registry.cpp  executors: register, heartbeats, lost nodes, operators' words
//   accounts.cpp       who pays, usage, fair shares
//   act.cpp            cancel, hold, release, requeue, signal
//   arrays.cpp         elements of arrays: in and out of their record, which of them are planned
//   alter.cpp          waiting jobs that ask for something else
//   workflow_turns.cpp categories of workflows, and workflows that are resumed
//   mail.cpp           what users are written
//   queries.cpp        lists, waits, explanations
//   sessions.cpp       people talk with their running jobs
//   follow.cpp         the stream of events
//   services.cpp       services: applied, listed, scaled, rolled back, deleted
//   service_turns.cpp  services: their plan, carried out on jobs
//   routes.cpp         what the balancer is told, and what it confirms
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "scheduler/controller.hpp"
#include "scheduler/dependency_book.hpp"
#include "scheduler/node_watch.hpp"
#include "scheduler/policy/dag_line.hpp"
#include "scheduler/policy/fair_share.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/service_plan.hpp"
#include "scheduler/policy/usage.hpp"

namespace gangway::scheduler {

// Bounds that are nobody's choice but ours.
inline constexpr std::size_t kMaxSubmissionsUnderWay = 256;  // in parts, of all peers
inline constexpr std::size_t kMaxSubmissionsOfPeer = 8;
inline constexpr std::size_t kMaxSubmissionBytes = std::size_t{512} << 20;
inline constexpr std::size_t kMaxKeysInRequest = 100'000;
inline constexpr std::size_t kMaxWaits = 100'000;            // of all peers
inline constexpr std::size_t kMaxSessionsOpen = 1'000;       // with jobs, of all peers
inline constexpr std::size_t kMaxQuestions = 10'000;         // to the store, under way
inline constexpr std::size_t kMaxFollowers = 1'000;          // of all peers
inline constexpr std::uint32_t kMaxEventsOfFollow = 10'000;  // then it has to be asked for again
inline constexpr std::size_t kEventsOfNews = 512;
inline constexpr std::size_t kRecentEvents = 8'192;         // in memory, while somebody follows
inline constexpr std::size_t kMaxListed = 100'000;          // jobs in one answer
inline constexpr std::size_t kMaxListedFromStore = 10'000;  // it is read while all others wait
inline constexpr std::size_t kMaxListedBytes = 32 << 20;
inline constexpr std::size_t kResponseBytes = 1 << 20;   // then another response is begun
inline constexpr std::size_t kFinishedInMemory = 5'000;  // for those who ask right after the end
inline constexpr std::size_t kMaxRememberedKeys = 2'000'000;
inline constexpr std::size_t kMaxKnownJobs = 1'000;
inline constexpr std::size_t kMaxKnownJobBytes = 64 << 10;
inline constexpr std::size_t kMaxKnownRequests = 10'000;

// An operator's or a user's word, as outcomes tell it.
[[nodiscard]] Outcome make_outcome(OutcomeKind kind, std::int32_t exit_code, std::string detail);

// As --dependency is written: "afterok:42:43,after:44+5"; "" if there are none.
[[nodiscard]] std::string render_dependencies(const JobSpec& spec);

// A launch that failed with this code may work later or elsewhere (PROTOCOL.md 6.3).
inline constexpr std::int32_t kTryAgainCode = 75;

struct Controller::Impl {
  Impl(ControllerConfig c,
       Epoch e,
       store::LiveState loaded,
       const UserDirectory& u,
       SecretSource secrets,
       Now at);

  // ---- controller.cpp ----
  enum Token : std::uint64_t { kPassToken = 1, kWatchToken = 2, kAgendaToken = 3, kSliceToken = 4 };
  enum class DueKind : std::uint8_t { Prepare, Eligible, Promise, Wait, Slice, Service };
  struct Due {
    BootTime at;
    DueKind kind = DueKind::Prepare;
    JobKey job;
    std::uint64_t number = 0;  // attempt, ticket, or which queue
    friend auto operator<=>(const Due&, const Due&) = default;
  };

  void begin(Now at) { now = at; }
  [[nodiscard]] Turn finish();  // what the turn has come to
  void start();
  void on_timer(std::uint64_t token);
  void want_pass();
  void run_pass();
  void arm_watch();
  void run_watch();
  void put_on_agenda(Due due);
  void work_off_agenda();

  void reply(io::PeerId to, std::uint32_t stream, wire::Response response);
  void reply_error(io::PeerId to, std::uint32_t stream, const Error& error);
  // Calls `then` with the store's answer; it must not keep references into this turn.
  using HistoryUse = std::function<void(const History&)>;
  [[nodiscard]] Result<void> ask_history(std::vector<store::HistoryQuery> jobs,
                                         std::vector<WorkflowId> workflows,
                                         HistoryUse then);
  [[nodiscard]] Result<void> ask_store(effect::AskHistory question, HistoryUse then);
  void on_history(std::uint64_t ticket, const History& history);

  [[nodiscard]] bool is_operator(const io::LocalUser& user) const;
  [[nodiscard]] bool may_change(const io::LocalUser& user, const Owner& owner) const;
  [[nodiscard]] const Queue* find_queue(const QueueName& name) const;

  // ---- submit.cpp ----
  struct NewMember {
    std::shared_ptr<const JobSpec> spec;
    std::string digest;
    std::string name;  // in the workflow
    std::vector<Need> needs;
    std::uint32_t line = 0;
    bool held = false;
    std::string category;
    bool is_final = false;
  };
  struct Submission {
    io::LocalUser user;
    std::string key;
    std::string full_key;                 // with the user, as it is remembered
    std::optional<std::string> workflow;  // its name
    std::vector<CategoryLimit> limits;
    bool test_only = false;
    std::size_t bytes = 0;
    std::vector<NewMember> jobs;
    std::vector<std::pair<std::string, std::string>> specs;  // digest, bytes: not stored before
    std::unordered_map<std::string, std::shared_ptr<const JobSpec>> specs_made;  // by digest
    bool may_be_known = false;   // the only job is what its bytes say, at any time
    std::string source;          // these bytes
    std::optional<Error> error;  // the first
  };
  // What the last submissions have said, so that the same again is not read and checked again: as
  // long as nodes and accounts are what they were.
  struct KnownSpec {
    std::shared_ptr<const JobSpec> spec;
    std::string digest;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  template <typename Value>
  using ByText = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;
  struct Checked {
    std::uint64_t surroundings = 0;
    std::map<std::uint32_t, ByText<KnownSpec>> jobs;        // by user and bytes
    std::size_t jobs_known = 0;                             // of all users
    std::unordered_map<std::string, Result<void>> can_run;  // by request
  };
  Checked& checked();  // of now
  void on_submit(io::PeerId from,
                 const io::LocalUser& user,
                 std::uint32_t stream,
                 const wire::Submit& part);
  void take_part(Submission& submission, const wire::Submit& part);
  [[nodiscard]] Result<void> add_part(Submission& submission, const wire::Submit& part);
  [[nodiscard]] Result<void> add_job(Submission& submission, const wire::NewJob& job);
  [[nodiscard]] Result<void> fill_defaults(JobSpec& spec, const std::string& user) const;
  [[nodiscard]] Result<void> check_cluster(const JobSpec& spec);
  [[nodiscard]] std::shared_ptr<const JobSpec> intern_spec(Submission& submission,
                                                           JobSpec spec,
                                                           std::string& digest);
  void finish_submission(io::PeerId from, std::uint32_t stream, Submission submission);
  [[nodiscard]] Result<void> check_workflow(const Submission& submission) const;
  // Jobs that are waited for and not in memory.
  using OldJobs = std::map<JobKey, Job>;
  [[nodiscard]] Result<std::vector<JobKey>> unknown_dependencies(const Submission& submission,
                                                                 const OldJobs& old) const;
  [[nodiscard]] Result<void> check_dependencies(const Submission& submission,
                                                const OldJobs& old) const;
  void accept(io::PeerId from,
              std::uint32_t stream,
              const Submission& submission,
              const OldJobs& old);
  [[nodiscard]] bool submit_known(io::PeerId from,
                                  const io::LocalUser& user,
                                  std::uint32_t stream,
                                  std::string_view key,
                                  std::string_view job);
  [[nodiscard]] bool answer_repeated(io::PeerId from,
                                     std::uint32_t stream,
                                     const std::string& full_key);
  void remember(const store::SubmissionRecord& record);
  void sweep_specs();

  // ---- waiting_slices.cpp ----
  struct Beginning {
    std::vector<JobKey> keys;  // in order; empty: there is nothing to do
    std::size_t next = 0;
    OldJobs old;
  };
  // In order. What they depend on and has finished may be forgotten meanwhile: it is in `old`.
  void begin_later(std::vector<JobKey> keys, OldJobs old);
  void on_slice();
  void begin_now(JobKey key);  // if it, or its array, was to begin later

  // ---- eligibility.cpp ----
  struct Keeping {  // what keeps a waiting job
    PendingReason reason = PendingReason::None;
    std::optional<BootTime> back_off_until;
    std::string last_failure;  // of its start, for people; not known any more after our restart
    std::optional<BootTime> look_again;  // on the agenda
    std::optional<Time> turn;            // of a member that stands or stood in line
    bool in_plan = false;
    bool begins_later = false;  // what keeps it has not been looked at yet
    // Of an array: which of its elements the planner has been told of, and the arrays whose
    // elements its own wait for one by one.
    struct Corresponding {
      JobKey on;
      std::optional<Job> ended;  // it, once it has
    };
    IntervalSet fed{};
    std::vector<Corresponding> corresponding{};
  };
  void begin_waiting(JobKey key, const OldJobs& old);
  void note_dependencies(const Job& job, const OldJobs& old);
  // The members of a workflow by name.
  using MemberIndex = std::unordered_map<std::string, std::size_t>;
  [[nodiscard]] const MemberIndex& members_by_name(const Workflow& workflow) const;
  void reconsider(JobKey key);
  [[nodiscard]] PendingReason reason_besides_resources(const Job& job, Keeping& keeping);
  [[nodiscard]] Candidate candidate_of(const Job& job);  // of one that is in `waiting`
  void take_out_of_plan(JobKey key);
  void tell_planner_waits(const Job& job);
  // Ends a job that has no nodes.
  void end_waiting(JobKey key, Outcome outcome);
  void on_job_finished(JobKey key);
  void follow_ends();  // all that follows from jobs that have finished in this turn
  void on_dependency_news(const std::vector<DependencyBook::News>& news);
  void on_never(JobKey waiter, const Condition& never);
  void on_member_finished(const Job& job);
  void forget_old();

  // ---- arrays.cpp ----
  struct Unmet {
    JobKey waiter;
    JobKey on;
    IntervalSet positions;  // of `on`: have not succeeded
  };
  // The array whose record still holds the element; nullptr: none does.
  [[nodiscard]] const Job* find_array_with(JobKey element) const;
  // How an element that has no row (any more) has ended; nullopt: it waits, or is none.
  [[nodiscard]] static std::optional<Outcome> outcome_in_array(const Job& array,
                                                               std::uint32_t index);
  [[nodiscard]] static ConditionState element_state(Until until,
                                                    const Job& array,
                                                    std::uint32_t index);
  // Keys of the elements that have a row, in memory.
  [[nodiscard]] std::vector<JobKey> rows_of_array(JobId array) const;
  const Job& split(JobKey element);
  void set_apart(JobKey element);  // it waits by itself from now on
  [[nodiscard]] bool has_room_for_element(const Job& array) const;
  void feed_arrays();
  [[nodiscard]] std::uint64_t elements_to_feed(const Job& array) const;
  [[nodiscard]] std::optional<std::uint32_t> next_ready(const Job& array,
                                                        const Keeping& keeping,
                                                        std::uint32_t from) const;
  [[nodiscard]] JobKey planned_key(const Job& job) const;  // of an array, its first in the plan
  void take_out_elements(const Job& array, const IntervalSet& positions);
  void drop_elements(JobKey array, const IntervalSet& positions, const Outcome& outcome);
  void on_element_started(const Job& element);
  void on_element_stopped(const Job& element);  // it runs no more: has finished, or waits again
  void on_element_finished(const Job& element);
  void end_array_if_over(JobKey array);
  // These elements have ended, for which those of other arrays may wait, each for its own.
  void on_corresponding(const Job& array, const IntervalSet& positions, bool succeeded);
  void drop_unmet(const Unmet& unmet);
  [[nodiscard]] Result<void> check_corresponding(const JobSpec& spec, const Job& on) const;
  void fill_array_view(const Job& array, wire::ArrayView* out) const;

  // ---- alter.cpp ----
  void on_alter(io::PeerId from,
                const io::LocalUser& user,
                std::uint32_t stream,
                const wire::Alter& request);
  [[nodiscard]] Result<void> alter(JobKey key,
                                   const io::LocalUser& user,
                                   const wire::Alter& request);

  // ---- workflow_turns.cpp ----
  struct Category {
    std::uint32_t max_running = 0;
    std::set<JobKey> taken;    // have a turn: are in the plan, or run
    std::set<JobKey> waiting;  // for one
  };
  using CategoryKey = std::pair<WorkflowId, std::string>;
  [[nodiscard]] Category* find_category(const Job& job);
  // Whether an array is in the plan, or some of its elements are or run.
  [[nodiscard]] bool has_use_of_turn(const Job& job) const;
  [[nodiscard]] bool take_category_turn(const Job& job);
  void give_back_category_turn(const Job& job);
  void on_resume_workflow(io::PeerId from,
                          const io::LocalUser& user,
                          std::uint32_t stream,
                          const wire::ResumeWorkflow& request);
  [[nodiscard]] Result<wire::Submitted> resume_workflow(const io::LocalUser& user,
                                                        const std::string& key,
                                                        const Workflow& workflow,
                                                        const OldJobs& old);

  // ---- mail.cpp ----
  enum class MailAbout : std::uint8_t { Begin, End, Requeue, InvalidDependency };
  void mail(const Job& job, MailAbout about);

  // ---- dag_order.cpp ----
  // Of each member the longest path to its workflow's end, in seconds.
  struct Paths {
    JobId first;
    std::unordered_map<JobId, std::size_t> member;  // its number in the workflow
    std::vector<std::int64_t> to_end;               // by that number
    std::int64_t longest = 0;
  };
  [[nodiscard]] const Paths& paths_of(const Workflow& workflow) const;
  [[nodiscard]] std::optional<DagPosition> dag_position_of(const Job& job) const;
  void stand_in_line(const Job& job);
  void leave_line(JobKey key);
  [[nodiscard]] std::string describe_path(const Job& job) const;

  // ---- gang_protocol.cpp ----
  enum class PartState : std::uint8_t { Asked, Prepared, Launched, Over };
  struct Part {
    NodeName node;
    PartState state = PartState::Asked;
    bool wants_launch = false;  // it is Running by our record and not by the node's
    std::string address;        // where its shepherd listens; empty: not known
    std::uint32_t port = 0;
    bool pause_told = false;  // it has said that the gang's last pause, or its end, is done here
    std::optional<Outcome> outcome;
    std::optional<UsedAmounts> used{};
  };
  struct Gang {
    Attempt attempt = 0;
    bool leased = false;
    std::vector<Part> parts;  // as the allocation's shares
    std::size_t prepared = 0;
    std::size_t over = 0;
    bool stop_at_once = false;
    std::vector<StepRecord> steps;   // as the first node knows them
    std::uint64_t pause_number = 0;  // of the last order to stand still or to go on; 0: none
    bool pause_on = false;
    std::optional<Due> due;  // on the agenda: until then all have to be prepared
  };
  struct PartOf {
    const Job* job = nullptr;
    Gang* gang = nullptr;
    std::size_t index = 0;
    [[nodiscard]] Part& part() const { return gang->parts[index]; }
  };
  Gang& make_gang(const Job& job);
  // The part that a node has of an attempt, if that is the one under way.
  [[nodiscard]] std::optional<PartOf> find_part(const NodeName& node, JobKey key, Attempt attempt);
  bool start_job(Start start);  // false: it waits for another pass
  [[nodiscard]] bool give_devices_to(Allocation& allocation) const;
  void await_preparation(JobKey key, Gang& gang);
  void await_no_more(Gang& gang);
  void send_prepare(const Job& job, Gang& gang, std::size_t index);
  void send_launch(const Job& job, Gang& gang, std::size_t index);
  void send_stop(const Job& job, const Gang& gang, std::size_t index);
  void send_release(const NodeName& node, JobKey key, Attempt attempt);
  void stop_orphan(const NodeName& node, JobKey key, Attempt attempt);
  void on_prepared(const NodeName& node, const wire::Prepared& message);
  void on_step_finished(const NodeName& node, const wire::StepFinished& message);
  void on_refused(const NodeName& node, const wire::OrderRefused& message);
  void on_prepare_due(JobKey key, Attempt attempt);
  void launch(JobKey key);
  void launch_late(const Job& job, Gang& gang);
  void part_over(JobKey key, std::size_t index, Outcome outcome);
  [[nodiscard]] std::optional<Outcome> deciding_outcome(const Job& job,
                                                        const Gang& gang,
                                                        std::size_t newest) const;
  [[nodiscard]] bool is_to_be_requeued(const Job& job, const Outcome& outcome) const;
  void end_attempt(
      JobKey key, Outcome outcome, bool again, bool at_once = false, bool retry = false);
  [[nodiscard]] bool is_to_be_retried(const Job& job, const Outcome& outcome) const;
  void settle_if_cleaned(JobKey key);
  void wake_at(std::optional<Time> wake);
  void tell_planner_of_claims();
  [[nodiscard]] Time expected_end(const Job& job) const;

  // ---- pauses.cpp ----
  void suspend(JobKey key, bool by_operator);
  void resume(JobKey key);
  void order_pause(const Job& job, bool on);
  void recall_pause(const Job& job, Gang& gang);
  void send_pause(JobKey key, const Gang& gang, std::size_t index);
  void order_pause_again(JobKey key, Gang& gang, std::size_t index);
  void on_paused(const NodeName& node, const wire::Paused& message);
  [[nodiscard]] bool is_quiet(JobKey key) const;
  [[nodiscard]] Result<void> suspend_by_hand(const Job& job);
  [[nodiscard]] Result<void> resume_by_hand(const Job& job);

  // ---- time_slices.cpp ----
  struct Slicer {  // of a queue
    QueueName queue;
    Duration slice;
    JobKey leader;                       // its row has the slice
    std::optional<BootTime> full_since;  // all who are to run in it do
    std::optional<Due> due;              // its end, on the agenda
    bool touched = false;
  };
  void make_slicers();
  [[nodiscard]] Slicer* find_slicer(const Job& job);
  void touch_slices(const Job& job);
  void tell_planner_started(const Job& job, const Allocation& held);
  void tell_planner_started(const Job& job);
  void tell_planner_ended(JobKey key);
  [[nodiscard]] bool is_willing(JobKey key) const;
  [[nodiscard]] std::optional<std::size_t> row_in_turn(const Slicer& slicer,
                                                       const SliceMatrix& matrix) const;
  void settle_slices();
  void settle_slice(std::size_t number);
  void begin_slice(Slicer& slicer, JobKey leader);
  void put_off(Slicer& slicer);
  void on_slice_due(std::size_t number);
  [[nodiscard]] std::string describe_turn(const Job& job);

  // ---- node_registry.cpp ----
  struct Link {
    std::optional<io::PeerId> peer;
    bool registered = false;                       // on this connection
    std::int64_t usable_cores = 0;                 // as the planner was told
    std::set<JobKey> gangs;                        // with a part here that is not over
    std::set<std::pair<JobKey, Attempt>> orphans;  // held by the node, unknown to us; being stopped
  };
  void on_node_message(io::PeerId from, const wire::FromNode& message);
  void on_node_connected(io::PeerId peer, const NodeName& node);
  void on_node_closed(io::PeerId peer);
  void on_register(io::PeerId from, const NodeName& name, const wire::Register& message);
  void reconcile(const NodeName& node, const wire::Register& message);
  void on_heartbeat(io::PeerId from, const NodeName& node, const wire::Heartbeat& message);
  void set_contact(const NodeName& name, Contact contact);
  void on_lost(const NodeName& name);
  void end_parts_on(const NodeName& node, std::string_view why, bool also_unleased);
  void tell_planner_of(const NodeName& name);
  void send_node(const NodeName& node, wire::ToNode message);
  void on_node_command(io::PeerId from,
                       const io::LocalUser& user,
                       std::uint32_t stream,
                       const wire::NodeCommand& command);

  // ---- accounts.cpp ----
  [[nodiscard]] bool has_accounts() const;
  [[nodiscard]] std::vector<std::string> accounts_of(const std::string& user) const;
  [[nodiscard]] Result<void> fill_account(JobSpec& spec, const std::string& user) const;
  [[nodiscard]] Result<void> check_qos(const JobSpec& spec) const;
  [[nodiscard]] double qos_factor(const JobSpec& spec) const;
  [[nodiscard]] AssociationKey payer_of(const Job& job) const;
  [[nodiscard]] UserNumber payer_number_if(const Job& job) const;  // of a job not submitted yet
  [[nodiscard]] UserNumber payer_number(const Job& job);           // makes who is not there yet
  [[nodiscard]] UserNumber number_of(const AssociationKey& key);
  void load_usage();
  void begin_charging(const Job& job, Time since);
  void charge_runs();
  [[nodiscard]] std::vector<ShareRow> shares() const;
  void renew_fair_shares();
  void on_list_shares(io::PeerId from, std::uint32_t stream);
  void on_account_command(io::PeerId from,
                          const io::LocalUser& user,
                          std::uint32_t stream,
                          const wire::AccountCommand& command);
  [[nodiscard]] Result<void> change_accounts(const wire::AccountCommand& command);
  [[nodiscard]] Result<void> check_parent(const AccountName& account,
                                          const AccountName& parent) const;
  [[nodiscard]] int depth_below(const AccountName& account) const;
  [[nodiscard]] Result<void> remove_account(const AssociationKey& key);

  // ---- act.cpp ----
  void on_act(io::PeerId from,
              const io::LocalUser& user,
              std::uint32_t stream,
              const wire::Act& act);
  [[nodiscard]] Result<void> act_on(JobKey key, const io::LocalUser& user, const wire::Act& act);
  [[nodiscard]] Result<void> act_on_array(const Job& array,
                                          const io::LocalUser& user,
                                          const wire::Act& act);
  [[nodiscard]] Result<void> act_on_elements(JobId id,
                                             const IndexList& indexes,
                                             const io::LocalUser& user,
                                             const wire::Act& act);
  [[nodiscard]] Result<void> cancel(const Job& job, const std::string& by);
  [[nodiscard]] Result<void> hold(const Job& job, bool by_operator);
  [[nodiscard]] Result<void> release(const Job& job, bool as_operator);
  [[nodiscard]] Result<void> requeue(const Job& job, const std::string& by);
  [[nodiscard]] Result<void> signal(const Job& job, std::uint32_t number);
  // The jobs of a request, those of its workflows included; unknown ones too.
  template <typename Request>
  [[nodiscard]] Result<std::vector<JobKey>> jobs_of(const Request& request) const;

  // ---- explain.cpp ----
  void on_explain(io::PeerId from, std::uint32_t stream, const wire::Explain& request);
  void explain_waiting(const Job& job,
                       std::vector<std::string>& lines,
                       wire::Explained& explained) const;
  [[nodiscard]] std::string describe_condition(const Condition& condition) const;
  void foresee(const Submission& submission, wire::Submitted& answer) const;

  // ---- queries.cpp ----
  struct Wait {
    io::PeerId peer;
    std::uint32_t stream = 0;
    std::vector<JobKey> keys;
    std::map<JobKey, Job> old;  // those that had been forgotten
    std::size_t open = 0;
    std::optional<Due> due{};  // on the agenda
  };
  void on_list_jobs(io::PeerId from, std::uint32_t stream, const wire::ListJobs& request);
  void on_list_workflows(io::PeerId from, std::uint32_t stream, const wire::ListWorkflows& request);
  void on_list_nodes(io::PeerId from, std::uint32_t stream, const wire::ListNodes& request);
  void fill_view(const Node& node, wire::NodeView* out);
  void on_wait_for(io::PeerId from,
                   std::uint32_t stream,
                   const wire::WaitFor& request,
                   std::uint32_t deadline_ms);
  void begin_wait(io::PeerId from,
                  std::uint32_t stream,
                  std::vector<JobKey> keys,
                  OldJobs old,
                  std::uint32_t deadline_ms);
  void answer_wait(std::uint64_t ticket);
  void answer_waits_on(JobKey key);  // it has ended
  void drop_wait(std::uint64_t ticket);
  void on_wait_due(std::uint64_t ticket);
  void on_ping(io::PeerId from, std::uint32_t stream);
  // What the store has to be asked for; none of the lists: everything.
  [[nodiscard]] static std::vector<store::HistoryQuery> history_queries(
      const std::vector<JobKey>& keys,
      const std::vector<WorkflowId>& workflows,
      const std::vector<std::string>& users,
      std::size_t limit,
      bool only_whole = false);
  void send_jobs(io::PeerId to,
                 std::uint32_t stream,
                 const std::vector<const Job*>& jobs,
                 std::size_t limit,
                 bool is_cut = false);
  void fill_view(const Job& job, wire::JobView* out) const;

  // ---- sessions.cpp ----
  struct Session {
    io::PeerId peer;
    std::uint32_t stream = 0;
    JobKey job;
    Attempt attempt = 0;  // 0: the job does not run yet
    NodeName node{};
  };
  void on_open_session(io::PeerId from,
                       const io::LocalUser& user,
                       std::uint32_t stream,
                       const wire::OpenSession& request);
  void on_to_session(io::PeerId from, std::uint32_t stream, const wire::Request& request);
  void on_from_session(const NodeName& node, const wire::NodeSession& message);
  void open_sessions_with(JobKey key);
  void close_session(std::uint64_t id, bool tell_node);
  void close_sessions_with(JobKey key);
  void close_sessions_on(const NodeName& node);
  void close_sessions_of(io::PeerId peer);

  void on_client_request(io::PeerId from,
                         const io::LocalUser& user,
                         std::uint32_t stream,
                         const wire::Request& request);
  void on_client_closed(io::PeerId peer);

  // ---- follow.cpp ----
  struct Follower {
    io::PeerId peer;
    std::uint32_t stream = 0;
    bool is_operator = false;
    std::string user;
    std::uint64_t next = 0;    // seq
    std::uint32_t credit = 0;  // events still to be sent
    bool with_views = false;
    bool reads_store = false;
  };
  // What events are about, to be shown to who follows with views.
  struct Shown {
    std::set<JobKey> jobs;
    std::set<NodeName> nodes;
    void add(const Event& event);
  };
  void add_views(const Follower& follower, const Shown& shown, wire::Response& response);
  void on_follow(io::PeerId from,
                 const io::LocalUser& user,
                 std::uint32_t stream,
                 const wire::Follow& request);
  void tell_followers();
  // False: it is over.
  [[nodiscard]] bool tell(std::uint64_t ticket, Follower& follower);
  template <typename Events>
  [[nodiscard]] bool send_news(Follower& follower, const Events& events, std::size_t first);
  void on_old_events(std::uint64_t ticket, const History& history);

  // ---- services.cpp ----
  struct NewService {
    ServiceSpec spec;
    JobSpec job;
  };
  // What one request asks for, checked whole; the endpoints and rules as the services are to have
  // them.
  struct NewServices {
    std::vector<NewService> services;
    std::map<ServiceKey, service_event::EndpointsSet> endpoints;
  };
  void on_submit_services(io::PeerId from,
                          const io::LocalUser& user,
                          std::uint32_t stream,
                          const wire::SubmitServices& request);
  [[nodiscard]] Result<NewServices> read_services(const io::LocalUser& user,
                                                  const wire::SubmitServices& request);
  [[nodiscard]] Result<NewService> read_service(const io::LocalUser& user,
                                                const wire::NewService& message);
  [[nodiscard]] Result<void> check_service_needs(std::uint32_t uid, const NewServices& fresh) const;
  [[nodiscard]] Result<void> place_endpoints(std::uint32_t uid,
                                             const wire::SubmitServices& request,
                                             NewServices& fresh) const;
  [[nodiscard]] Result<void> place_rules(std::uint32_t uid,
                                         const wire::SubmitServices& request,
                                         NewServices& fresh) const;
  [[nodiscard]] Result<void> give_listen_ports(std::uint32_t uid, NewServices& fresh) const;
  [[nodiscard]] service_event::EndpointsSet& endpoints_of(NewServices& fresh,
                                                          const ServiceKey& key) const;
  void on_list_services(io::PeerId from,
                        const io::LocalUser& user,
                        std::uint32_t stream,
                        const wire::ListServices& request);
  void on_service_command(io::PeerId from,
                          const io::LocalUser& user,
                          std::uint32_t stream,
                          const wire::ServiceCommand& command);
  [[nodiscard]] Result<void> command_service(const Service& service,
                                             const wire::ServiceCommand& command,
                                             const std::string& by);
  [[nodiscard]] Result<const Service*> find_service_named(const io::LocalUser& user,
                                                          const std::string& owner,
                                                          const std::string& name) const;
  void fill_view(const Service& service, bool with_secrets, wire::ServiceView* out) const;

  // ---- service_turns.cpp ----
  struct ReplicaOf {
    ServiceKey service;
    std::int64_t number = 0;
  };
  [[nodiscard]] OfferedPorts ports_of_services() const;
  void offer_ports(OfferedPorts ports);
  [[nodiscard]] Resources capacity_of(const Node& node) const;  // with the ports that it has
  void start_services();
  void settle_services();
  void note_replica(JobKey key);
  void set_phase(const ServiceKey& key, std::int64_t number, ReplicaPhase phase);
  void plan_of(const ServiceKey& key);
  void carry_out(const ServiceKey& key, const ServiceStep& step);
  void start_replica(const Service& service, const ServiceStep& step);
  void end_replica(const ServiceKey& key, std::int64_t number, bool only_waiting);
  [[nodiscard]] bool may_begin(const Service& service) const;
  void look_at_dependents(const ServiceKey& key);
  void look_at_services_on(const NodeName& node);
  void look_at_service_at(const ServiceKey& key, std::optional<Time> at);
  void on_services_due();
  void fill_replica_order(const Job& job, wire::Prepare* out) const;
  void on_replica_health(const NodeName& node, const wire::ReplicaHealth& message);

  // ---- routes.cpp ----
  void on_subscribe_routes(io::PeerId from, const io::LocalUser& user, std::uint32_t stream);
  void on_confirm_routes(io::PeerId from,
                         const io::LocalUser& user,
                         std::uint32_t stream,
                         const wire::ConfirmRoutes& message);
  void add_routes(const Service& service, wire::RoutesChanged& out) const;
  [[nodiscard]] bool is_routed(const Service& service, const ServiceReplica& replica) const;
  void begin_draining(const ServiceKey& key, std::int64_t number);
  void end_late_drains(const ServiceKey& key);
  void tell_routes();

  // ---- state ----
  ControllerConfig config;
  Epoch epoch;
  ClusterState state;
  const UserDirectory& users;
  SecretSource make_secret;
  Planner planner;
  DependencyBook book;
  DagLine dag_line;
  NodeWatch watch;

  Now now;
  Turn turn;  // under way

  std::set<Due> agenda;
  std::optional<BootTime> agenda_armed;
  std::optional<BootTime> watch_armed;
  bool watch_put_off = false;  // because we ourselves had been stopped
  bool pass_wanted = false;
  std::optional<BootTime> pass_armed;
  BootTime next_pass;              // not before
  std::optional<Promise> promise;  // of the last pass
  std::optional<Due> promise_due;
  std::set<JobKey> gangs_with_changed_claims;
  std::set<JobKey> arrays_in_plan;
  std::map<JobId, std::uint32_t> running_elements;          // of arrays of which some run
  std::map<JobId, std::set<JobKey>> corresponding_waiters;  // arrays, by the one they wait for
  std::int64_t usable_cores = 0;
  std::int64_t cores_given = 0;
  std::map<CategoryKey, Category> categories;

  UsageBook usage;
  std::map<AssociationKey, UserNumber> user_numbers;
  std::vector<AssociationKey> numbered_users;  // by number; removed ones too
  delta::FairSharesAre told_shares;            // to the planner
  BootTime next_shares;                        // not before
  bool pass_cut_short = false;

  std::map<JobKey, Keeping> waiting;
  std::map<JobKey, Gang> gangs;
  std::vector<Slicer> slicers;
  std::map<NodeName, Link> links;
  std::map<io::PeerId, NodeName> node_of_peer;

  // What has ended in this turn and what follows from it is not yet done: jobs; elements that never
  // were jobs and are waited for by name; and elements of arrays that others wait for one by one.
  std::deque<JobKey> just_finished;
  std::deque<std::pair<JobKey, Outcome>> just_dropped;
  std::deque<Unmet> just_unmet;
  std::deque<JobKey> finished;  // oldest first; of no unfinished workflow
  std::size_t unfinished_jobs = 0;
  Beginning beginning;  // until it is over nothing is planned
  std::map<WorkflowId, std::size_t> open_members;
  std::deque<WorkflowId> finished_workflows;
  // What can be had from the workflows again, and is only looked up.
  mutable std::pair<WorkflowId, MemberIndex> member_index;  // of the workflow asked for last
  mutable std::map<WorkflowId, Paths> paths;                // of unfinished ones

  std::map<std::pair<io::PeerId, std::uint32_t>, Submission> submissions;
  struct Answer {  // a submission's ids come one after the other
    JobId first;
    std::uint32_t count = 0;
    WorkflowId workflow;  // 0: none
  };
  std::unordered_map<std::string, Answer> remembered;
  std::deque<std::pair<Time, const std::string*>> remembered_order;  // keys of `remembered`
  std::unordered_map<std::string, std::weak_ptr<const JobSpec>> specs;
  std::size_t specs_swept_at = 1024;
  Checked checked_before;

  std::uint64_t next_session = 1;
  std::map<std::uint64_t, Session> sessions;
  std::map<std::pair<io::PeerId, std::uint32_t>, std::uint64_t> session_of;

  OfferedPorts ports_offered;             // as the planner was told
  std::map<JobId, ReplicaOf> replica_of;  // of replicas that are not forgotten
  std::set<ServiceKey> services_to_plan;
  std::set<ServiceKey> settled_services;
  std::map<ServiceKey, BootTime> services_due;
  std::optional<Due> service_due;  // on the agenda: the first of these
  bool routes_touched = false;
  std::string routes_told;  // the last table, as its bytes
  wire::RoutesChanged routes;
  std::set<std::pair<io::PeerId, std::uint32_t>> route_subscribers;

  std::uint64_t requests = 0;  // since our start
  std::map<std::uint64_t, Follower> followers;
  std::deque<Event> recent;          // the last ones without a gap, while somebody follows
  std::set<NodeName> nodes_changed;  // in this turn: their contact, or what runs there

  std::uint64_t next_ticket = 1;
  std::map<std::uint64_t, HistoryUse> questions;
  std::map<std::uint64_t, Wait> waits;
  std::unordered_map<JobKey, std::vector<std::uint64_t>> waits_on;
  std::map<io::PeerId, std::set<std::uint64_t>> waits_of_peer;
};

}  // namespace gangway::scheduler
