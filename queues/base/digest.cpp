#include "queues/base/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/random.h>

#include <cerrno>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"

namespace gangway {
namespace {
constexpr std::size_t kDigestBytes = 32;

// Without this the first digest reads and parses openssl.cnf, which costs a short-lived program
// more than all its other work.
void init_without_config() {
  static const bool done = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1;
  CHECK(done);
}

const unsigned char* as_unsigned(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
}  // namespace

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() {
  init_without_config();
  state_ = std::make_unique<State>();
  CHECK(state_->context != nullptr);
  CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1);
}

Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Sha256::finish_hex() {
  std::string raw(kDigestBytes, '\0');
  unsigned length = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(raw.data()),
                           &length) == 1);
  CHECK(length == kDigestBytes);
  return to_hex(raw);
}

std::string sha256_hex(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.finish_hex();
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  init_without_config();
  std::string raw(kDigestBytes, '\0');
  unsigned length = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_unsigned(message),
             message.size(), reinterpret_cast<unsigned char*>(raw.data()), &length) != nullptr);
  CHECK(length == kDigestBytes);
  return raw;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
    const ssize_t got = getrandom(bytes.data() + have, count - have, 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0);  // every kernel that can run a sandbox has getrandom
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace gangway
