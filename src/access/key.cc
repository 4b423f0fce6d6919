#include "access/key.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <zlib.h>

#include <cstdlib>
#include <thread>

namespace penstock::access {
namespace {

constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kPepperLabel = "penstock key pepper v1";
constexpr std::size_t kIdDigits = 16;

bool is_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

Error no_randomness() {
  return {Kind::internal, Source::gateway, false, "the machine gives no random bytes"};
}

// A number of 32 bytes in base 62: 43 digits, because 62^43 is just above 2^256.
std::string in_digits(std::array<unsigned char, 32> number) {
  std::string out(kKeyDigits, '0');
  for (std::size_t at = out.size(); at > 0; --at) {
    unsigned rest = 0;
    for (unsigned char& byte : number) {
      const unsigned whole = rest * 256 + byte;
      byte = static_cast<unsigned char>(whole / 62);
      rest = whole % 62;
    }
    out[at - 1] = kDigits[rest];
  }
  return out;
}

std::array<char, kKeyCheckDigits> check_digits(std::string_view text) {
  auto sum = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
  std::array<char, kKeyCheckDigits> out;
  for (std::size_t at = out.size(); at > 0; --at) {
    out[at - 1] = kDigits[sum % 62];
    sum /= 62;
  }
  return out;
}

}  // namespace

Result<std::string> make_secret() {
  std::array<unsigned char, 32> bytes;
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return no_randomness();
  return in_digits(bytes);
}

Result<std::string> make_key() {
  Result<std::string> digits = make_secret();
  if (!digits) return digits;
  std::string key(kKeyMark);
  key += *digits;
  const auto check = check_digits(key);
  key.append(check.data(), check.size());
  return key;
}

Result<std::string> make_key_id() {
  Result<std::string> digits = make_secret();
  if (!digits) return digits;
  // The last ones: the first is not evenly spread.
  return "key_" + digits->substr(kKeyDigits - kIdDigits);
}

bool well_formed(std::string_view key) {
  if (key.size() != kKeyBytes || !key.starts_with(kKeyMark)) return false;
  for (const char c : key.substr(kKeyMark.size())) {
    if (!is_digit(c)) return false;
  }
  const auto check = check_digits(key.substr(0, kKeyBytes - kKeyCheckDigits));
  return key.substr(kKeyBytes - kKeyCheckDigits) == std::string_view(check.data(), check.size());
}

std::string_view prefix_of(std::string_view key) {
  return key.substr(0, kKeyMark.size() + kPrefixDigits);
}

bool equal(const Digest& a, const Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// No memory, or an OpenSSL without SHA-256: nothing can be done, and nothing may be let in.
Hasher::Hasher(std::string_view secret) : sha256_(EVP_MD_fetch(nullptr, "SHA256", nullptr)) {
  if (sha256_ == nullptr) std::abort();
  unsigned size = 0;
  if (HMAC(sha256_, secret.data(), static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(kPepperLabel.data()), kPepperLabel.size(),
           pepper_.data(), &size) == nullptr) {
    std::abort();
  }
  for (Place& place : places_) {
    place.context = EVP_MD_CTX_new();
    if (place.context == nullptr || EVP_DigestInit_ex2(place.context, sha256_, nullptr) != 1) {
      std::abort();
    }
  }
}

Hasher::~Hasher() {
  for (Place& place : places_) EVP_MD_CTX_free(place.context);
  EVP_MD_free(sha256_);
  OPENSSL_cleanse(pepper_.data(), pepper_.size());
}

Digest Hasher::digest(std::string_view key) const {
  // Where a thread begins to look is nearly always free: nobody else begins there.
  std::size_t at =
      std::hash<std::thread::id>{}(std::this_thread::get_id()) * 0x9e3779b97f4a7c15u >> 32;
  while (places_[at % kPlaces].taken.test_and_set(std::memory_order_acquire)) ++at;
  const Place& place = places_[at % kPlaces];
  Digest out;
  unsigned size = 0;
  const bool done = EVP_DigestInit_ex2(place.context, nullptr, nullptr) == 1 &&
                    EVP_DigestUpdate(place.context, pepper_.data(), pepper_.size()) == 1 &&
                    EVP_DigestUpdate(place.context, key.data(), key.size()) == 1 &&
                    EVP_DigestFinal_ex(place.context, out.data(), &size) == 1;
  place.taken.clear(std::memory_order_release);
  if (!done) std::abort();
  return out;
}

}  // namespace penstock::access
