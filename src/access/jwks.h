// A set of public keys (JWKS, RFC 7517): RSA, EC on P-256, and Ed25519 (RFC 8037).
//
// The key decides the algorithm, never the token: an RSA key verifies RS256 and nothing else. So
// there is no way to have a public key taken for the secret of an HMAC, nor to ask for none at all.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::access {

enum class Algorithm : std::uint8_t { rs256, es256, eddsa };
std::string_view name_of(Algorithm algorithm);

struct PublicKey {
  std::string kid;  // empty: it has none
  Algorithm algorithm = Algorithm::rs256;
  std::shared_ptr<EVP_PKEY> key;
};

struct KeySet {
  std::vector<PublicKey> keys;
  // What was left out, and why: "key \"a\": its modulus has 1024 bits; 2048 to 8192 are taken".
  std::vector<std::string> left_out;

  // The key for a token: the one of its kid, or, where it names none, the only one of its
  // algorithm. Null: none, or not just one.
  const PublicKey* find(std::string_view kid, Algorithm algorithm) const;
};
inline constexpr std::size_t kMostKeys = 100;

// An Error if it is no set at all. One bad key does not spoil the others: it is left out.
Result<KeySet> parse_jwks(std::string_view json);

}  // namespace penstock::access
