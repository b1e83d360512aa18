#include "submit/monitor/monitor.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <map>
#include <memory>

#include "queues/base/fd.hpp"
#include "queues/base/overloaded.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "submit/exit_code.hpp"
#include "submit/monitor/draw.hpp"
#include "submit/monitor/output_reader.hpp"
#include "submit/monitor/scheduler_link.hpp"
#include "submit/monitor/screen.hpp"
#include "submit/monitor/terminal.hpp"

namespace gangway::monitor {

namespace {

constexpr Duration kBetweenPictures = milliseconds(50);  // news may come faster than anybody sees
constexpr Duration kShortestPause = milliseconds(100);   // between attempts at the scheduler
constexpr Duration kLongestPause = seconds(2);
constexpr int kMostAnswersAtOnce = 64;  // then keys are looked at again

class Monitor {
 public:
  explicit Monitor(const MonitorOptions& options)
      : options_(options), screen_(filter_of(options)), link_(options.program, options.socket) {}

  Result<int> run() {
    GANGWAY_TRY(link_.open());
    // A scheduler that refuses says so before the terminal is taken over.
    begin_stream();
    GANGWAY_TRY(wait_for_first_answer());
    take_signals();
    GANGWAY_ASSIGN(terminal_, Terminal::open(options_.colours));
    screen_.on_size(terminal_->size());
    while (!code_) {
      show();
      wait();
    }
    terminal_.reset();
    return *code_;
  }

 private:
  // Who watches sees how jobs end.
  static submit::JobFilter filter_of(const MonitorOptions& options) {
    submit::JobFilter filter = options.filter;
    filter.finished_too = true;
    return filter;
  }

  static BootTime boot() { return SystemClock().now().boot; }

  // ---- asking

  // What an answer is to: its handler, until the answer is whole.
  using Handler = std::function<void(const wire::Response&)>;
  void ask(const wire::Request& request, Handler handler) {
    if (link_.fd() < 0) return screen_.say("the scheduler is away", true);
    handlers_[link_.ask(request)] = std::move(handler);
  }

  void begin_stream() {
    wire::Request follow;
    follow.mutable_follow()->set_from_seq(next_seq_);
    follow.mutable_follow()->set_with_views(true);
    const bool from_now = next_seq_ == 0;
    follow_stream_ = link_.ask(follow);
    if (from_now) {
      ask_all();
    } else {
      ask_nodes();  // whether they are reached is no event
    }
  }

  void ask_all() {
    screen_.forget_all();
    submit::JobFilter filter = options_.filter;
    filter.finished_too = false;
    filter.limit = static_cast<std::uint32_t>(kMostJobs);
    ask(submit::make_list_request(filter),
        [this](const wire::Response& response) { screen_.tell(response.jobs()); });
    ask_nodes();
    wire::Request ping;
    ping.mutable_ping();
    ask(ping,
        [this](const wire::Response& response) { screen_.on_cluster(response.pong().cluster()); });
  }

  void ask_nodes() {
    wire::Request nodes;
    nodes.mutable_list_nodes();
    ask(nodes, [this](const wire::Response& response) { screen_.tell(response.nodes()); });
  }

  // Jobs that were told of without a view: they ended while the scheduler was away.
  void ask_doubtful() {
    const std::set<JobKey> doubtful = screen_.take_doubtful();
    if (doubtful.empty()) return;
    wire::Request request;
    for (const JobKey key : doubtful) wire::to_wire(key, request.mutable_list_jobs()->add_keys());
    request.mutable_list_jobs()->set_finished_too(true);
    ask(request, [this](const wire::Response& response) { screen_.tell(response.jobs()); });
  }

  // ---- wishes

  void perform(const Wishes& wishes) {
    for (const Wish& wish : wishes) {
      std::visit(overloaded{
                     [&](const Quit&) { code_ = 0; },
                     [&](const Act& act) { do_act(act); },
                     [&](const Explain& explain) { do_explain(explain.job); },
                     [&](const OpenOutput& open) { open_output(open.job, open.errors); },
                     [&](const CloseOutput&) { output_.reset(); },
                     [&](const AskWorkflows& workflows) { do_ask(workflows); },
                     [&](const AskAll&) { ask_all(); },
                     [&](const Redraw&) { terminal_->redraw(); },
                 },
                 wish);
    }
  }

