// Subordinate ids: more users inside a sandbox than the one who runs it (subuid(5)).
//
// One id inside, root or the image's user, is the job's own user outside; the others below 65536
// are numbers that the administrator has given that user in /etc/subuid and /etc/subgid. A
// privileged executor maps them itself, an ordinary user's asks newuidmap and newgidmap.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "containers/namespaces.hpp"
#include "containers/runtime.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

// What "name:first:count" lines give the user, whom they may know by name or by number. Pure.
[[nodiscard]] std::vector<IdRange> parse_subordinate_ids(std::string_view text,
                                                         const std::string& name,
                                                         uid_t uid);

// `fixed` as they are (of two with the same inside or outside the first), then the numbers from 0
// to 65535 that are free inside, in order, onto those of `ranges` that are free outside. Pure.
[[nodiscard]] std::vector<IdRange> fill_id_map(const std::vector<IdRange>& fixed,
                                               const std::vector<IdRange>& ranges);

// The maps of a sandbox in which `inside` stands for `user`. Supplementary groups keep their
// numbers, where an executor is privileged to map them.
// Errors: Unsupported, with what the administrator has to do.
[[nodiscard]] Result<IdMaps> make_ranged_maps(const UserIdentity& user,
                                              const UserIdentity& inside,
                                              bool privileged);

}  // namespace gangway::containers
