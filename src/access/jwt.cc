#include "access/jwt.h"

#include <openssl/ecdsa.h>

#include <algorithm>
#include <cmath>

#include "access/base64url.h"
#include "access/json.h"

namespace penstock::access {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr std::size_t kMostSubject = 255;
constexpr std::size_t kMostTenant = 64;
constexpr double kMostSeconds = 4e9;  // the year 2096: what is later was not meant
constexpr std::size_t kEs256Half = 32;

struct Parts {
  std::string_view header, claims, signature;
  std::string_view signed_text;  // header.claims
};

std::optional<Parts> split(std::string_view token) {
  if (token.size() > kMostToken) return std::nullopt;
  const std::size_t first = token.find('.');
  if (first == token.npos || first == 0) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == token.npos || second == first + 1 || second + 1 == token.size()) {
    return std::nullopt;
  }
  if (token.find('.', second + 1) != token.npos) return std::nullopt;
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1),
               token.substr(second + 1), token.substr(0, second)};
}

bool equal_without_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

struct Header {
  Algorithm algorithm = Algorithm::rs256;
  std::string kid;
};

Result<Header, Flawed> read_header(std::string_view part) {
  const auto text = from_base64url(part);
  if (!text) return Flawed{Flaw::malformed, "the token's header is no base64url"};
  StrictJson reader;
  const Result<object> members = reader.read(*text);
  if (!members) return Flawed{Flaw::malformed, "the token's header: " + members.error().detail};
  bool wrong = false;
  const auto algorithm = string_member(*members, "alg", wrong);
  const auto kid = string_member(*members, "kid", wrong);
  const auto type = string_member(*members, "typ", wrong);
  if (wrong || !algorithm) return Flawed{Flaw::malformed, "the token's header has no proper alg"};
  if (members->at_key("crit").error() == simdjson::SUCCESS ||
      members->at_key("b64").error() == simdjson::SUCCESS) {
    return Flawed{Flaw::malformed, "the token's header asks for an extension"};
  }
  // An access token of RFC 9068 says so; what is meant for something else is none (RFC 8725, 3.11).
  if (type && !equal_without_case(*type, "jwt") && !equal_without_case(*type, "at+jwt") &&
      !equal_without_case(*type, "application/at+jwt")) {
    return Flawed{Flaw::malformed, "the token's typ is another one"};
  }
  Header header;
  if (kid) header.kid = *kid;
  for (const Algorithm one : {Algorithm::rs256, Algorithm::es256, Algorithm::eddsa}) {
    if (*algorithm == name_of(one)) {
      header.algorithm = one;
      return header;
    }
  }
  return Flawed{Flaw::algorithm, "the token's alg is not RS256, ES256 or EdDSA"};
}

// r || s, as JWS has it (RFC 7518 section 3.4), in DER, as OpenSSL has it.
std::string es256_in_der(std::string_view raw) {
  if (raw.size() != 2 * kEs256Half) return {};
  const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), &ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(bytes, kEs256Half, nullptr);
  BIGNUM* s = BN_bin2bn(bytes + kEs256Half, kEs256Half, nullptr);
  if (!signature || r == nullptr || s == nullptr || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return {};
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}

bool holds(const PublicKey& key, std::string_view text, std::string signature) {
  if (key.algorithm == Algorithm::es256) {
    signature = es256_in_der(signature);
    if (signature.empty()) return false;
  }
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  if (!context) return false;
  const EVP_MD* const hash = key.algorithm == Algorithm::eddsa ? nullptr : EVP_sha256();
  return EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key.key.get()) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                          text.size()) == 1;
}

// A NumericDate (RFC 7519 section 2). Nothing where it is absent; `wrong` where it is no such.
std::optional<WallTime> time_member(object members, std::string_view name, bool& wrong) {
  element value;
  if (members.at_key(name).get(value) != simdjson::SUCCESS) return std::nullopt;
  double seconds = 0;
  if (!value.is_number() || value.get(seconds) != simdjson::SUCCESS || !std::isfinite(seconds) ||
      seconds < 0 || seconds > kMostSeconds) {
    wrong = true;
    return std::nullopt;
  }
  return WallTime(
      std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(seconds)));
}

bool for_audience(object members, std::string_view wanted) {
  element value;
  if (wanted.empty() || members.at_key("aud").get(value) != simdjson::SUCCESS) return false;
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) return text == wanted;
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return false;
  bool found = false;
  for (const element one : array) {
    if (one.get(text) != simdjson::SUCCESS) return false;
    found = found || text == wanted;
  }
  return found;
}