  void do_act(const Act& act) {
    wire::Request request;
    wire::Act& message = *request.mutable_act();
    std::string done;
    switch (act.what) {
      case Act::What::Cancel:
        message.set_verb(wire::Act::CANCEL);
        done = "cancelled";
        break;
      case Act::What::Hold:
        message.set_verb(wire::Act::HOLD);
        done = "held";
        break;
      case Act::What::Release:
        message.set_verb(wire::Act::RELEASE);
        done = "released";
        break;
    }
    for (const JobKey key : act.jobs) wire::to_wire(key, message.add_keys());
    for (const std::uint64_t id : act.workflows) message.add_workflows(id);
    ask(request, [this, done](const wire::Response& response) {
      std::size_t good = 0;
      std::string trouble;
      for (const wire::Acted::One& one : response.acted().results()) {
        if (one.has_error()) {
          trouble = wire::from_wire(one.error()).message();
        } else {
          ++good;
        }
      }
      if (!trouble.empty()) return screen_.say(trouble, true);
      screen_.say(cat(done, good == 1 ? " 1 job" : cat(" ", good, " jobs")));
    });
  }

  void do_explain(JobKey job) {
    wire::Request request;
    wire::to_wire(job, request.mutable_explain()->add_keys());
    ask(request, [this, job](const wire::Response& response) {
      screen_.on_explained(
          job, {response.explained().lines().begin(), response.explained().lines().end()});
    });
  }

  void do_ask(const AskWorkflows& workflows) {
    wire::Request request;
    for (const std::uint64_t id : workflows.ids) request.mutable_list_workflows()->add_ids(id);
    ask(request, [this](const wire::Response& response) { screen_.tell(response.workflows()); });
  }

  const submit::JobRow* find_row(JobKey job) const {
    const WatchedJob* const known = screen_.picture().find(job);
    return known == nullptr ? nullptr : &known->row;
  }

  void open_output(JobKey job, bool errors) {
    output_ = std::make_unique<OutputReader>(
        options_.program, options_.socket, job, errors,
        OutputListener{
            .on_bytes = [this, job](std::string_view bytes) { screen_.on_output(job, bytes); },
            .on_state =
                [this, job](std::string state) {
                  screen_.on_output_state(job, std::move(state));
                }});
    output_->begin(find_row(job));
  }

  // ---- the scheduler

  Result<void> wait_for_first_answer() {
    const BootTime until = boot() + submit::kReplyDeadline;
    while (!heard_) {
      GANGWAY_TRY(link_.write_some());
      pollfd wait{.fd = link_.fd(), .events = POLLIN, .revents = 0};
      if (link_.wants_to_write()) wait.events |= POLLOUT;
      if (::poll(&wait, 1, 1000) < 0 && errno != EINTR) return errno_error("wait", errno);
      if (boot() > until) {
        return Error(ErrorKind::Unavailable,
                     cat("the scheduler at ", options_.socket, " did not answer in time"));
      }
      GANGWAY_TRY(hear());
    }
    return {};
  }

  Result<void> hear() {
    const Result<void> alive = link_.read_some();
    // What was said before the end is heard.
    for (int i = 0; i < kMostAnswersAtOnce; ++i) {
      GANGWAY_ASSIGN(std::optional<SchedulerLink::Answer> answer, link_.next());
      if (!answer) {
        more_to_hear_ = false;
        return alive;
      }
      GANGWAY_TRY(hear(answer->stream, answer->response));
    }
    more_to_hear_ = true;
    return alive;
  }

  Result<void> hear(std::uint32_t stream, const wire::Response& response) {
    if (stream == follow_stream_) return hear_news(response);
    const auto found = handlers_.find(stream);
    if (found == handlers_.end()) return {};
    if (response.has_error()) {
      screen_.say(wire::from_wire(response.error()).message(), true);
    } else {
      found->second(response);
    }
    if (!response.more()) handlers_.erase(stream);
    return {};
  }

  Result<void> hear_news(const wire::Response& response) {
    if (response.has_error()) {
      const Error error = wire::from_wire(response.error());
      // The log does not reach back to where we were: everything anew.
      if (error.kind() != ErrorKind::NotFound || next_seq_ == 0) return error;
      next_seq_ = 0;
      begin_stream();
      return {};
    }
    const wire::News& news = response.news();
    if (!heard_ || !screen_.link().live) {
      const std::uint32_t lost = screen_.link().times_lost;
      if (heard_) screen_.say("the scheduler is back; nothing was missed");
      screen_.on_link({.live = true, .trouble = {}, .since = {}, .times_lost = lost});
      pause_ = kShortestPause;
      heard_ = true;
    }
    next_seq_ = news.next_seq();
    if (news.now_ns() != 0) ahead_ = Time{news.now_ns()} - SystemClock().now().wall;
    screen_.tell(news);
    ask_doubtful();
    if (!response.more()) begin_stream();  // our credit is used up
    return {};
  }

