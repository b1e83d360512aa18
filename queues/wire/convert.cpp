#include "queues/wire/convert.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>
#include <string>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/model/constraint.hpp"
#include "queues/model/devices.hpp"
#include "queues/model/service_ports.hpp"

namespace gangway::wire {
namespace {
using gangway::Result;

gangway::Error corrupt(std::string message) { return {ErrorKind::Corrupt, std::move(message)}; }

std::string place(std::string_view list, int index) { return cat(list, '[', index, ']'); }

// `value` as an enumerator of E, whose last one is `last`.
template <typename E>
Result<E> to_enum(std::uint32_t value, E last, std::string_view field) {
  if (value > static_cast<std::uint32_t>(last)) {
    return corrupt(cat(field, ": unknown value ", value));
  }
  return static_cast<E>(value);
}

template <typename E>
std::uint32_t from_enum(E value) {
  return static_cast<std::uint32_t>(value);
}

Result<void> check_range(std::int64_t value,
                         std::int64_t low,
                         std::int64_t high,
                         std::string_view field) {
  if (value < low || value > high) {
    return corrupt(cat(field, ": ", value, " is not between ", low, " and ", high));
  }
  return {};
}

Result<gangway::Duration> to_duration(std::int64_t ns, std::string_view field) {
  GANGWAY_TRY(check_range(ns, 0, kMaxDuration.ns, field));
  return gangway::Duration{ns};
}

Result<gangway::Time> to_time(std::int64_t ns, std::string_view field) {
  GANGWAY_TRY(check_range(ns, 0, kMaxDuration.ns, field));
  return gangway::Time{ns};
}

Result<std::optional<gangway::Time>> to_optional_time(bool present,
                                                      std::int64_t ns,
                                                      std::string_view field) {
  if (!present) return std::optional<gangway::Time>{};
  GANGWAY_ASSIGN(const auto time, to_time(ns, field));
  return std::optional(time);
}

template <typename List>
void put_named(const std::vector<std::pair<std::string, std::int64_t>>& named, List* out) {
  for (const auto& [name, amount] : named) {
    auto* entry = out->Add();
    entry->set_name(name);
    entry->set_amount(amount);
  }
}

// The bound comes first: inserting a stranger's endless unsorted list would be quadratic.
template <typename List>
Result<void> get_named(const List& list, std::string_view field, gangway::Resources& out) {
  if (list.size() > static_cast<int>(kMaxNamedResources)) {
    return corrupt(cat(field, ": ", list.size(), " entries"));
  }
  for (int i = 0; i < list.size(); ++i) {
    const auto& entry = list.Get(i);
    if (entry.name().empty()) return corrupt(cat(place(field, i), ".name: empty"));
    if (out.amount_of(entry.name()) != 0) return corrupt(cat(place(field, i), ".name: twice"));
    GANGWAY_TRY_CONTEXT(check_range(entry.amount(), 1, kMaxNamedAmount, "amount"), place(field, i));
    out.set_named(entry.name(), entry.amount());
  }
  return {};
}

template <typename List>
Result<std::vector<NodeName>> get_node_names(const List& list, std::string_view field) {
  if (list.size() > kMaxNodesPerJob) return corrupt(cat(field, ": ", list.size(), " entries"));
  std::vector<NodeName> names;
  names.reserve(static_cast<std::size_t>(list.size()));
  for (const auto& name : list) names.emplace_back(name);
  return names;
}

void put_component(const gangway::Component& c, Component* out) {
  out->set_nodes(c.nodes);
  out->set_tasks(c.tasks);
  out->set_cpus_per_task(c.cpus_per_task);
  out->set_cores_per_node(c.cores_per_node);
  out->set_memory_per_node_bytes(c.memory_per_node.value);
  put_named(c.named_per_node.named, out->mutable_named_per_node());
  out->set_exclusive(c.exclusive);
  for (const auto& name : c.only_nodes) out->add_only_nodes(name.value);
  for (const auto& name : c.not_nodes) out->add_not_nodes(name.value);
  out->set_constraint(c.constraint);
}

Result<gangway::Component> get_component(const Component& m) {
  gangway::Component c;
  GANGWAY_TRY(check_range(m.nodes(), 1, kMaxNodesPerJob, "nodes"));
  GANGWAY_TRY(check_range(m.tasks(), 1, kMaxTasksPerJob, "tasks"));
  GANGWAY_TRY(check_range(m.cpus_per_task(), 1, kMaxCpusPerTask, "cpus_per_task"));
  GANGWAY_TRY(check_range(m.cores_per_node(), 0, kMaxCpusPerTask, "cores_per_node"));
  GANGWAY_TRY(
      check_range(m.memory_per_node_bytes(), 0, kMaxMemoryPerNode.value, "memory_per_node_bytes"));
  c.nodes = m.nodes();
  c.tasks = m.tasks();
  c.cpus_per_task = m.cpus_per_task();
  c.cores_per_node = m.cores_per_node();
  c.memory_per_node = Bytes{m.memory_per_node_bytes()};
  GANGWAY_TRY(get_named(m.named_per_node(), "named_per_node", c.named_per_node));
  c.exclusive = m.exclusive();
  GANGWAY_ASSIGN(c.only_nodes, get_node_names(m.only_nodes(), "only_nodes"));
  GANGWAY_ASSIGN(c.not_nodes, get_node_names(m.not_nodes(), "not_nodes"));
  if (m.constraint().size() > kMaxConstraintBytes) {
    return corrupt(cat("constraint: ", m.constraint().size(), " bytes"));
  }
  c.constraint = m.constraint();
  return c;
}

// Also bounds the sums, so that nobody's total overflows.
Result<std::vector<gangway::Component>> get_components(const JobSpec& m) {
  if (m.components().empty()) return corrupt("components: none");
  std::vector<gangway::Component> components;
  std::int64_t nodes = 0;
  std::int64_t tasks = 0;
  for (int i = 0; i < m.components_size(); ++i) {
    auto component = get_component(m.components(i));
    if (!component) return component.error().with_context(place("components", i));
    nodes += component->nodes;
    tasks += component->tasks;
    GANGWAY_TRY(check_range(nodes, 1, kMaxNodesPerJob, "nodes in all"));
    GANGWAY_TRY(check_range(tasks, 1, kMaxTasksPerJob, "tasks in all"));
    components.push_back(*std::move(component));
  }
  return components;
}

template <typename List>
std::vector<std::string> get_strings(const List& list) {
  return {list.begin(), list.end()};
}

Result<std::optional<ImageSpec>> get_image(const JobSpec& m) {
  if (!m.has_image()) return std::optional<ImageSpec>{};
  ImageSpec image;
  GANGWAY_ASSIGN(image.kind, to_enum(m.image().kind(), ImageKind::DockerArchive, "image.kind"));
  image.path = m.image().path();
  image.reference = m.image().reference();
  image.manifest_digest = m.image().manifest_digest();
  return std::optional(std::move(image));
}

gangway::Membership get_membership(const Membership& m) {
  return {.workflow = WorkflowId{m.workflow()}, .member = m.member()};
}

Result<std::vector<gangway::WorkflowMember>> get_members(
    const google::protobuf::RepeatedPtrField<WorkflowMember>& list) {
  std::vector<gangway::WorkflowMember> members;
  members.reserve(static_cast<std::size_t>(list.size()));
  for (int i = 0; i < list.size(); ++i) {
    auto member = from_wire(list.Get(i));
    if (!member) return member.error().with_context(place("members", i));
    members.push_back(*std::move(member));
  }
  return members;
}
}  // namespace

Result<std::vector<std::string>> features_from_wire(
    const google::protobuf::RepeatedPtrField<std::string>& list) {
  if (list.size() > static_cast<int>(kMaxFeaturesOfNode)) {
    return corrupt(cat("features: ", list.size(), " entries"));
  }
  std::vector<std::string> features(list.begin(), list.end());
  for (const auto& name : features) {
    if (!is_feature_name(name)) return corrupt("features: no name of one");
  }
  return sorted_features(std::move(features));
}

// ---- values ------------------------------------------------------------------------------------

void to_wire(gangway::JobKey key, JobKey* out) {
  out->set_job(key.job.value);
  out->set_index(key.index);
}

gangway::JobKey from_wire(const JobKey& m) { return {.job = JobId{m.job()}, .index = m.index()}; }

void to_wire(const gangway::Resources& r, Resources* out) {
  out->Clear();
  out->set_cores(r.cores);
  out->set_memory_bytes(r.memory.value);
  put_named(r.named, out->mutable_named());
}

Result<gangway::Resources> from_wire(const Resources& m) {
  gangway::Resources r;
  constexpr std::int64_t kMaxCores = std::int64_t{kMaxTasksPerJob} * kMaxCpusPerTask;
  GANGWAY_TRY(check_range(m.cores(), 0, kMaxCores, "cores"));
  GANGWAY_TRY(check_range(m.memory_bytes(), 0, std::numeric_limits<std::int64_t>::max() / 2,
                          "memory_bytes"));
  r.cores = m.cores();
  r.memory = Bytes{m.memory_bytes()};
  GANGWAY_TRY(get_named(m.named(), "named", r));
  return r;
}

void to_wire(const gangway::Component& component, Component* out) {
  out->Clear();
  put_component(component, out);
}

Result<gangway::Component> from_wire(const Component& m) { return get_component(m); }

void to_wire(const gangway::Owner& owner, Owner* out) {
  out->set_uid(owner.uid);
  out->set_gid(owner.gid);
  out->set_user(owner.user);
}

gangway::Owner from_wire(const Owner& m) {
  return {.uid = m.uid(), .gid = m.gid(), .user = m.user()};
}

void to_wire(const gangway::Allocation& allocation, Allocation* out) {
  out->Clear();
  for (const auto& share : allocation.shares) {
    auto* m = out->add_shares();
    m->set_component(share.component);
    m->set_node(share.node.value);
    to_wire(share.resources, m->mutable_resources());
    m->mutable_cores()->Add(share.cores.begin(), share.cores.end());
    m->set_first_task(share.first_task);
    m->set_tasks(share.tasks);
    for (const auto& device : share.devices) {
      auto* const given = m->add_devices();
      given->set_name(device.name);
      given->mutable_indices()->Add(device.indices.begin(), device.indices.end());
    }
  }
}

namespace {
Result<gangway::NodeShare> get_share(const NodeShare& m) {
  gangway::NodeShare share;
  share.component = m.component();
  share.node = NodeName{m.node()};
  GANGWAY_ASSIGN(share.resources, from_wire(m.resources()));
  for (const std::int32_t core : m.cores()) {
    GANGWAY_TRY(check_range(core, 0, std::numeric_limits<std::int32_t>::max(), "cores"));
    share.cores.push_back(core);
  }
  GANGWAY_TRY(check_range(m.first_task(), 0, kMaxTasksPerJob, "first_task"));
  GANGWAY_TRY(check_range(m.tasks(), 0, kMaxTasksPerJob, "tasks"));
  share.first_task = m.first_task();
  share.tasks = m.tasks();
  for (const auto& given : m.devices()) {
    gangway::DeviceShare device{given.name(), {}};
    // A port is what it is called, not one of a few that are told apart.
    const std::int32_t end = device.name == kServicePort ? 65536 : kMaxIndexedDevices;
    for (const std::int32_t index : given.indices()) {
      GANGWAY_TRY(check_range(index, 0, end - 1, "devices"));
      device.indices.push_back(index);
    }
    share.devices.push_back(std::move(device));
  }
  return share;
}
}  // namespace

Result<gangway::Allocation> from_wire(const Allocation& m) {
  if (m.shares_size() > kMaxNodesPerJob) {
    return corrupt(cat("shares: ", m.shares_size(), " entries"));
  }
  gangway::Allocation allocation;
  allocation.shares.reserve(static_cast<std::size_t>(m.shares_size()));
  for (int i = 0; i < m.shares_size(); ++i) {
    auto share = get_share(m.shares(i));
    if (!share) return share.error().with_context(place("shares", i));
    allocation.shares.push_back(*std::move(share));
  }
  return allocation;
}

void to_wire(const gangway::Outcome& outcome, Outcome* out) {
  out->set_kind(from_enum(outcome.kind));
  out->set_exit_code(outcome.exit_code);
  out->set_signal(outcome.signal);
  out->set_detail(outcome.detail);
  for (const auto& waiver : outcome.waivers) out->add_waivers(waiver);
}

Result<gangway::Outcome> from_wire(const Outcome& m) {
  gangway::Outcome outcome;
  GANGWAY_ASSIGN(outcome.kind, to_enum(m.kind(), OutcomeKind::LaunchFailed, "outcome.kind"));
  GANGWAY_TRY(check_range(m.exit_code(), 0, 255, "outcome.exit_code"));
  GANGWAY_TRY(check_range(m.signal(), 0, 127, "outcome.signal"));
  outcome.exit_code = m.exit_code();
  outcome.signal = m.signal();
  outcome.detail = m.detail();
  outcome.waivers = get_strings(m.waivers());
  return outcome;
}

void to_wire(const gangway::Membership& membership, Membership* out) {
  out->set_workflow(membership.workflow.value);
  out->set_member(membership.member);
}

void to_wire(const gangway::WorkflowMember& member, WorkflowMember* out) {
  out->Clear();
  out->set_name(member.name);
  out->set_job(member.job.value);
  for (const auto& need : member.needs) {
    auto* m = out->add_needs();
    m->set_member(need.member);
    m->set_outcome(from_enum(need.outcome));
  }
  out->set_category(member.category);
  out->set_is_final(member.is_final);
}

Result<gangway::WorkflowMember> from_wire(const WorkflowMember& m) {
  gangway::WorkflowMember member{.name = m.name(), .job = JobId{m.job()}, .needs = {}};
  for (const auto& need : m.needs()) {
    GANGWAY_ASSIGN(const auto outcome, to_enum(need.outcome(), NeedOutcome::Each, "needs.outcome"));
    member.needs.push_back({.member = need.member(), .outcome = outcome});
  }
  member.category = m.category();
  member.is_final = m.is_final();
  return member;
}

void to_wire(const gangway::Error& error, Error* out) {
  out->set_kind(from_enum(error.kind()));
  out->set_message(error.message());
}

gangway::Error from_wire(const Error& m) {
  const bool known = m.kind() <= from_enum(ErrorKind::Internal);
  return {known ? static_cast<ErrorKind>(m.kind()) : ErrorKind::Internal, m.message()};
}

// ---- specs -------------------------------------------------------------------------------------

void to_wire(const gangway::Dependency& dependency, Dependency* out) {
  out->Clear();
  out->set_kind(from_enum(dependency.kind));
  out->set_on(dependency.on.value);
  out->set_delay_ns(dependency.delay.ns);
  if (dependency.index != gangway::JobKey::kNoIndex) out->set_index(dependency.index);
}

Result<gangway::Dependency> from_wire(const Dependency& m) {
  gangway::Dependency d;
  GANGWAY_ASSIGN(d.kind, to_enum(m.kind(), DependencyKind::AfterCorr, "kind"));
  d.on = JobId{m.on()};
  GANGWAY_ASSIGN(d.delay, to_duration(m.delay_ns(), "delay_ns"));
  if (m.has_index()) d.index = m.index();
  return d;
}

void to_wire(const gangway::IndexList& indexes, IndexList* out) {
  out->Clear();
  for (const IndexRange& range : indexes.ranges) {
    auto* m = out->add_ranges();
    m->set_first(range.first);
    m->set_last(range.last);
    m->set_step(range.step);
  }
}

Result<gangway::IndexList> from_wire(const IndexList& m) {
  if (m.ranges_size() > static_cast<int>(kMaxArrayRanges)) {
    return corrupt(cat("indexes: ", m.ranges_size(), " ranges"));
  }
  gangway::ArraySpec array;
  for (const auto& range : m.ranges()) {
    array.indexes.ranges.push_back({range.first(), range.last(), range.step()});
  }
  if (const auto fine = validate(array); !fine) return corrupt(fine.error().message());
  return std::move(array.indexes);
}

void to_wire(const IntervalSet& set, google::protobuf::RepeatedField<std::uint32_t>* out) {
  out->Clear();
  for (const Interval& interval : set.intervals()) {
    out->Add(interval.first);
    out->Add(interval.last);
  }
}

Result<IntervalSet> set_from_wire(const google::protobuf::RepeatedField<std::uint32_t>& list) {
  IntervalSet set;
  std::int64_t before = -2;  // they do not touch, and rise
  for (int i = 0; i + 1 < list.size(); i += 2) {
    const Interval interval{list.Get(i), list.Get(i + 1)};
    if (interval.last < interval.first || interval.first <= before + 1 ||
        interval.last >= kMaxArrayElements) {
      return corrupt("positions: no set");
    }
    before = interval.last;
    set.add(interval);
  }
  if (list.size() % 2 != 0) return corrupt("positions: no set");
  return set;
}

namespace {
void put_mail(const MailSpec& mail, Mail* out) {
  out->set_begin(mail.begin);
  out->set_end(mail.end);
  out->set_fail(mail.fail);
  out->set_requeue(mail.requeue);
  out->set_invalid_depend(mail.invalid_depend);
  out->set_per_element(mail.per_element);
  out->set_user(mail.user);
}

MailSpec get_mail(const Mail& m) {
  return {.begin = m.begin(),
          .end = m.end(),
          .fail = m.fail(),
          .requeue = m.requeue(),
          .invalid_depend = m.invalid_depend(),
          .per_element = m.per_element(),
          .user = m.user()};
}
}  // namespace

void to_wire(const gangway::JobSpec& spec, JobSpec* out) {
  out->Clear();
  out->set_name(spec.name);
  out->set_kind(from_enum(spec.kind));
  out->set_queue(spec.queue.value);
  out->set_account(spec.account.value);
  out->set_qos(spec.qos);
  out->set_nice(spec.nice);
  out->set_held(spec.held);
  if (spec.time_limit) out->set_time_limit_ns(spec.time_limit->ns);
  if (spec.kill_grace) out->set_kill_grace_ns(spec.kill_grace->ns);
  if (spec.warning) {
    out->mutable_warning()->set_number(spec.warning->number);
    out->mutable_warning()->set_before_ns(spec.warning->before.ns);
    out->mutable_warning()->set_script_only(spec.warning->script_only);
  }
  out->set_report_usage(spec.report_usage);
  out->set_requeue(spec.requeue);
  if (spec.not_before) out->set_not_before_ns(spec.not_before->ns);
  for (const auto& component : spec.components) put_component(component, out->add_components());
  out->set_launch(from_enum(spec.launch));
  out->set_mpi(from_enum(spec.mpi));
  out->set_script(spec.script);
  for (const auto& argument : spec.argv) out->add_argv(argument);
  for (const auto& variable : spec.env) out->add_env(variable);
  out->set_workdir(spec.workdir);
  out->set_out(spec.stdio.out);
  out->set_err(spec.stdio.err);
  out->set_in(spec.stdio.in);
  out->set_append(spec.stdio.append);
  out->set_umask(spec.umask);
  if (spec.image) {
    auto* image = out->mutable_image();
    image->set_kind(from_enum(spec.image->kind));
    image->set_path(spec.image->path);
    image->set_reference(spec.image->reference);
    image->set_manifest_digest(spec.image->manifest_digest);
  }
  if (spec.container != ContainerSpec{}) {
    auto* container = out->mutable_container();
    container->set_own_command(spec.container.own_command);
    if (spec.container.entrypoint) container->set_entrypoint(*spec.container.entrypoint);
    for (const auto& variable : spec.container.env) container->add_env(variable);
    container->set_workdir(spec.container.workdir);
    container->set_read_only(spec.container.read_only);
    container->set_user(from_enum(spec.container.user));
    container->set_network(from_enum(spec.container.network));
  }
  for (const auto& bind : spec.binds) {
    auto* m = out->add_binds();
    m->set_source(bind.source);
    m->set_destination(bind.destination);
    m->set_read_only(bind.read_only);
  }
  for (const auto& dependency : spec.dependencies) {
    to_wire(dependency, out->add_dependencies());
  }
  if (spec.array) {
    to_wire(spec.array->indexes, out->mutable_array()->mutable_indexes());
    out->mutable_array()->set_max_running(spec.array->max_running);
  }
  out->set_any_dependency(spec.any_dependency);
  if (spec.deadline) out->set_deadline_ns(spec.deadline->ns);
  if (spec.mail != MailSpec{}) put_mail(spec.mail, out->mutable_mail());
  out->set_retries(spec.retries);
  out->set_retry_backoff_ns(spec.retry_backoff.ns);
  out->set_kill_on_invalid_dependency(spec.kill_on_invalid_dependency);
  out->set_comment(spec.comment);
}

Result<gangway::JobSpec> from_wire(const JobSpec& m) {
  gangway::JobSpec spec;
  spec.name = m.name();
  GANGWAY_ASSIGN(spec.kind, to_enum(m.kind(), JobKind::Service, "kind"));
  spec.queue = QueueName{m.queue()};
  spec.account = AccountName{m.account()};
  spec.qos = m.qos();
  spec.nice = m.nice();
  spec.held = m.held();
  if (m.has_time_limit_ns()) {
    GANGWAY_ASSIGN(spec.time_limit, to_duration(m.time_limit_ns(), "time_limit_ns"));
  }
  if (m.has_kill_grace_ns()) {
    GANGWAY_ASSIGN(spec.kill_grace, to_duration(m.kill_grace_ns(), "kill_grace_ns"));
  }
  if (m.has_warning()) {
    gangway::WarningSignal& warning = spec.warning.emplace();
    warning.number = m.warning().number();
    GANGWAY_ASSIGN(warning.before, to_duration(m.warning().before_ns(), "warning.before_ns"));
    warning.script_only = m.warning().script_only();
  }
  spec.report_usage = m.report_usage();
  spec.requeue = m.requeue();
  GANGWAY_ASSIGN(spec.not_before,
                 to_optional_time(m.has_not_before_ns(), m.not_before_ns(), "not_before_ns"));
  GANGWAY_ASSIGN(spec.components, get_components(m));
  GANGWAY_ASSIGN(spec.launch, to_enum(m.launch(), LaunchMode::Tasks, "launch"));
  GANGWAY_ASSIGN(spec.mpi, to_enum(m.mpi(), MpiMode::Auto, "mpi"));
  spec.script = m.script();
  spec.argv = get_strings(m.argv());
  spec.env = get_strings(m.env());
  spec.workdir = m.workdir();
  spec.stdio = {.out = m.out(), .err = m.err(), .in = m.in(), .append = m.append()};
  spec.umask = m.umask();
  GANGWAY_ASSIGN(spec.image, get_image(m));
  spec.container = {.own_command = m.container().own_command(),
                    .entrypoint = m.container().has_entrypoint()
                                      ? std::optional<std::string>(m.container().entrypoint())
                                      : std::nullopt,
                    .env = get_strings(m.container().env()),
                    .workdir = m.container().workdir(),
                    .read_only = m.container().read_only()};
  GANGWAY_ASSIGN(spec.container.user,
                 to_enum(m.container().user(), ContainerUser::Root, "container.user"));
  GANGWAY_ASSIGN(spec.container.network,
                 to_enum(m.container().network(), ContainerNetwork::None, "container.network"));
  for (const auto& bind : m.binds()) {
    spec.binds.push_back({.source = bind.source(),
                          .destination = bind.destination(),
                          .read_only = bind.read_only()});
  }
  for (int i = 0; i < m.dependencies_size(); ++i) {
    auto dependency = from_wire(m.dependencies(i));
    if (!dependency) return dependency.error().with_context(place("dependencies", i));
    spec.dependencies.push_back(*dependency);
  }
  spec.kill_on_invalid_dependency = m.kill_on_invalid_dependency();
  spec.comment = m.comment();
  if (m.has_array()) {
    gangway::ArraySpec& array = spec.array.emplace();
    GANGWAY_ASSIGN(array.indexes, from_wire(m.array().indexes()));
    array.max_running = m.array().max_running();
  }
  spec.any_dependency = m.any_dependency();
  GANGWAY_ASSIGN(spec.deadline,
                 to_optional_time(m.has_deadline_ns(), m.deadline_ns(), "deadline_ns"));
  if (m.has_mail()) spec.mail = get_mail(m.mail());
  GANGWAY_TRY(check_range(m.retries(), 0, kMaxRetries, "retries"));
  spec.retries = m.retries();
  GANGWAY_ASSIGN(spec.retry_backoff, to_duration(m.retry_backoff_ns(), "retry_backoff_ns"));
  return spec;
}

std::string encode_spec(const gangway::JobSpec& spec) {
  JobSpec message;
  to_wire(spec, &message);
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    // The messages have no maps, whose order would vary; this keeps it so if one is ever added.
    coded.SetSerializationDeterministic(true);
    CHECK(message.SerializeToCodedStream(&coded));
  }
  return bytes;
}

