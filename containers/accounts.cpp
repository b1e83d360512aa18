#include "containers/accounts.hpp"

#include <algorithm>
#include <vector>

#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

// Entries of a line of `fields` colon-separated fields; empty if it is no such line.
std::vector<std::string_view> entry(std::string_view line, std::size_t fields) {
  const bool plain = std::ranges::all_of(
      line, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (!plain) return {};
  std::vector<std::string_view> parts = split(line, ':');
  if (parts.size() != fields || parts[0].empty()) return {};
  return parts;
}

// Without what would end a field or a line.
std::string field(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x20 && c != ':' && c != 0x7f) clean += c;
  }
  return clean;
}

std::string account_name(const UserIdentity& user) {
  const std::string name = field(user.name);
  return name.empty() ? cat("u", user.uid) : name;
}

}  // namespace

std::string merge_passwd(std::string_view image_text, const UserIdentity& user) {
  const std::string name = account_name(user);
  const std::string home = user.home.empty() ? "/" : field(user.home);
  const std::string shell = user.shell.empty() ? "/bin/sh" : field(user.shell);
  const std::string own = cat(name, ":x:", user.uid, ":", user.gid, "::", home, ":", shell, "\n");
  // First, so that a search by uid or by name ends here.
  std::string text = own;
  for (const std::string_view line : split(image_text, '\n')) {
    const auto parts = entry(line, 7);
    if (parts.empty() || parts[0] == name || parse_integer<uid_t>(parts[2]) == user.uid) continue;
    text.append(line).push_back('\n');
  }
  return text;
}

std::string merge_group(std::string_view image_text, const UserIdentity& user) {
  std::string text;
  std::string name = account_name(user);
  bool present = false;
  for (const std::string_view line : split(image_text, '\n')) {
    const auto parts = entry(line, 4);
    if (parts.empty()) continue;
    if (parse_integer<gid_t>(parts[2]) == user.gid) present = true;
    if (parts[0] == name) name += "-group";
    text.append(line).push_back('\n');
  }
  if (!present) text += cat(name, ":x:", user.gid, ":\n");
  return text;
}

}  // namespace gangway::containers
