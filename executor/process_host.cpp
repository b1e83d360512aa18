#include "executor/process_host.hpp"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "executor/exit_status.hpp"
#include "queues/base/log.hpp"
#include "queues/base/process.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::executor {

namespace {

// The shepherd of the attempt, if its process runs.
std::optional<pid_t> find_shepherd(const AttemptDirectory& directory, const std::string& boot_id) {
  const Result<wire::AttemptRecord> record = directory.read_shepherd();
  if (!record || record->boot_id() != boot_id) return std::nullopt;
  const pid_t pid = record->shepherd_pid();
  if (pid <= 1 || find_start_time(pid) != record->shepherd_start_time()) return std::nullopt;
  return pid;
}

// An order of this boot without a shepherd's record: jexecd ended between starting it and now.
void wait_for_a_record(const AttemptDirectory& directory, const std::string& boot_id, int& turns) {
  const Result<wire::AttemptRecord> order = directory.read_order();
  if (!order || order->boot_id() != boot_id) return;
  while (turns > 0 && !directory.read_shepherd()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    --turns;
  }
}

}  // namespace

ProcessHost::ProcessHost(io::EventLoop& loop,
                         Spool& spool,
                         ProcessHostConfig config,
                         Fd launcher_socket,
                         std::function<void(const Error&)> on_launcher_lost)
    : loop_(loop),
      spool_(spool),
      config_(std::move(config)),
      launcher_(
          loop,
          std::move(launcher_socket),
          [this](pid_t pid, int wait_status) { on_ended(pid, wait_status); },
          std::move(on_launcher_lost)) {}

ProcessHost::~ProcessHost() {
  for (auto& [key, recovered] : recovered_) loop_.unwatch(recovered.watch);
}

std::vector<RecoveredAttempt> ProcessHost::recover() {
  std::vector<RecoveredAttempt> attempts;
  for (const std::string& path : spool_.list_forgotten()) launcher_.remove(path);
  int turns = 50;  // in all, not for each
  for (const AttemptKey& key : spool_.list_attempts()) {
    const AttemptDirectory directory = spool_.attempt(key);
    RecoveredAttempt attempt;
    attempt.key = key;
    const Result<wire::AttemptRecord> order = directory.read_order();
    attempt.leased = order && order->start().order().leased();
    if (Result<wire::StepFinished> finished = directory.read_finished()) {
      attempt.finished = *std::move(finished);
    } else {
      wait_for_a_record(directory, config_.boot_id, turns);
    }
    if (const auto pid = find_shepherd(directory, config_.boot_id)) {
      if (Result<Fd> process = open_process(*pid)) {
        // The pid may have changed hands while we looked; then it did not begin when it should
        // have.
        if (find_shepherd(directory, config_.boot_id) == pid) {
          attempt.shepherd_alive = true;
          watch_recovered(key, *std::move(process));
        }
      }
    }
    if (!attempt.shepherd_alive) {
      config_.clean_leftovers(to_string(key));
      // It may have written its last word while we looked for it.
      if (Result<wire::StepFinished> finished = directory.read_finished()) {
        attempt.finished = *std::move(finished);
      }
    }
    log_info("attempt_recovered", {{"attempt", to_string(key)},
                                   {"alive", attempt.shepherd_alive ? "yes" : "no"},
                                   {"finished", attempt.finished ? "yes" : "no"}});
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

void ProcessHost::watch_recovered(const AttemptKey& key, Fd process) {
  Recovered recovered;
  recovered.watch = loop_.watch_readable(process.get(), [this, key] {
    const auto found = recovered_.find(key);
    if (found == recovered_.end()) return;
    loop_.unwatch(found->second.watch);
    recovered_.erase(found);
    gone(key, "it ended");
  });
  recovered.process = std::move(process);
  recovered_.emplace(key, std::move(recovered));
}

void ProcessHost::spawn(const AttemptKey& key, const wire::Prepare& order, BootTime lease_until) {
  wire::ShepherdStart start_order = config_.node;
  *start_order.mutable_order() = order;
  start_order.set_lease_until_boot_ns(lease_until.ns);
  const std::uint32_t uid = order.owner().uid();
  const auto known = users_.find(uid);
  if (known != users_.end() && known->second.until > loop_.now().boot) {
    start(key, std::move(start_order), known->second.user);
    return;
  }
  launcher_.find_user(uid, [this, key, uid, start_order](Result<wire::UserRecord> user) {
    if (!user && user.error().kind() == ErrorKind::NotFound) {
      // The kernel of the submission host has vouched for the number, and no right hangs on a name:
      // the job runs with its uid and gid alone. Asked again next time: the entry may come.
      log_warning("user_without_entry", {{"attempt", to_string(key)}, {"uid", cat(uid)}});
      wire::UserRecord bare;
      bare.set_name(std::to_string(uid));
      bare.set_home("/");
      bare.set_shell("/bin/sh");
      start(key, start_order, bare);
      return;
    }
    if (!user) {
      gone(key, user.error().message());
      return;
    }
    users_[uid] = {*user, loop_.now().boot + kUserMemory};
    start(key, start_order, *user);
  });
}

void ProcessHost::start(const AttemptKey& key,
                        wire::ShepherdStart order,
                        const wire::UserRecord& user) {
  order.set_user_name(user.name());
  order.set_home(user.home());
  order.set_shell(user.shell());
  for (const std::uint32_t group : user.groups()) order.add_groups(group);
  wire::AttemptRecord record;
  *record.mutable_start() = std::move(order);
  record.set_boot_id(config_.boot_id);
  const AttemptDirectory directory = spool_.attempt(key);
  if (const Result<void> made = directory.create(record); !made) {
    loop_.post([this, key, why = made.error().message()] { gone(key, why); });
    return;
  }
  launcher_.spawn(config_.shepherd_program, directory.path(), [this, key](Result<pid_t> pid) {
    if (!pid) {
      gone(key, pid.error().message());
      return;
    }
    running_[*pid] = key;
  });
}

void ProcessHost::on_ended(pid_t pid, int wait_status) {
  const auto found = running_.find(pid);
  if (found == running_.end()) return;
  const AttemptKey key = found->second;
  running_.erase(found);
  gone(key, describe(read_wait_status(wait_status)));
}

void ProcessHost::gone(const AttemptKey& key, const std::string& why) {
  config_.clean_leftovers(to_string(key));
  std::optional<wire::StepFinished> finished;
  if (Result<wire::StepFinished> record = spool_.attempt(key).read_finished()) {
    finished = *std::move(record);
  }
  if (on_gone_) on_gone_(key, why, std::move(finished));
}

void ProcessHost::forget(const AttemptKey& key) {
  const Result<std::string> left = spool_.forget(key);
  if (!left) {
    log_warning("spool_forget_failed", {{"why", left.error().message()}});
  } else if (!left->empty()) {
    launcher_.remove(*left);
  }
}

Result<void> ProcessHost::note_epoch(std::uint64_t epoch) { return spool_.write_epoch(epoch); }

}  // namespace gangway::executor
