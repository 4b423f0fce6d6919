#include "redis/script.h"

#include <openssl/evp.h>

#include <array>

namespace penstock::redis {

Script::Script(std::string_view text) : text_(text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  constexpr std::string_view kHex = "0123456789abcdef";
  for (unsigned i = 0; i < size; ++i) {
    sha_ += kHex[digest[i] >> 4];
    sha_ += kHex[digest[i] & 15];
  }
}

}  // namespace penstock::redis