Result<gangway::JobSpec> decode_spec(std::string_view bytes) {
  JobSpec message;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return corrupt("job spec: not a message");
  }
  auto spec = from_wire(message);
  if (!spec) return spec.error().with_context("job spec");
  return spec;
}

// ---- states ------------------------------------------------------------------------------------

namespace {
void put_clock(const RunClock& clock, JobState* out) {
  out->set_clock_accumulated_ns(clock.accumulated.ns);
  if (clock.since) out->set_clock_since_ns(clock.since->ns);
}

Result<RunClock> get_clock(const JobState& m) {
  RunClock clock;
  GANGWAY_ASSIGN(clock.accumulated, to_duration(m.clock_accumulated_ns(), "clock_accumulated_ns"));
  GANGWAY_ASSIGN(clock.since,
                 to_optional_time(m.has_clock_since_ns(), m.clock_since_ns(), "clock_since_ns"));
  return clock;
}

void put_phase(const Phase& p, JobState* out) {
  out->set_phase(static_cast<std::uint32_t>(p.index()));
  std::visit(
      overloaded{
          [&](const phase::Waiting& w) { out->set_reason(from_enum(w.reason)); },
          [&](const phase::Starting& s) { to_wire(s.allocation, out->mutable_allocation()); },
          [&](const phase::Running& r) {
            to_wire(r.allocation, out->mutable_allocation());
            put_clock(r.clock, out);
          },
          [&](const phase::Suspended& s) {
            to_wire(s.allocation, out->mutable_allocation());
            put_clock(s.clock, out);
            out->set_suspended_by_operator(s.by_operator);
          },
          [&](const phase::Completing& c) {
            to_wire(c.allocation, out->mutable_allocation());
            to_wire(c.outcome, out->mutable_outcome());
            out->set_requeue(c.requeue);
          },
          [&](const phase::Finished& f) {
            to_wire(f.outcome, out->mutable_outcome());
            if (!f.ran_on.shares.empty()) to_wire(f.ran_on, out->mutable_allocation());
          },
      },
      p);
}

Result<gangway::Allocation> get_allocation(const JobState& m) {
  if (!m.has_allocation()) return corrupt("allocation: missing");
  auto allocation = from_wire(m.allocation());
  if (!allocation) return allocation.error().with_context("allocation");
  return allocation;
}

Result<gangway::Outcome> get_outcome(const JobState& m) {
  if (!m.has_outcome()) return corrupt("outcome: missing");
  return from_wire(m.outcome());
}

Result<Phase> get_phase(const JobState& m) {
  // The index into the variant, which is thereby part of the format: new phases go to its end.
  switch (m.phase()) {
    case 0: {
      GANGWAY_ASSIGN(const auto reason, to_enum(m.reason(), kLastPendingReason, "reason"));
      return Phase(phase::Waiting{reason});
    }
    case 1: {
      GANGWAY_ASSIGN(auto allocation, get_allocation(m));
      return Phase(phase::Starting{std::move(allocation)});
    }
    case 2: {
      GANGWAY_ASSIGN(auto allocation, get_allocation(m));
      GANGWAY_ASSIGN(const auto clock, get_clock(m));
      return Phase(phase::Running{std::move(allocation), clock});
    }
    case 3: {
      GANGWAY_ASSIGN(auto allocation, get_allocation(m));
      GANGWAY_ASSIGN(const auto clock, get_clock(m));
      return Phase(phase::Suspended{std::move(allocation), clock, m.suspended_by_operator()});
    }
    case 4: {
      GANGWAY_ASSIGN(auto allocation, get_allocation(m));
      GANGWAY_ASSIGN(auto outcome, get_outcome(m));
      return Phase(phase::Completing{std::move(allocation), std::move(outcome), m.requeue()});
    }
    case 5: {
      GANGWAY_ASSIGN(auto outcome, get_outcome(m));
      phase::Finished finished{std::move(outcome), {}};
      if (m.has_allocation()) {
        GANGWAY_ASSIGN(finished.ran_on, get_allocation(m));
      }
      return Phase(std::move(finished));
    }
    default:
      return corrupt(cat("phase: unknown value ", m.phase()));
  }
}
}  // namespace

