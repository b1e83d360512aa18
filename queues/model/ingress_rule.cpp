#include "queues/model/ingress_rule.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway {
namespace {

constexpr std::size_t kMaxLabel = 63;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A word with a dash before it would be a flag where HAProxy reads patterns.
bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabel && is_alphanumeric(label.front()) &&
         is_alphanumeric(label.back()) &&
         std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

Error invalid(std::string message) { return {ErrorKind::Invalid, std::move(message)}; }

}  // namespace

bool is_rule_host(std::string_view host) {
  if (host.size() > kMaxRuleHost) return false;
  if (host.starts_with("*.")) host.remove_prefix(2);
  return !host.empty() && std::ranges::all_of(split(host, '.'), is_label);
}

bool is_rule_path(std::string_view path) {
  constexpr std::string_view kMore = "/-_.~%:@+=,";
  return path.starts_with('/') && path.size() <= kMaxRulePath &&
         std::ranges::all_of(path, [&](char c) {
           return is_alphanumeric(c) || kMore.find(c) != std::string_view::npos;
         });
}

IngressRule in_normal_form(IngressRule rule) {
  for (char& c : rule.host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  while (!rule.exact && rule.path.size() > 1 && rule.path.ends_with('/')) rule.path.pop_back();
  return rule;
}

Result<void> check_place(const IngressRule& rule) {
  if (!rule.host.empty() && !is_rule_host(rule.host)) {
    return invalid(cat("host ", rule.host,
                       ": words of letters, digits and dashes are possible, with dots between "
                       "them; *. may stand before"));
  }
  if (!is_rule_path(rule.path)) {
    return invalid(cat("path ", rule.path.substr(0, kMaxLabel), ": begins with /, has at most ",
                       kMaxRulePath, " characters, and of those only letters, digits and ",
                       "/-_.~%:@+=,"));
  }
  return {};
}

std::string_view parent_of_host(std::string_view host) {
  const std::size_t dot = host.find('.');
  return dot == std::string_view::npos ? std::string_view() : host.substr(dot + 1);
}

const Endpoint::Port* find_port(const Endpoint& endpoint, std::string_view which) {
  if (which.empty() && endpoint.ports.size() == 1) return &endpoint.ports.front();
  for (const Endpoint::Port& port : endpoint.ports) {
    if (!which.empty() && (port.name == which || cat(port.port) == which)) return &port;
  }
  return nullptr;
}

}  // namespace gangway
