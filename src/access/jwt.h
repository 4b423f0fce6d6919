// Signed tokens (JWT, RFC 7519 and 8725): what they claim, where they may be believed.
//
//   base64url(header) . base64url(claims) . base64url(signature)
//        │                    │                   │
//        │ alg, kid           │ read only when    │ of all before, by a key of the set
//        v                    v it holds          v
//     a key whose type has this algorithm   RS256, ES256 (r || s), EdDSA (Ed25519)
//
// Whatever the header says of keys (jwk, jku, x5u, x5c) is not looked at, and what it says must be
// understood (crit) is refused: a token never says by what it is to be checked.
#pragma once

#include <string>
#include <string_view>

#include "access/jwks.h"
#include "base/clock.h"
#include "base/result.h"

namespace penstock::access {

struct JwtRules {
  std::string issuer;                   // exactly; an empty one is that of no token
  std::string audience;                 // one of the token's; likewise
  std::string tenant_claim = "tenant";  // "tenant", or a way to it: "app.tenant"
  Duration skew = 60s;                  // between the clocks
};

enum class Flaw : std::uint8_t {
  malformed,    // no token, or one that is not written as it must be
  algorithm,    // not one of the three
  unknown_key,  // no key of the set is its own: the set may be old
  signature,    // not by that key
  expired,
  early,     // not valid yet, or issued in the future
  issuer,    // another one's
  audience,  // for somebody else
  claims,    // something is missing or of a wrong kind
};

struct Claims {
  std::string subject;
  std::string tenant;
  WallTime expires;  // without the skew
};

struct Flawed {
  Flaw flaw;
  std::string detail;  // for the log and the client: names the claim, holds nothing of the token
};

inline constexpr std::size_t kMostToken = 8 * 1024;

// Whether it looks like a token: three parts with a dot between, not too long.
bool looks_like_token(std::string_view text);

Result<Claims, Flawed> verify(std::string_view token, const KeySet& keys, const JwtRules& rules,
                              WallTime now);

// What a tenant may be called: 1 to 64 of A-Z a-z 0-9 . _ @ -, the first a letter or digit. The
// names of keys in caches and in Redis are made of it, so it must not hold what parts them.
bool valid_tenant(std::string_view name);

}  // namespace penstock::access
