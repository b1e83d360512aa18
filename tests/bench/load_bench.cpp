// Submissions from clients that keep their connections, beside one another on one scheduler.
//
//   load_bench flood [--clients N] [--window N] [--jobs N] [--distinct] [--ready]
//   load_bench pace  [--every-us N] [--jobs N]
//
// flood: each client has up to `window` submissions under way, each with a key of its own, and
// counts one when its answer has come, which is after the commit. With --distinct no two jobs are
// of one spec. pace: one submission at a time at even distances, until `jobs` are in or standard
// input ends; how long each took. Jobs are held, or, with --ready, wait for nothing but resources.
// GANGWAY_SOCKET names the scheduler.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"
#include "queues/wire/framing.hpp"
#include "queues/wire/gangway.pb.h"

extern char** environ;

namespace {

using namespace gangway;  // a program of its own
using Clock = std::chrono::steady_clock;

struct Choices {
  std::string mode;
  std::string socket = "/run/gangway/jschedd.sock";
  int clients = 4;
  std::uint32_t window = 64;
  std::uint64_t jobs = 0;
  bool distinct = false;
  bool ready = false;
  std::int64_t every_us = 5000;
};

[[noreturn]] void give_up(std::string_view what) {
  std::fprintf(stderr, "load_bench: %.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

// The bytes of a submission, of which only the key, the job's name and the stream change.
class Template {
 public:
  explicit Template(const Choices& choices) {
    JobSpec spec;
    spec.name = kName;
    spec.argv = {"/bin/true"};
    spec.launch = LaunchMode::Batch;
    spec.components = {Component{}};
    spec.workdir = "/tmp";
    spec.stdio.out = "/dev/null";
    spec.held = !choices.ready;
    for (char** one = environ; *one != nullptr; ++one) spec.env.emplace_back(*one);
    wire::Request request;
    request.mutable_submit()->set_key(std::string(kKey));
    wire::to_wire(spec, request.mutable_submit()->add_jobs()->mutable_spec());
    bytes_ = wire::encode(
        {.type = wire::FrameType::Request, .stream = 1, .payload = request.SerializeAsString()});
    key_at_ = bytes_.find(kKey);
    name_at_ = bytes_.find(kName);
    distinct_ = choices.distinct;
  }

  void append_to(std::string& out, std::uint32_t stream, std::uint64_t number) const {
    const std::size_t begin = out.size();
    out += bytes_;
    for (int i = 0; i < 4; ++i) {
      out[begin + 8 + static_cast<std::size_t>(i)] = static_cast<char>(stream >> (24 - 8 * i));
    }
    char digits[33];
    // Scattered as made keys are, not rising.
    std::snprintf(digits, sizeof digits, "%016llx%016llx",
                  static_cast<unsigned long long>(number * 0x9e3779b97f4a7c15ULL),
                  static_cast<unsigned long long>(number ^ run_));
    std::memcpy(&out[begin + key_at_], digits, kKey.size());
    if (distinct_) std::memcpy(&out[begin + name_at_], digits, kName.size());
  }

 private:
  static constexpr std::string_view kKey = "KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK";
  static constexpr std::string_view kName = "NNNNNNNNNNNNNNNN";
  std::string bytes_;
  std::size_t key_at_ = 0;
  std::size_t name_at_ = 0;
  bool distinct_ = false;
  std::uint64_t run_ = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()) << 20;
};

int connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) give_up("the socket's path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    give_up(cat("cannot connect to ", path, ": ", std::strerror(errno)));
  }
  return fd;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) give_up(cat("write: ", std::strerror(errno)));
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

struct Sent {
  Clock::time_point at;
  bool open = false;
};

// One connection and its conversation.
class Talker {
 public:
  Talker(const Choices& choices, const Template& text)
      : text_(text), fd_(connect_to(choices.socket)), sent_(choices.window + 1) {
    wire::Hello hello;
    hello.set_protocol_min(wire::kProtocolMin);
    hello.set_protocol_max(wire::kProtocolMax);
    hello.set_program("load_bench");
    out_ = wire::encode(
        {.type = wire::FrameType::Hello, .stream = 0, .payload = hello.SerializeAsString()});
    for (std::uint32_t i = choices.window; i > 0; --i) free_.push_back(i);
  }
  ~Talker() { ::close(fd_); }
  Talker(const Talker&) = delete;
  Talker& operator=(const Talker&) = delete;

