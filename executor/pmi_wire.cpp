#include "executor/pmi_wire.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::executor {
namespace {

constexpr std::size_t kLengthBytes = 6;  // of PMI-2's frames
constexpr std::size_t kMaxValues = 4096;
constexpr std::string_view kEndOfLines = "endcmd";

Error malformed(std::string_view what) {
  return {ErrorKind::Corrupt, cat("PMI: ", what, " is not a command")};
}

// "key=value"; nullopt without "=".
std::optional<std::pair<std::string, std::string>> split_pair(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

// "cmd=kvs-put;key=a;value=b;;c;" in order; a ";" in a value is doubled.
std::optional<PmiValues> parse_frame(std::string_view text) {
  PmiValues values;
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0 || values.size() == kMaxValues) {
      return std::nullopt;
    }
    std::string value;
    std::size_t at = equals + 1;
    for (;; ++at) {
      if (at >= text.size()) return std::nullopt;  // unfinished
      if (text[at] == ';') {
        if (at + 1 >= text.size() || text[at + 1] != ';') break;
        ++at;
      }
      value.push_back(text[at]);
    }
    values.emplace_back(std::string(text.substr(0, equals)), std::move(value));
    text.remove_prefix(at + 1);
  }
  return values;
}

}  // namespace

const std::string* PmiCommand::find(std::string_view key) const {
  const auto found = std::ranges::find(
      values, key, [](const auto& value) { return std::string_view(value.first); });
  return found == values.end() ? nullptr : &found->second;
}

std::string PmiCommand::get_or(std::string_view key, std::string_view other) const {
  const std::string* value = find(key);
  return value != nullptr ? *value : std::string(other);
}

Result<std::optional<PmiCommand>> PmiReader::next() {
  if (version_ == PmiVersion::Two) return next_frame();
  return waiting_.starts_with("mcmd=") ? next_lines() : next_line();
}

Result<std::optional<PmiCommand>> PmiReader::next_line() {
  const std::size_t end = waiting_.find('\n');
  if (end == std::string::npos) {
    if (waiting_.size() > kMaxPmiCommandBytes) return malformed("a line without an end");
    return std::optional<PmiCommand>();
  }
  PmiCommand command;
  for (const std::string_view word : split(std::string_view(waiting_).substr(0, end), ' ')) {
    if (word.empty()) continue;
    auto pair = split_pair(word);
    if (!pair || command.values.size() == kMaxValues) return malformed("a word without \"=\"");
    if (command.name.empty() && pair->first == "cmd") {
      command.name = std::move(pair->second);
    } else {
      command.values.push_back(*std::move(pair));
    }
  }
  if (command.name.empty()) return malformed("a line without \"cmd=\"");
  waiting_.erase(0, end + 1);
  return std::optional(std::move(command));
}

Result<std::optional<PmiCommand>> PmiReader::next_lines() {
  PmiCommand command;
  std::string_view rest = waiting_;
  while (true) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (waiting_.size() > kMaxPmiCommandBytes) return malformed("\"mcmd\" without an end");
      return std::optional<PmiCommand>();
    }
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line == kEndOfLines) break;
    auto pair = split_pair(line);
    if (!pair || command.values.size() == kMaxValues) return malformed("a line without \"=\"");
    if (command.name.empty()) {
      command.name = std::move(pair->second);  // of "mcmd", the first
    } else {
      command.values.push_back(*std::move(pair));
    }
  }
  if (command.name.empty()) return malformed("\"mcmd\" without a name");
  waiting_.erase(0, waiting_.size() - rest.size());
  return std::optional(std::move(command));
}

Result<std::optional<PmiCommand>> PmiReader::next_frame() {
  if (waiting_.size() < kLengthBytes) return std::optional<PmiCommand>();
  const auto length =
      parse_integer<std::size_t>(trim(std::string_view(waiting_).substr(0, kLengthBytes)));
  if (!length || *length > kMaxPmiCommandBytes) return malformed("a frame of that length");
  if (waiting_.size() < kLengthBytes + *length) return std::optional<PmiCommand>();
  std::optional<PmiValues> values =
      parse_frame(std::string_view(waiting_).substr(kLengthBytes, *length));
  if (!values || values->empty() || values->front().first != "cmd") return malformed("a frame");
  PmiCommand command;
  command.name = std::move(values->front().second);
  values->erase(values->begin());
  command.values = *std::move(values);
  waiting_.erase(0, kLengthBytes + *length);
  return std::optional(std::move(command));
}

std::string render_pmi(PmiVersion version, std::string_view name, const PmiValues& values) {
  if (version == PmiVersion::One) {
    std::string line = cat("cmd=", name);
    for (const auto& [key, value] : values) line += cat(' ', key, '=', value);
    return line + '\n';
  }
  std::string text = cat("cmd=", name, ';');
  for (const auto& [key, value] : values) {
    text += cat(key, '=');
    for (const char c : value) {
      if (c == ';') text.push_back(';');
      text.push_back(c);
    }
    text.push_back(';');
  }
  std::string frame = cat(text.size());
  frame.resize(kLengthBytes, ' ');
  return frame + text;
}

std::string render_process_mapping(const std::vector<std::size_t>& ranks_of_node) {
  std::string text = "(vector";
  for (std::size_t i = 0; i < ranks_of_node.size();) {
    std::size_t same = i;
    while (same < ranks_of_node.size() && ranks_of_node[same] == ranks_of_node[i]) ++same;
    if (ranks_of_node[i] > 0) text += cat(",(", i, ',', same - i, ',', ranks_of_node[i], ')');
    i = same;
  }
  text += ')';
  return text.size() <= kMaxPmiValueBytes ? text : std::string();
}

}  // namespace gangway::executor
