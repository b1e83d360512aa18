#include "submit/step_client.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "queues/base/fd.hpp"
#include "queues/base/text.hpp"
#include "queues/base/time.hpp"
#include "submit/console.hpp"

namespace gangway::submit {
namespace {

constexpr std::array kPassed = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

// Everything, however long the reader takes. False: nobody will read it.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
      ::poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// Lines of many ranks, each behind its rank: "3: text".
class Labels {
 public:
  // So that numbers stand below each other. What is kept stays: tasks of another node may have said
  // something before it is known how many there are.
  void set_tasks(std::size_t tasks) {
    width_ = 1;
    for (std::size_t most = tasks > 0 ? tasks - 1 : 0; most >= 10; most /= 10) ++width_;
  }
  // Whole lines of this and of what was kept.
  std::string add(std::uint32_t task, std::uint32_t stream, std::string_view data) {
    std::string& kept = kept_[{task, stream}];
    kept.append(data);
    std::string lines;
    std::size_t from = 0;
    while (true) {
      const std::size_t end = kept.find('\n', from);
      if (end == std::string::npos) break;
      put(task, std::string_view(kept).substr(from, end - from), lines);
      from = end + 1;
    }
    kept.erase(0, from);
    if (kept.size() > kMaxLabelledLine) put(task, std::exchange(kept, {}), lines);
    return lines;
  }
  std::map<std::uint32_t, std::string> rest() {  // by stream
    std::map<std::uint32_t, std::string> lines;
    for (auto& [key, kept] : kept_) {
      if (!kept.empty()) put(key.first, kept, lines[key.second]);
    }
    kept_.clear();
    return lines;
  }

