#include "executor/pmi_server.hpp"

#include <algorithm>
#include <utility>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway::executor {

using pmi_action::Answer;
using pmi_action::Cut;
using pmi_action::Tell;

namespace {

constexpr std::string_view kMappingKey = "PMI_process_mapping";
constexpr std::size_t kMaxAbortBytes = 1024;
constexpr std::size_t kEnvelopeBytes = 16;  // of one put in a fence
constexpr std::size_t kEntryBytes = 128;    // of a map, beside key and value

wire::FromPmix state_of(std::uint32_t rank, bool finalized) {
  wire::FromPmix message;
  message.mutable_rank_state()->set_rank(rank);
  message.mutable_rank_state()->set_connected(!finalized);
  message.mutable_rank_state()->set_finalized(finalized);
  return message;
}

std::string printable(std::string text) {
  text.resize(std::min(text.size(), kMaxAbortBytes));
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace

PmiServer::PmiServer(PmiJob job) : job_(std::move(job)), ranks_(job_.local.count) {
  if (!job_.process_mapping.empty()) keep(std::string(kMappingKey), job_.process_mapping);
}

PmiActions PmiServer::on_bytes(std::uint32_t number, std::string_view bytes) {
  CHECK(number >= job_.local.first && number - job_.local.first < ranks_.size());
  PmiActions actions;
  Rank& from = rank(number);
  if (from.over) return actions;
  from.reader.push(bytes);
  while (!from.over) {
    const Result<std::optional<PmiCommand>> command = from.reader.next();
    if (!command) {
      from.over = true;
      actions.emplace_back(Cut{number, command.error().message()});
      break;
    }
    if (!command->has_value()) break;
    obey(number, **command, actions);
  }
  return actions;
}

void PmiServer::obey(std::uint32_t number, const PmiCommand& command, PmiActions& actions) {
  Rank& from = rank(number);
  from.thread = command.get_or("thrid", "");
  if (command.name == "init" && from.version == PmiVersion::One) {
    init(number, command, actions);
  } else if (from.version == PmiVersion::Two) {
    obey_2(number, command, actions);
  } else {
    obey_1(number, command, actions);
  }
}

void PmiServer::init(std::uint32_t number, const PmiCommand& command, PmiActions& actions) {
  Rank& from = rank(number);
  const std::string version = command.get_or("pmi_version", "1");
  const bool known = version == "1" || version == "2";
  answer(number, "response_to_init",
         {{"pmi_version", known ? version : "1"},
          {"pmi_subversion", version == "1" ? "1" : "0"},
          {"rc", known ? "0" : "-1"}},
         actions);
  if (!known) return;
  from.version = version == "2" ? PmiVersion::Two : PmiVersion::One;
  from.reader.set_version(from.version);
  if (std::exchange(from.connected, true)) return;
  actions.emplace_back(Tell{state_of(number, false)});
}

void PmiServer::obey_1(std::uint32_t number, const PmiCommand& command, PmiActions& actions) {
  const std::string& name = command.name;
  if (name == "get_maxes") {
    answer(number, "maxes",
           {{"kvsname_max", "256"},
            {"keylen_max", cat(kMaxPmiKeyBytes)},
            {"vallen_max", cat(kMaxPmiValueBytes)},
            {"rc", "0"}},
           actions);
  } else if (name == "get_appnum") {
    answer(number, "appnum", {{"appnum", "0"}, {"rc", "0"}}, actions);
  } else if (name == "get_universe_size") {
    answer(number, "universe_size", {{"size", cat(job_.universe)}, {"rc", "0"}}, actions);
  } else if (name == "get_my_kvsname") {
    answer(number, "my_kvsname", {{"kvsname", job_.id}, {"rc", "0"}}, actions);
  } else if (name == "put") {
    const std::string why = put(command.get_or("key", ""), command.get_or("value", ""));
    answer(number, "put_result",
           {{"rc", why.empty() ? "0" : "-1"}, {"msg", why.empty() ? "success" : why}}, actions);
  } else if (name == "get") {
    const auto found = command.get_or("kvsname", job_.id) == job_.id
                           ? space_.find(command.get_or("key", ""))
                           : space_.end();
    if (found == space_.end()) {
      answer(number, "get_result", {{"rc", "-1"}, {"msg", "key_not_found"}, {"value", "unknown"}},
             actions);
    } else {
      answer(number, "get_result", {{"rc", "0"}, {"msg", "success"}, {"value", found->second}},
             actions);
    }
  } else if (name == "barrier_in") {
    enter_fence(number, actions);
  } else if (name == "finalize") {
    answer(number, "finalize_ack", {{"rc", "0"}}, actions);
    actions.emplace_back(Tell{state_of(number, true)});
  } else if (name == "abort") {
    const auto code = parse_integer<std::int32_t>(command.get_or("exitcode", "1"));
    abort(number, code.value_or(1), command.get_or("message", ""), actions);
  } else {
    // As every answer to "x" is called "x_result", the rank learns that it cannot be done.
    const std::string result = name.substr(0, name.find('_')) + "_result";
    answer(number, result, {{"rc", "-1"}, {"info", "failed"}, {"msg", "not_supported"}}, actions);
  }
}

void PmiServer::obey_2(std::uint32_t number, const PmiCommand& command, PmiActions& actions) {
  const std::string& name = command.name;
  const std::string response = name + "-response";
  if (name == "fullinit") {
    answer(number, response,
           {{"rc", "0"},
            {"pmi-version", "2"},
            {"pmi-subversion", "0"},
            {"rank", cat(number)},
            {"size", cat(job_.tasks)},
            {"appnum", "0"},
            {"debugged", "FALSE"},
            {"pmiverbose", "FALSE"}},
           actions);
  } else if (name == "job-getid") {
    answer(number, response, {{"rc", "0"}, {"jobid", job_.id}}, actions);
  } else if (name == "kvs-put") {
    const std::string why = put(command.get_or("key", ""), command.get_or("value", ""));
    if (why.empty()) {
      answer(number, response, {{"rc", "0"}}, actions);
    } else {
      answer(number, response, {{"rc", "14"}, {"errmsg", why}}, actions);
    }
  } else if (name == "kvs-get") {
    const auto found = space_.find(command.get_or("key", ""));
    if (found == space_.end()) {
      answer(number, response, {{"rc", "0"}, {"found", "FALSE"}}, actions);
    } else {
      answer(number, response, {{"rc", "0"}, {"found", "TRUE"}, {"value", found->second}}, actions);
    }
  } else if (name == "kvs-fence") {
    enter_fence(number, actions);
  } else if (name == "info-getjobattr") {
    const std::string key = command.get_or("key", "");
    const auto found = key == kMappingKey ? space_.find(key) : space_.end();
    if (found != space_.end()) {
      answer(number, response, {{"rc", "0"}, {"found", "TRUE"}, {"value", found->second}}, actions);
    } else if (key == "universeSize") {
      answer(number, response, {{"rc", "0"}, {"found", "TRUE"}, {"value", cat(job_.universe)}},
             actions);
    } else {
      answer(number, response, {{"rc", "0"}, {"found", "FALSE"}}, actions);
    }
  } else if (name == "info-putnodeattr") {
    put_attribute(number, command, actions);
  } else if (name == "info-getnodeattr") {
    get_attribute(number, command, actions);
  } else if (name == "finalize") {
    answer(number, response, {{"rc", "0"}}, actions);
    actions.emplace_back(Tell{state_of(number, true)});
  } else if (name == "abort") {
    abort(number, 1, command.get_or("msg", ""), actions);
  } else {
    answer(number, response, {{"rc", "14"}, {"errmsg", "not supported"}}, actions);
  }
}

// ---- keys and values ---------------------------------------------------------------------------

std::string PmiServer::put(const std::string& key, const std::string& value) {
  if (key.empty() || key.size() > kMaxPmiKeyBytes) return "bad_key";
  if (value.size() > kMaxPmiValueBytes) return "value_too_long";
  const std::size_t bytes = key.size() + value.size() + kEnvelopeBytes;
  if (new_bytes_ + bytes > kMaxFenceBytes || !keep(key, value)) return "too_many_keys";
  new_bytes_ += bytes;
  wire::PmiPut& put = *new_puts_.add_puts();
  put.set_key(key);
  put.set_value(value);
  return {};
}

bool PmiServer::keep(const std::string& key, const std::string& value) {
  return keep_in(space_, key, value);
}

bool PmiServer::keep_in(std::map<std::string, std::string>& space,
                        const std::string& key,
                        const std::string& value) {
  const auto old = space.find(key);
  const std::size_t before = old == space.end() ? 0 : kEntryBytes + key.size() + old->second.size();
  const std::size_t after = space_bytes_ - before + kEntryBytes + key.size() + value.size();
  if (after > kMaxPmiSpaceBytes) return false;
  space_bytes_ = after;
  if (old == space.end()) {
    space.emplace(key, value);
  } else {
    old->second = value;
  }
  return true;
}

void PmiServer::put_attribute(std::uint32_t number,
                              const PmiCommand& command,
                              PmiActions& actions) {
  const std::string key = command.get_or("key", "");
  const std::string value = command.get_or("value", "");
  if (!keep_in(node_attributes_, key, value)) {
    answer(number, "info-putnodeattr-response", {{"rc", "14"}, {"errmsg", "too many"}}, actions);
    return;
  }
  answer(number, "info-putnodeattr-response", {{"rc", "0"}}, actions);
  for (std::uint32_t i = 0; i < job_.local.count; ++i) {
    const std::uint32_t waiting = job_.local.first + i;
    if (key.empty() || rank(waiting).waiting_for != key) continue;
    rank(waiting).waiting_for.clear();
    answer(waiting, "info-getnodeattr-response", {{"rc", "0"}, {"found", "TRUE"}, {"value", value}},
           actions);
  }
}

void PmiServer::get_attribute(std::uint32_t number,
                              const PmiCommand& command,
                              PmiActions& actions) {
  const std::string key = command.get_or("key", "");
  const auto found = node_attributes_.find(key);
  if (found != node_attributes_.end()) {
    answer(number, "info-getnodeattr-response",
           {{"rc", "0"}, {"found", "TRUE"}, {"value", found->second}}, actions);
  } else if (command.get_or("wait", "FALSE") == "TRUE") {
    rank(number).waiting_for = key;
  } else {
    answer(number, "info-getnodeattr-response", {{"rc", "0"}, {"found", "FALSE"}}, actions);
  }
}

// ---- fences ------------------------------------------------------------------------------------

void PmiServer::enter_fence(std::uint32_t number, PmiActions& actions) {
  if (std::exchange(rank(number).in_fence, true)) return;
  if (++in_fence_ < job_.local.count) return;
  Tell tell;
  wire::PmixFence& fence = *tell.message.mutable_fence();
  fence.set_id(next_fence_++);
  fence.set_whole(true);
  fence.set_data(new_puts_.SerializeAsString());
  new_puts_.clear_puts();
  new_bytes_ = 0;
  actions.emplace_back(std::move(tell));
}

PmiActions PmiServer::on_fence_done(const wire::PmixFenceDone& done) {
  PmiActions actions;
  if (in_fence_ != job_.local.count) return actions;  // none is under way
  wire::PmiPuts puts;
  bool good = done.status() == kPmixSuccess && puts.ParseFromString(done.data());
  for (const wire::PmiPut& put : puts.puts()) good = keep(put.key(), put.value()) && good;
  in_fence_ = 0;
  for (std::uint32_t i = 0; i < job_.local.count; ++i) {
    const std::uint32_t number = job_.local.first + i;
    rank(number).in_fence = false;
    if (rank(number).version == PmiVersion::One) {
      answer(number, "barrier_out", {{"rc", good ? "0" : "-1"}}, actions);
    } else {
      answer(number, "kvs-fence-response", {{"rc", good ? "0" : "14"}}, actions);
    }
  }
  return actions;
}

// ---- answers -----------------------------------------------------------------------------------

void PmiServer::answer(std::uint32_t number,
                       std::string_view name,
                       PmiValues values,
                       PmiActions& actions) const {
  const Rank& to = rank(number);
  if (to.version == PmiVersion::Two && !to.thread.empty()) {
    values.insert(values.begin(), {"thrid", to.thread});
  }
  actions.emplace_back(Answer{number, render_pmi(to.version, name, values)});
}

void PmiServer::abort(std::uint32_t number,
                      std::int32_t status,
                      std::string message,
                      PmiActions& actions) {
  Tell tell;
  tell.message.mutable_abort()->set_rank(number);
  tell.message.mutable_abort()->set_status(status);
  tell.message.mutable_abort()->set_message(printable(std::move(message)));
  actions.emplace_back(std::move(tell));
}

}  // namespace gangway::executor