namespace {
void put_array(const gangway::ArrayState& array, ArrayState* out) {
  to_wire(array.waiting, out->mutable_waiting());
  to_wire(array.succeeded, out->mutable_succeeded());
  to_wire(array.unsuccessful, out->mutable_unsuccessful());
  to_wire(array.dropped, out->mutable_dropped());
  if (!array.dropped.empty()) to_wire(array.dropped_as, out->mutable_dropped_as());
  if (array.unsuccessful.empty()) return;
  to_wire(array.worst, out->mutable_worst());
  out->set_worst_at(array.worst_at);
}

Result<std::optional<gangway::ArrayState>> get_array(const ArrayState& m) {
  gangway::ArrayState array;
  GANGWAY_ASSIGN(array.waiting, set_from_wire(m.waiting()));
  GANGWAY_ASSIGN(array.succeeded, set_from_wire(m.succeeded()));
  GANGWAY_ASSIGN(array.unsuccessful, set_from_wire(m.unsuccessful()));
  GANGWAY_ASSIGN(array.dropped, set_from_wire(m.dropped()));
  if (m.has_dropped_as()) {
    GANGWAY_ASSIGN(array.dropped_as, from_wire(m.dropped_as()));
  }
  if (m.has_worst()) {
    GANGWAY_ASSIGN(array.worst, from_wire(m.worst()));
  }
  array.worst_at = m.worst_at();
  return std::optional(std::move(array));
}
}  // namespace

