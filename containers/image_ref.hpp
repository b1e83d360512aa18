// Names of images: digests, and "PATH[:reference]" as people write it. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "queues/base/result.hpp"

namespace gangway::containers {

// A SHA-256 digest that has been checked: safe as a file name.
class Digest {
 public:
  // "sha256:<64 lower-case hexadecimal digits>".
  // Errors: Invalid (not of the digest grammar), Unsupported (another algorithm).
  [[nodiscard]] static Result<Digest> parse(std::string_view text);
  // Of 64 hexadecimal digits, as our own hash functions give them. Requires: valid.
  [[nodiscard]] static Digest of_hex(std::string hex);

  [[nodiscard]] const std::string& hex() const { return hex_; }
  [[nodiscard]] std::string text() const { return "sha256:" + hex_; }
  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  explicit Digest(std::string hex) : hex_(std::move(hex)) {}
  std::string hex_;
};

// The digest of a stack of layers: chain(n) = sha256(chain(n-1) + " " + diff(n)).
[[nodiscard]] Digest next_chain_id(const Digest* chain, const Digest& diff_id);

struct ImageName {
  std::string path;
  std::string reference;  // "" if none was given
  friend bool operator==(const ImageName&, const ImageName&) = default;
};
// A path may contain colons itself, so the longest part before a colon that exists is the path.
[[nodiscard]] ImageName split_image_name(const std::string& text,
                                         const std::function<bool(const std::string&)>& exists);

// "busybox:latest", "docker.io/library/busybox:latest" and "latest" all match the reference
// "latest"; without a tag in `name` only equality does.
[[nodiscard]] bool reference_matches(std::string_view name, std::string_view reference);

}  // namespace gangway::containers