  [[nodiscard]] bool may_ask() const { return !free_.empty(); }
  [[nodiscard]] std::size_t under_way() const { return sent_.size() - 1 - free_.size(); }
  void ask(std::uint64_t number) {
    const std::uint32_t stream = free_.back();
    free_.pop_back();
    sent_[stream] = {Clock::now(), true};
    text_.append_to(out_, stream, number);
  }
  void flush() {
    write_all(fd_, out_);
    out_.clear();
  }
  // Waits for at least one answer; false: the connection has ended.
  void hear(std::vector<double>& took_ms) {
    char buffer[65536];
    for (bool any = false; !any;) {
      const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) give_up("the scheduler closed the connection");
      reader_.feed({buffer, static_cast<std::size_t>(got)});
      for (;;) {
        auto frame = reader_.next();
        if (!frame) give_up(frame.error().message());
        if (!frame->has_value()) break;
        any = take(**frame, took_ms) || any;
      }
    }
  }

 private:
  bool take(const wire::Frame& frame, std::vector<double>& took_ms) {
    if (frame.type != wire::FrameType::Response) return false;
    wire::Response response;
    if (!response.ParseFromString(frame.payload)) give_up("an answer cannot be read");
    if (response.has_error()) give_up(response.error().message());
    Sent& sent = sent_.at(frame.stream);
    if (!sent.open) give_up("an answer that nobody asked for");
    sent.open = false;
    free_.push_back(frame.stream);
    took_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - sent.at).count());
    return true;
  }

  const Template& text_;
  int fd_;
  std::vector<Sent> sent_;  // by stream, from 1
  std::vector<std::uint32_t> free_;
  std::string out_;
  wire::FrameReader reader_;
};

double quantile(std::vector<double>& times, double q) {
  if (times.empty()) return 0;
  const auto at =
      times.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

void flood(const Choices& choices) {
  const Template text(choices);
  std::atomic<std::uint64_t> next{0};
  std::vector<std::vector<double>> took(static_cast<std::size_t>(choices.clients));
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  for (std::vector<double>& mine : took) {
    threads.emplace_back([&] {
      Talker talker(choices, text);
      for (bool more = true; more || talker.under_way() > 0;) {
        while (more && talker.may_ask()) {
          const std::uint64_t number = next.fetch_add(1, std::memory_order_relaxed);
          more = number < choices.jobs;
          if (more) talker.ask(number);
        }
        talker.flush();
        if (talker.under_way() > 0) talker.hear(mine);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<double> all;
  for (const auto& mine : took) all.insert(all.end(), mine.begin(), mine.end());
  std::printf(
      "%zu submissions of %d clients in %.2f s: %.0f/s; p50 %.2f ms, p99 %.2f ms, max %.2f ms\n",
      all.size(), choices.clients, seconds, static_cast<double>(all.size()) / seconds,
      quantile(all, 0.5), quantile(all, 0.99), quantile(all, 1));
}

bool standard_input_has_ended() {
  pollfd in{.fd = 0, .events = POLLIN, .revents = 0};
  char byte = 0;
  return ::poll(&in, 1, 0) > 0 && ::read(0, &byte, 1) <= 0;
}

void pace(const Choices& choices) {
  const Template text(choices);
  Talker talker(choices, text);
  std::vector<double> took;
  auto due = Clock::now();
  while (choices.jobs == 0 ? !standard_input_has_ended() : took.size() < choices.jobs) {
    std::this_thread::sleep_until(due);
    // Late ones are not left out: who comes at even distances would have met the wait.
    due += std::chrono::microseconds(choices.every_us);
    const auto asked = Clock::now();
    talker.ask(took.size());
    talker.flush();
    talker.hear(took);
    const auto late = std::chrono::duration<double, std::milli>(Clock::now() - asked).count();
    for (double left = late - static_cast<double>(choices.every_us) / 1000; left > 0;
         left -= static_cast<double>(choices.every_us) / 1000) {
      took.push_back(left);
      due += std::chrono::microseconds(choices.every_us);
    }
  }
  std::printf(
      "%zu submissions, one each %.1f ms: p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n",
      took.size(), static_cast<double>(choices.every_us) / 1000, quantile(took, 0.5),
      quantile(took, 0.9), quantile(took, 0.99), quantile(took, 1));
}

Choices read_choices(int argc, char** argv) {
  Choices choices;
  if (argc < 2) give_up("usage: load_bench flood|pace [options]; see its source");
  choices.mode = argv[1];
  if (const char* named = std::getenv("GANGWAY_SOCKET")) choices.socket = named;
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto number = [&]() -> std::uint64_t {
      if (i + 1 >= argc) give_up(cat(word, " needs a number"));
      return std::strtoull(argv[++i], nullptr, 10);
    };
    if (word == "--clients") {
      choices.clients = static_cast<int>(number());
    } else if (word == "--window") {
      choices.window = static_cast<std::uint32_t>(number());
    } else if (word == "--jobs") {
      choices.jobs = number();
    } else if (word == "--every-us") {
      choices.every_us = static_cast<std::int64_t>(number());
    } else if (word == "--distinct") {
      choices.distinct = true;
    } else if (word == "--ready") {
      choices.ready = true;
    } else {
      give_up(cat("unknown option ", word));
    }
  }
  return choices;
}

}  // namespace

int main(int argc, char** argv) {
  const Choices choices = read_choices(argc, argv);
  if (choices.mode == "flood") {
    flood(choices);
  } else if (choices.mode == "pace") {
    pace(choices);
  } else {
    give_up(cat("unknown mode ", choices.mode));
  }
  return 0;
}