void to_wire(const gangway::Job& job, JobState* out) {
  out->Clear();
  to_wire(job.key, out->mutable_key());
  to_wire(job.owner, out->mutable_owner());
  out->set_spec_digest(job.spec_digest);
  if (job.membership) to_wire(*job.membership, out->mutable_membership());
  put_phase(job.phase, out);
  out->set_hold_user(job.hold.by_user);
  out->set_hold_operator(job.hold.by_operator);
  out->set_attempt(job.attempt);
  out->set_launch_failures(job.launch_failures);
  out->set_submitted_at_ns(job.submitted.ns);
  if (job.eligible) out->set_eligible_at_ns(job.eligible->ns);
  if (job.started) out->set_started_at_ns(job.started->ns);
  if (job.ended) out->set_ended_at_ns(job.ended->ns);
  out->set_paused_ns(job.paused.ns);
  out->set_version(job.version);
  if (job.usage != gangway::JobUsage{}) to_wire(job.usage, out->mutable_usage());
  out->set_retries_used(job.retries_used);
  out->set_position(job.position);
  if (job.array) put_array(*job.array, out->mutable_array());
}

Result<gangway::Job> from_wire(const JobState& m, std::shared_ptr<const gangway::JobSpec> spec) {
  CHECK(spec != nullptr);
  gangway::Job job;
  job.key = from_wire(m.key());
  job.owner = from_wire(m.owner());
  job.spec_digest = m.spec_digest();
  job.spec = std::move(spec);
  if (m.has_membership()) job.membership = get_membership(m.membership());
  GANGWAY_ASSIGN(job.phase, get_phase(m));
  job.hold = {.by_user = m.hold_user(), .by_operator = m.hold_operator()};
  job.attempt = m.attempt();
  job.launch_failures = m.launch_failures();
  GANGWAY_ASSIGN(job.submitted, to_time(m.submitted_at_ns(), "submitted_at_ns"));
  GANGWAY_ASSIGN(job.eligible,
                 to_optional_time(m.has_eligible_at_ns(), m.eligible_at_ns(), "eligible_at_ns"));
  GANGWAY_ASSIGN(job.started,
                 to_optional_time(m.has_started_at_ns(), m.started_at_ns(), "started_at_ns"));
  GANGWAY_ASSIGN(job.ended, to_optional_time(m.has_ended_at_ns(), m.ended_at_ns(), "ended_at_ns"));
  GANGWAY_ASSIGN(job.paused, to_duration(m.paused_ns(), "paused_ns"));
  job.version = m.version();
  job.usage = from_wire(m.usage());
  job.retries_used = m.retries_used();
  job.position = m.position();
  if (m.has_array()) {
    GANGWAY_ASSIGN(job.array, get_array(m.array()));
  }
  return job;
}