// The claim of this very name ("https://example.com/tenant" has dots), else a way into objects.
std::optional<std::string_view> at_path(object members, std::string_view path) {
  element value;
  std::string_view text;
  if (members.at_key(path).get(value) == simdjson::SUCCESS) {
    if (value.get(text) == simdjson::SUCCESS) return text;
    return std::nullopt;
  }
  for (std::size_t dot = path.find('.'); dot != path.npos; dot = path.find('.', dot + 1)) {
    object inner;
    if (members.at_key(path.substr(0, dot)).get(inner) != simdjson::SUCCESS) continue;
    return at_path(inner, path.substr(dot + 1));
  }
  return std::nullopt;
}

Result<Claims, Flawed> read_claims(std::string_view part, const JwtRules& rules, WallTime now) {
  const auto text = from_base64url(part);
  if (!text) return Flawed{Flaw::malformed, "the token's claims are no base64url"};
  StrictJson reader;
  const Result<object> members = reader.read(*text);
  if (!members) return Flawed{Flaw::malformed, "the token's claims: " + members.error().detail};

  bool wrong = false;
  const auto issuer = string_member(*members, "iss", wrong);
  const auto subject = string_member(*members, "sub", wrong);
  if (wrong) return Flawed{Flaw::claims, "the token's iss or sub is no string"};
  if (!issuer || rules.issuer.empty() || *issuer != rules.issuer) {
    return Flawed{Flaw::issuer, "the token's iss is another one"};
  }
  if (!for_audience(*members, rules.audience)) {
    return Flawed{Flaw::audience, "the token's aud is another one"};
  }
  const auto expires = time_member(*members, "exp", wrong);
  const auto not_before = time_member(*members, "nbf", wrong);
  const auto issued = time_member(*members, "iat", wrong);
  if (wrong) return Flawed{Flaw::claims, "the token's exp, nbf or iat is no time"};
  if (!expires) return Flawed{Flaw::claims, "the token has no exp"};
  if (now >= *expires + rules.skew) return Flawed{Flaw::expired, "the token has expired"};
  if (not_before && now + rules.skew < *not_before) {
    return Flawed{Flaw::early, "the token is not valid yet"};
  }
  if (issued && now + rules.skew < *issued) {
    return Flawed{Flaw::early, "the token was issued in the future"};
  }
  if (!subject || subject->empty() || subject->size() > kMostSubject ||
      std::any_of(subject->begin(), subject->end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return Flawed{Flaw::claims, "the token has no proper sub"};
  }
  const auto tenant = at_path(*members, rules.tenant_claim);
  if (!tenant || !valid_tenant(*tenant)) {
    return Flawed{Flaw::claims, "the token names no proper tenant"};
  }
  return Claims{std::string(*subject), std::string(*tenant), *expires};
}

}  // namespace

bool valid_tenant(std::string_view name) {
  if (name.empty() || name.size() > kMostTenant) return false;
  const auto plain = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  };
  if (!plain(name.front())) return false;
  for (const char c : name) {
    if (!plain(c) && c != '.' && c != '_' && c != '@' && c != '-') return false;
  }
  return true;
}

bool looks_like_token(std::string_view text) { return split(text).has_value(); }

Result<Claims, Flawed> verify(std::string_view token, const KeySet& keys, const JwtRules& rules,
                              WallTime now) {
  if (token.size() > kMostToken) return Flawed{Flaw::malformed, "the token is over 8 KiB"};
  const std::optional<Parts> parts = split(token);
  if (!parts) return Flawed{Flaw::malformed, "it is no token of three parts"};
  const Result<Header, Flawed> header = read_header(parts->header);
  if (!header) return header.error();
  const auto signature = from_base64url(parts->signature);
  if (!signature) return Flawed{Flaw::malformed, "the token's signature is no base64url"};
  const PublicKey* const key = keys.find(header->kid, header->algorithm);
  if (key == nullptr) return Flawed{Flaw::unknown_key, "no key of the set is the token's"};
  if (!holds(*key, parts->signed_text, *signature)) {
    return Flawed{Flaw::signature, "the token's signature is wrong"};
  }
  return read_claims(parts->claims, rules, now);
}

}  // namespace penstock::access
