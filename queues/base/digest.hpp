// SHA-256, HMAC-SHA-256 and random bytes: the only file that includes OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace gangway {

// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  // The digest as 64 lower-case hexadecimal digits. Call once; no update() after it.
  [[nodiscard]] std::string finish_hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);
// 32 raw bytes.
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view message);
// Compares in a time that does not depend on where the two differ.
[[nodiscard]] bool equal_secrets(std::string_view a, std::string_view b);
// From the kernel, fit for secrets.
[[nodiscard]] std::string random_bytes(std::size_t count);

}  // namespace gangway