void limits_to_wire(const std::vector<gangway::CategoryLimit>& limits,
                    google::protobuf::RepeatedPtrField<CategoryLimit>* out) {
  for (const auto& limit : limits) {
    auto* m = out->Add();
    m->set_category(limit.category);
    m->set_max_running(limit.max_running);
  }
}

Result<std::vector<gangway::CategoryLimit>> limits_from_wire(
    const google::protobuf::RepeatedPtrField<CategoryLimit>& list) {
  if (list.size() > static_cast<int>(kMaxCategories)) {
    return corrupt(cat("limits: ", list.size(), " entries"));
  }
  std::vector<gangway::CategoryLimit> limits;
  for (const auto& m : list) {
    if (m.max_running() == 0) return corrupt("limits: a category of which nothing may run");
    limits.push_back({m.category(), m.max_running()});
  }
  return limits;
}

void to_wire(const gangway::Workflow& workflow, WorkflowState* out) {
  out->Clear();
  out->set_id(workflow.id.value);
  out->set_generation(workflow.generation);
  out->set_name(workflow.name);
  to_wire(workflow.owner, out->mutable_owner());
  out->set_submitted_at_ns(workflow.submitted.ns);
  if (workflow.ended) out->set_ended_at_ns(workflow.ended->ns);
  for (const auto& member : workflow.members) to_wire(member, out->add_members());
  out->set_version(workflow.version);
  limits_to_wire(workflow.limits, out->mutable_limits());
}

