// Rules of Ingress in the one form in which places are compared and served.
//
// The scheduler gives each place to one user, and the balancer writes it into HAProxy's
// configuration: both ask here what a host and a path may be, so that what the one has taken the
// other can serve, and no spelling of a place is another place.
//
// Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"
#include "queues/model/service.hpp"

namespace gangway {

inline constexpr std::size_t kMaxRuleHost = 253;
inline constexpr std::size_t kMaxRulePath = 1024;

// Words of at most 63 letters, digits and dashes with dots between them, which begin and end with a
// letter or digit; "*." may stand before them. Not "".
[[nodiscard]] bool is_rule_host(std::string_view host);
// What begins with '/' and has of all else only what a URL's path has without quotes.
[[nodiscard]] bool is_rule_path(std::string_view path);

// The host in small letters; without what ends a path of whole components: "/api/" is "/api".
[[nodiscard]] IngressRule in_normal_form(IngressRule rule);
// Requires: in its normal form. Errors: Invalid, naming the field.
[[nodiscard]] Result<void> check_place(const IngressRule& rule);

// "a.example.org" of "*.example.org" and of "b.example.org": the hosts that one wildcard takes.
// "" if there is nothing before the first dot.
[[nodiscard]] std::string_view parent_of_host(std::string_view host);

// The endpoint's port that a rule means: by its number or name, or the only one. nullptr: none.
[[nodiscard]] const Endpoint::Port* find_port(const Endpoint& endpoint, std::string_view which);

}  // namespace gangway
