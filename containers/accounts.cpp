#include "containers/accounts.hpp"

#include <algorithm>
#include <optional>
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

namespace {

constexpr std::uint32_t kNoId = 4294967295U;

std::optional<std::uint32_t> number(std::string_view text) {
  const auto value = parse_integer<std::uint32_t>(text);
  return value && *value != kNoId ? value : std::nullopt;
}

bool has_member(std::string_view members, std::string_view name) {
  const std::vector<std::string_view> names = split(members, ',');
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Result<UserIdentity> find_image_user(std::string_view passwd,
                                     std::string_view group,
                                     std::string_view user) {
  const std::size_t colon = user.find(':');
  const std::string_view group_part =
      colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
  std::string_view name = user.substr(0, colon);
  if (name.empty()) name = "0";
  const auto uid = number(name);
  UserIdentity found{
      .uid = uid.value_or(kNoId), .gid = 0, .groups = {}, .name = {}, .home = "/", .shell = {}};
  for (const std::string_view line : split(passwd, '\n')) {
    const auto parts = entry(line, 7);
    if (parts.empty() || !number(parts[2])) continue;
    if (parts[0] != name && number(parts[2]) != uid) continue;
    found.uid = *number(parts[2]);
    found.gid = number(parts[3]).value_or(0);
    found.name = std::string(parts[0]);
    if (parts[5].starts_with('/')) found.home = std::string(parts[5]);
    found.shell = std::string(parts[6]);
    break;
  }
  if (found.uid == kNoId) {
    return Error(ErrorKind::NotFound,
                 cat("the image's user ", name.substr(0, 100), " is not in its /etc/passwd"));
  }
  if (found.name.empty() && found.uid == 0) found.name = "root";
  if (found.uid == 0 && found.home == "/") found.home = "/root";
  bool group_known = group_part.empty();
  for (const std::string_view line : split(group, '\n')) {
    const auto parts = entry(line, 4);
    if (parts.empty() || !number(parts[2])) continue;
    if (!group_part.empty()) {
      if (parts[0] != group_part) continue;
      found.gid = *number(parts[2]);
      group_known = true;
      break;
    }
    if (!uid && has_member(parts[3], found.name)) found.groups.push_back(*number(parts[2]));
  }
  if (!group_known) {
    const auto gid = number(group_part);
    if (!gid) {
      return Error(ErrorKind::NotFound, cat("the image's group ", group_part.substr(0, 100),
                                            " is not in its /etc/group"));
    }
    found.gid = *gid;
  }
  return found;
}

}  // namespace gangway::containers
