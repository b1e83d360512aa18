#include "containers/image_ref.hpp"

#include <algorithm>

#include "queues/base/check.hpp"
#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool is_sha256_hex(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, is_hex);
}

// algorithm ::= component ([+._-] component)*, component ::= [a-z0-9]+ (image-spec, descriptor.md).
bool is_algorithm(std::string_view text) {
  bool may_separate = false;
  for (const char c : text) {
    if (is_lower_or_digit(c)) {
      may_separate = true;
    } else if (may_separate && (c == '+' || c == '.' || c == '_' || c == '-')) {
      may_separate = false;
    } else {
      return false;
    }
  }
  return may_separate;
}

// What a message may repeat of hostile input.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 100)) {
    out += (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) ? '?' : c;
  }
  return out;
}

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view algorithm = text.substr(0, colon);
  if (colon == std::string_view::npos || !is_algorithm(algorithm)) {
    return Error(ErrorKind::Invalid, cat("malformed digest ", shown(text)));
  }
  const std::string_view encoded = text.substr(colon + 1);
  if (algorithm != "sha256") {
    return Error(ErrorKind::Unsupported, cat("digest algorithm ", shown(algorithm)));
  }
  if (!is_sha256_hex(encoded)) {
    return Error(ErrorKind::Invalid, cat("malformed digest ", shown(text)));
  }
  return Digest(std::string(encoded));
}

Digest Digest::of_hex(std::string hex) {
  CHECK(is_sha256_hex(hex));
  return Digest(std::move(hex));
}

Digest next_chain_id(const Digest* chain, const Digest& diff_id) {
  if (chain == nullptr) return diff_id;
  return Digest::of_hex(sha256_hex(chain->text() + " " + diff_id.text()));
}

ImageName split_image_name(const std::string& text,
                           const std::function<bool(const std::string&)>& exists) {
  if (exists(text)) return {text, ""};
  for (std::size_t colon = text.rfind(':'); colon != std::string::npos && colon > 0;
       colon = text.rfind(':', colon - 1)) {
    const std::string path = text.substr(0, colon);
    if (exists(path)) return {path, text.substr(colon + 1)};
  }
  return {text, ""};
}

bool reference_matches(std::string_view name, std::string_view reference) {
  if (name == reference) return true;
  // The tag of a name with a registry port ("host:5000/name:tag") is after the last slash.
  const std::size_t colon = name.rfind(':');
  const std::size_t slash = name.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash) &&
      name.substr(colon + 1) == reference) {
    return true;
  }
  // "busybox:latest" for "docker.io/library/busybox:latest".
  return name.size() > reference.size() && name.ends_with(reference) &&
         name[name.size() - reference.size() - 1] == '/';
}

}  // namespace gangway::containers