Result<gangway::Workflow> from_wire(const WorkflowState& m) {
  gangway::Workflow workflow;
  workflow.id = WorkflowId{m.id()};
  workflow.generation = m.generation();
  workflow.name = m.name();
  workflow.owner = from_wire(m.owner());
  GANGWAY_ASSIGN(workflow.submitted, to_time(m.submitted_at_ns(), "submitted_at_ns"));
  GANGWAY_ASSIGN(workflow.ended,
                 to_optional_time(m.has_ended_at_ns(), m.ended_at_ns(), "ended_at_ns"));
  GANGWAY_ASSIGN(workflow.members, get_members(m.members()));
  workflow.version = m.version();
  GANGWAY_ASSIGN(workflow.limits, limits_from_wire(m.limits()));
  return workflow;
}

void to_wire(const gangway::Node& node, NodeState* out) {
  out->Clear();
  out->set_name(node.name.value);
  to_wire(node.capacity, out->mutable_capacity());
  out->set_address(node.address);
  out->set_boot_id(node.boot_id);
  out->set_contact(from_enum(node.contact));
  out->set_drain(node.drain);
  out->set_drain_reason(node.drain_reason);
  out->set_version(node.version);
  for (const auto& feature : node.features) out->add_features(feature);
}

Result<gangway::Node> from_wire(const NodeState& m) {
  gangway::Node node;
  node.name = NodeName{m.name()};
  GANGWAY_ASSIGN(node.capacity, from_wire(m.capacity()));
  node.address = m.address();
  node.boot_id = m.boot_id();
  GANGWAY_ASSIGN(node.contact, to_enum(m.contact(), Contact::Lost, "contact"));
  node.drain = m.drain();
  node.drain_reason = m.drain_reason();
  node.version = m.version();
  GANGWAY_ASSIGN(node.features, features_from_wire(m.features()));
  return node;
}

}  // namespace gangway::wire