 private:
  void put(std::uint32_t task, std::string_view line, std::string& lines) const {
    const std::string number = cat(task);
    lines.append(width_ > number.size() ? width_ - number.size() : 0, ' ');
    lines += cat(number, ": ", line, "\n");
  }
  std::size_t width_ = 1;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> kept_;
};

// Our terminal hands every key on, and is as it was in the end.
class RawTerminal {
 public:
  void enter(int fd) {
    if (::tcgetattr(fd, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    if (::tcsetattr(fd, TCSADRAIN, &raw) == 0) fd_ = fd;
  }
  ~RawTerminal() {
    if (fd_ >= 0) ::tcsetattr(fd_, TCSADRAIN, &before_);
  }

 private:
  int fd_ = -1;
  termios before_{};
};

class Play {
 public:
  Play(StepLink& link, const StepFront& front) : link_(link), front_(front) {}

  Result<int> run(const wire::ToStep& first) {
    take_signals();
    link_.send(first);
    GANGWAY_TRY(link_.write_some());
    while (!code_) {
      pollfd watched[3] = {
          {.fd = link_.fd(), .events = POLLIN, .revents = 0},
          {.fd = signals_.get(), .events = POLLIN, .revents = 0},
          {.fd = reads_input() ? front_.input : -1, .events = POLLIN, .revents = 0}};
      if (link_.wants_to_write()) watched[0].events |= POLLOUT;
      if (::poll(watched, 3, -1) < 0 && errno != EINTR) return errno_error("wait", errno);
      if (watched[1].revents != 0) pass_signals();
      if (watched[2].revents != 0) read_input();
      if (watched[0].revents != 0) {
        // What has come is heard even if the other side has gone.
        const Result<bool> alive = link_.read_some();
        GANGWAY_TRY(hear_all());
        if (code_) break;
        if (!alive) return alive.error();
        if (!*alive) return Error(ErrorKind::Unavailable, "the job has ended");
      }
      GANGWAY_TRY(link_.write_some());
    }
    return *code_;
  }

 private:
  void take_signals() {
    sigset_t set;
    sigemptyset(&set);
    if (front_.pass_signals) {
      for (const int number : kPassed) {
        struct sigaction now {};
        ::sigaction(number, nullptr, &now);
        if (now.sa_handler != SIG_IGN) sigaddset(&set, number);
      }
    }
    if (front_.terminal) sigaddset(&set, SIGWINCH);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  void pass_signals() {
    signalfd_siginfo heard{};
    while (::read(signals_.get(), &heard, sizeof heard) == sizeof heard) {
      wire::ToStep message;
      if (heard.ssi_signo == SIGWINCH) {
        *message.mutable_size() = terminal_size();
      } else {
        std::uint32_t number = heard.ssi_signo;
        const BootTime now = SystemClock().now().boot;
        if (number == SIGINT) {
          if (interrupted_ && now - *interrupted_ < seconds(1)) number = SIGKILL;
          interrupted_ = now;
        }
        if (!started_ && (number == SIGINT || number == SIGTERM || number == SIGHUP)) {
          code_ = 128 + static_cast<int>(number);  // it only waited
          return;
        }
        message.mutable_signal()->set_number(number);
      }
      link_.send(message);
    }
  }

  [[nodiscard]] bool reads_input() const {
    return wants_input_ && !input_over_ && on_the_way_ < kInputWindow;
  }

  void read_input() {
    char buffer[kInputWindow];
    const ssize_t got = ::read(front_.input, buffer, kInputWindow - on_the_way_);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    wire::ToStep message;
    wire::StepInput& input = *message.mutable_input();
    if (got <= 0) {
      input_over_ = true;
      input.set_end(true);
    } else {
      input.set_data(buffer, static_cast<std::size_t>(got));
      on_the_way_ += static_cast<std::size_t>(got);
    }
    link_.send(message);
  }

  Result<void> hear_all() {
    while (!code_) {
      GANGWAY_ASSIGN(std::optional<wire::FromStep> message, link_.next());
      if (!message) break;
      GANGWAY_TRY(hear(*message));
    }
    return {};
  }

  Result<void> hear(const wire::FromStep& message) {
    if (message.has_output()) {
      show(message.output());
    } else if (message.has_started()) {
      started_ = true;
      labels_.set_tasks(message.started().tasks());
      wants_input_ = message.started().wants_input() && front_.input >= 0;
      if (front_.terminal) raw_.enter(front_.input);
      if (front_.show_bindings) {
        for (const std::string& line : message.started().bindings()) {
          complain(front_.program, line);
        }
      }
      if (front_.on_started) front_.on_started(message.started().step());
    } else if (message.has_waits()) {
      if (!front_.quiet) complain(front_.program, cat("the step ", message.waits().reason()));
    } else if (message.has_input_consumed()) {
      on_the_way_ -= std::min<std::size_t>(on_the_way_, message.input_consumed().bytes());
    } else if (message.has_task_ended()) {
      show_end(message.task_ended());
    } else if (message.has_ended()) {
      for (const auto& [stream, lines] : labels_.rest()) write_all(place_of(stream), lines);
      const std::string& detail = message.ended().detail();
      if (!detail.empty() && !front_.quiet && !said_.contains(detail)) {
        complain(front_.program, detail);
      }
      code_ = message.ended().exit_code();
    } else if (message.has_failure()) {
      return Error(static_cast<ErrorKind>(std::min<std::uint32_t>(
                       message.failure().kind(), static_cast<std::uint32_t>(ErrorKind::Internal))),
                   message.failure().message());
    }
    return {};
  }

  [[nodiscard]] int place_of(std::uint32_t stream) const {
    return stream == 2 ? front_.err : front_.out;
  }

  void show(const wire::StepOutput& output) {
    const int to = place_of(output.stream());
    const bool written =
        write_all(to, front_.label ? labels_.add(output.task(), output.stream(), output.data())
                                   : output.data());
    wire::ToStep taken;
    taken.mutable_consumed()->set_node(output.node());
    taken.mutable_consumed()->set_bytes(output.data().size());
    link_.send(taken);
    if (!written && !broken_) {
      // Nobody reads: the ranks learn it as they would from a pipe.
      broken_ = true;
      wire::ToStep message;
      message.mutable_signal()->set_number(SIGPIPE);
      link_.send(message);
    }
  }

  void show_end(const wire::TaskEnded& end) {
    if (front_.quiet || (end.started() && end.exit_code() == 0 && end.signal() == 0)) return;
    std::string what;
    if (!end.started()) {
      what = end.message();
    } else if (end.signal() != 0) {
      const char* name = ::sigabbrev_np(end.signal());
      what = cat("killed by signal ", end.signal(), " (SIG", name != nullptr ? name : "?", ")");
    } else {
      what = cat("exit code ", end.exit_code());
    }
    const std::string line = cat("task ", end.task(), " on ", end.node(), ": ", what);
    complain(front_.program, line);
    said_[line] = true;
  }

  StepLink& link_;
  const StepFront& front_;
  Labels labels_;
  RawTerminal raw_;
  Fd signals_;
  std::optional<int> code_;
  std::optional<BootTime> interrupted_;
  std::map<std::string, bool> said_;
  bool started_ = false;
  bool wants_input_ = false;
  bool input_over_ = false;
  bool broken_ = false;
  std::size_t on_the_way_ = 0;  // input that the ranks have not taken
};

}  // namespace

wire::TerminalSize terminal_size() {
  wire::TerminalSize size;
  winsize window{};
  for (const int fd : {0, 1, 2}) {
    if (::ioctl(fd, TIOCGWINSZ, &window) != 0 || window.ws_row == 0) continue;
    size.set_rows(window.ws_row);
    size.set_columns(window.ws_col);
    break;
  }
  return size;
}

Result<int> play_step(StepLink& link, const wire::ToStep& first, const StepFront& front) {
  return Play(link, front).run(first);
}

}  // namespace gangway::submit