  void lose(const Error& error) {
    link_.close();
    handlers_.clear();
    const LinkState& before = screen_.link();
    screen_.on_link({.live = false,
                     .trouble = error.message(),
                     .since = before.live ? boot() : before.since,
                     .times_lost = before.times_lost + (before.live ? 1 : 0)});
    try_again_ = boot() + pause_;
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

  void try_again() {
    if (const Result<void> opened = link_.open(); !opened) return lose(opened.error());
    begin_stream();
  }

  // ---- the loop

  void take_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH}) sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  void show() {
    const Now now = SystemClock().now();
    if (shown_ && now.boot < *shown_ + kBetweenPictures) return;
    shown_ = now.boot;
    changed_ = false;
    screen_.on_time(now.wall + ahead_, now.boot);
    screen_.settle();
    terminal_->show(draw(screen_));
  }

  // Until something happens, or the next second begins.
  int patience_ms() const {
    if (more_to_hear_) return 0;
    const BootTime now = boot();
    BootTime until = now + seconds(1);
    if (changed_ && shown_) until = std::min(until, *shown_ + kBetweenPictures);
    if (link_.fd() < 0) until = std::min(until, try_again_);
    return static_cast<int>(std::max<std::int64_t>((until - now).ns / 1'000'000 + 1, 0));
  }

  void wait() {
    pollfd watched[4] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                         {.fd = signals_.get(), .events = POLLIN, .revents = 0},
                         {.fd = link_.fd(), .events = POLLIN, .revents = 0},
                         {.fd = output_ ? output_->fd() : -1, .events = POLLIN, .revents = 0}};
    if (link_.wants_to_write()) watched[2].events |= POLLOUT;
    if (output_ && output_->wants_to_write()) watched[3].events |= POLLOUT;
    const int ready = ::poll(watched, 4, patience_ms());
    if (ready < 0 && errno != EINTR) {
      code_ = submit::kExitInternal;
      return;
    }
    changed_ = changed_ || ready > 0;
    if (watched[1].revents != 0) hear_signals();
    if (watched[3].revents != 0 && output_) output_->go_on(find_row(output_->job()));
    if (link_.fd() >= 0) {
      Result<void> alive;
      if (watched[2].revents != 0 || more_to_hear_) alive = hear();
      if (alive && link_.wants_to_write()) alive = link_.write_some();
      if (!alive) lose(alive.error());
    } else if (boot() >= try_again_) {
      try_again();
      changed_ = true;
    }
    // A terminal that has gone is an end as by a hangup.
    if ((watched[0].revents & (POLLHUP | POLLERR)) != 0) code_ = 128 + SIGHUP;
    bool pressed = false;
    while (!code_) {
      const std::optional<Key> key = terminal_->key();
      if (!key) break;
      pressed = true;
      perform(screen_.on_key(*key));
    }
    if (pressed) shown_.reset();  // keys are answered at once
    if (pressed && link_.wants_to_write()) {
      if (const Result<void> written = link_.write_some(); !written) lose(written.error());
    }
  }

  void hear_signals() {
    signalfd_siginfo heard{};
    while (::read(signals_.get(), &heard, sizeof heard) == sizeof heard) {
      if (heard.ssi_signo == SIGWINCH) {
        screen_.on_size(terminal_->size());
        shown_.reset();
      } else {
        code_ = 128 + static_cast<int>(heard.ssi_signo);
      }
    }
  }

  const MonitorOptions& options_;
  Screen screen_;
  SchedulerLink link_;
  std::unique_ptr<Terminal> terminal_;
  std::unique_ptr<OutputReader> output_;
  Fd signals_;
  std::map<std::uint32_t, Handler> handlers_;  // by stream
  std::uint32_t follow_stream_ = 0;
  std::uint64_t next_seq_ = 0;  // 0: from now on
  bool heard_ = false;          // the scheduler has answered once
  bool more_to_hear_ = false;
  bool changed_ = true;
  Duration ahead_;  // the scheduler's clock, of ours
  Duration pause_ = kShortestPause;
  BootTime try_again_;
  std::optional<BootTime> shown_;
  std::optional<int> code_;
};

}  // namespace

Result<int> run_monitor(const MonitorOptions& options) { return Monitor(options).run(); }

}  // namespace gangway::monitor
