#include "queues/model/account.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway {

std::string to_string(const AssociationKey& key) {
  return key.user.empty() ? key.account.value : cat(key.account.value, '/', key.user);
}

Result<void> check_account_name(std::string_view name) {
  constexpr std::size_t kMaxBytes = 64;
  const bool is_plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
  if (name.empty() || name.size() > kMaxBytes || !is_plain) {
    return Error(ErrorKind::Invalid,
                 cat("account \"", name,
                     "\": names have 1 to 64 letters, digits, dots, dashes and underscores"));
  }
  if (name == kRootAccount) {
    return Error(ErrorKind::Invalid, cat("account \"", name, "\" is the root of all others"));
  }
  return {};
}

}  // namespace gangway
