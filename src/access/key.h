// Keys as clients carry them, and what is kept of them.
//
//   pk_ | 43 digits in base 62: 32 random bytes | 6 digits: CRC-32 of all before
//
// The checksum tells a mistyped or invented key without asking anybody. A store keeps of a key its
// id, its first digits (to recognise it by) and SHA-256(pepper || key): what is read from the
// database opens nothing, and without the pepper cannot be tried either. 256 random bits need no
// slow hash: there is nothing to guess.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::access {

inline constexpr std::string_view kKeyMark = "pk_";
inline constexpr std::size_t kKeyDigits = 43;
inline constexpr std::size_t kKeyCheckDigits = 6;
inline constexpr std::size_t kKeyBytes = kKeyMark.size() + kKeyDigits + kKeyCheckDigits;
inline constexpr std::size_t kPrefixDigits = 8;  // shown, behind "pk_"

// A new key, and a new id ("key_" and 16 digits). An Error if the machine has no randomness.
Result<std::string> make_key();
Result<std::string> make_key_id();

// Whether it is written as a key is, checksum included. Costs no look-up.
bool well_formed(std::string_view key);
// The part of a key that may be shown: "pk_" and its first eight digits. REQUIRES: well_formed.
std::string_view prefix_of(std::string_view key);

// 32 random bytes, as text in base 62: a secret for where none is configured.
Result<std::string> make_secret();

using Digest = std::array<unsigned char, 32>;
bool equal(const Digest& a, const Digest& b);  // in constant time
struct DigestHash {
  // Its bytes are as good as random, to whoever does not know the pepper.
  std::size_t operator()(const Digest& digest) const {
    std::size_t value = 0;
    std::memcpy(&value, digest.data(), sizeof value);
    return value;
  }
};
struct DigestEqual {
  bool operator()(const Digest& a, const Digest& b) const { return equal(a, b); }
};

// Makes digests, on any thread. OpenSSL's contexts are made once: making one costs more than the
// digest.
class Hasher {
 public:
  // The pepper is HMAC-SHA256(secret, "penstock key pepper v1").
  explicit Hasher(std::string_view secret);
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  ~Hasher();

  Digest digest(std::string_view key) const;

 private:
  // One for each of the threads that are at it, on cache lines of their own.
  struct alignas(64) Place {
    mutable std::atomic_flag taken;
    EVP_MD_CTX* context = nullptr;
  };
  static constexpr std::size_t kPlaces = 64;

  Digest pepper_{};
  EVP_MD* sha256_;
  std::array<Place, kPlaces> places_;
};

}  // namespace penstock::access
