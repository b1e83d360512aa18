#include "containers/subordinate_ids.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

constexpr std::uint32_t kIdsInside = 65536;
constexpr std::size_t kMaxRanges = 340;  // what the kernel takes, user_namespaces(7)
constexpr std::size_t kMaxFileBytes = std::size_t{4} << 20;
constexpr const char* kUidHelper = "/usr/bin/newuidmap";

Result<std::vector<IdRange>> read_ranges(const char* path, const UserIdentity& user) {
  const std::vector<IdRange> ranges =
      parse_subordinate_ids(read_small_file(path, kMaxFileBytes).value_or(""), user.name, user.uid);
  if (!ranges.empty()) return ranges;
  const std::string who = user.name.empty() ? cat(user.uid) : user.name;
  return Error(ErrorKind::Unsupported,
               cat("--user needs subordinate ids, and ", path, " has none for ", who,
                   "; an administrator gives them: usermod --add-subuids 100000-165535 "
                   "--add-subgids 100000-165535 ",
                   who));
}

}  // namespace

std::vector<IdRange> parse_subordinate_ids(std::string_view text,
                                           const std::string& name,
                                           uid_t uid) {
  std::vector<IdRange> ranges;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> parts = split(line, ':');
    if (parts.size() != 3 || parts[0].empty()) continue;
    if (parts[0] != name && parts[0] != cat(uid)) continue;
    const auto first = parse_integer<std::uint32_t>(parts[1]);
    const auto count = parse_integer<std::uint32_t>(trim(parts[2]));
    // 0 would be the node's root, whatever the file says.
    if (!first || !count || *first == 0 || *count == 0 || *count > UINT32_MAX - *first) continue;
    ranges.push_back({.inside = 0, .outside = *first, .count = *count});
  }
  return ranges;
}

std::vector<IdRange> fill_id_map(const std::vector<IdRange>& fixed,
                                 const std::vector<IdRange>& ranges) {
  std::vector<IdRange> map;
  std::set<std::uint32_t> inside;
  std::set<std::uint32_t> outside;
  for (const IdRange& one : fixed) {
    if (inside.contains(one.inside) || outside.contains(one.outside)) continue;
    inside.insert(one.inside);
    outside.insert(one.outside);
    map.push_back(one);
  }
  // Piece by piece up to the next number that is taken on either side.
  const auto free_from = [](const std::set<std::uint32_t>& taken, std::uint32_t from) {
    while (taken.contains(from)) ++from;
    return from;
  };
  const auto run_from = [](const std::set<std::uint32_t>& taken, std::uint32_t from,
                           std::uint32_t most) {
    const auto next = taken.lower_bound(from);
    return next == taken.end() ? most : std::min(most, *next - from);
  };
  std::uint32_t next = free_from(inside, 0);
  for (const IdRange& range : ranges) {
    const std::uint32_t end = range.outside + range.count;
    std::uint32_t from = free_from(outside, range.outside);
    while (from < end && next < kIdsInside && map.size() < kMaxRanges) {
      const std::uint32_t count =
          std::min(run_from(inside, next, kIdsInside - next), run_from(outside, from, end - from));
      map.push_back({.inside = next, .outside = from, .count = count});
      next = free_from(inside, next + count);
      from = free_from(outside, from + count);
    }
  }
  return map;
}

Result<IdMaps> make_ranged_maps(const UserIdentity& user,
                                const UserIdentity& inside,
                                bool privileged) {
  GANGWAY_ASSIGN(const std::vector<IdRange> uids, read_ranges("/etc/subuid", user));
  GANGWAY_ASSIGN(const std::vector<IdRange> gids, read_ranges("/etc/subgid", user));
  if (!privileged && access(kUidHelper, X_OK) != 0) {
    return Error(ErrorKind::Unsupported,
                 cat("--user needs ", kUidHelper, " to map subordinate ids (package uidmap)"));
  }
  IdMaps maps{.uids = fill_id_map({{.inside = inside.uid, .outside = user.uid}}, uids),
              .gids = {},
              .deny_setgroups = false,
              .by_helper = !privileged};
  std::vector<IdRange> fixed{{.inside = inside.gid, .outside = user.gid}};
  if (privileged) {
    for (const gid_t group : user.groups) fixed.push_back({.inside = group, .outside = group});
  }
  maps.gids = fill_id_map(fixed, gids);
  return maps;
}

}  // namespace gangway::containers
