#include "cache/key.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace penstock::cache {
namespace {

constexpr std::string_view kVersion = "penstock-cache-1";

}  // namespace

struct KeyMaker::Context {
  EVP_MD* digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Context() {
    EVP_MD_CTX_free(context);
    EVP_MD_free(digest);
  }
};

KeyMaker::KeyMaker() : context_(std::make_unique<Context>()) {
  if (context_->digest == nullptr || context_->context == nullptr) std::abort();
}

KeyMaker::~KeyMaker() = default;

Key KeyMaker::make(std::string_view scope, Endpoint endpoint, std::string_view model,
                   std::string_view canonical) {
  EVP_MD_CTX* const context = context_->context;
  bool good = EVP_DigestInit_ex2(context, context_->digest, nullptr) == 1;
  const auto add = [&](std::string_view part) {
    const std::uint64_t length = part.size();
    good = good && EVP_DigestUpdate(context, &length, sizeof length) == 1 &&
           EVP_DigestUpdate(context, part.data(), part.size()) == 1;
  };
  const char where = static_cast<char>(endpoint);
  add(kVersion);
  add(scope);
  add({&where, 1});
  add(model);
  add(canonical);
  Key key;
  good = good && EVP_DigestFinal_ex(context, key.data(), nullptr) == 1;
  if (!good) std::abort();  // hashing bytes in memory cannot fail
  return key;
}

std::string hex(const Key& key) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(key.size() * 2);
  for (const std::uint8_t byte : key) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace penstock::cache
