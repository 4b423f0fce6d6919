// Tokens of anybody: whatever stands in one, it is believed only if it is one of the two that were
// signed, byte for byte; and sets of keys of anybody, which give keys or say why not.
#include "access/jwt.h"

#include <set>

#include "access/base64url.h"
#include "access/json.h"
#include "check.h"

namespace penstock::fuzz {
namespace {

using namespace access;  // NOLINT(google-build-using-namespace): all of it is looked at

// Three public keys, and two tokens that the first two signed. Nobody has the private ones.
constexpr std::string_view kJwks =
    R"({"keys":[{"kty":"RSA","kid":"r","n":"uMDRgC-2lm9jkIQ9AkIO-sOAR6k97X6MFp52WKz63a8)"
    R"(uXGR2Rku46Gm4mlUBFLcARVW9HIakYYtttSV_U2ZZxUsSURkuRUaR4YIOzqDINGDyY-63mBAoJ3FTLNA)"
    R"(gbub2bL8tjaHIBPQqjk5aV56qO8ZwPdBbe_JwvkyaxiCJWpXwZnAbQJ0WZzztAsxYhY36Tje_UoeYxxh)"
    R"(snROBfirep4BOCd4U6Iw6X8VhBJhFrXYwqTnsmzzq6zw6NgBdtb8VRQgYNYdteJpUGEnKt2U43o6GAig)"
    R"(LqwgA-_Wku-uQfZmLJvUPQB7a7GyXsLDuP3lhhKLBb4Ewlt7cgUTI1WpEDQ","e":"AQAB"},{"kty":)"
    R"("OKP","crv":"Ed25519","kid":"e","x":"YcPCEmv48jt0vrm9gLZ4Kwejr5kBnr5-6h1KTOWLQZk)"
    R"("},{"kty":"EC","crv":"P-256","kid":"c","x":"JbMc4_9mMTLKcfvAhLLTC4tU43BAiXGbdfi2)"
    R"(PgHbR1A","y":"n1Z1yjMs6r5XHAI34iOfja_itWN0jQXwGP-j0hQA8uE"}]})";
constexpr std::string_view kFirstToken =
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImUifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiO"
    "iJwZW5zdG9jayIsInN1YiI6ImFkYSIsInRlbmFudCI6ImFjbWUiLCJleHAiOjE4MDAwMDM2MDB9.l_YP"
    "qhJ6y7fMUPAdM5lq48Ll78_-fQ5A7fB2_GeVes8WZzP0OCY7pC-ouocw99g5FyMVvY1MrZGHlDHGEMBG"
    "BQ";
constexpr std::string_view kSecondToken =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiO"
    "iJwZW5zdG9jayIsInN1YiI6ImFkYSIsInRlbmFudCI6ImFjbWUiLCJleHAiOjE4MDAwMDM2MDB9.ci55"
    "a27Px2NLKheW8BrOz0BNLqMz3f0VCkSmGTNjwaGpI67MOV-mLRSo6DF7XV-teVK548Tbg65YE1WKZUtt"
    "psLT2-3bU-5iUh3ToTJgUmL9i3O0wAmWfSoPRY_X1aE7RkMB6dsGBR-VSGtzDXPq20P0ASOpfjRY3IVX"
    "E2kGaIjA-E8andcGAGboTThwywp0FQISJE7qjAozGRmxtU85XI76GXS7-bwOvi74GoUB6HZ5wXo0xWxu"
    "1m5Zmsn6eq9-H3uP2VxItODhVmXeclD4fGoikZumpXd4fdHCeCe6zXNBn-mdxW57aQ1sRtM_B08LqXoL"
    "qKDDV3dXsHzFR1bsvA";

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

const KeySet& keys() {
  static const KeySet set = *parse_jwks(kJwks);
  return set;
}

bool believed(std::string_view token) {
  static const JwtRules rules{"https://id.example", "penstock"};
  const Bytes exact(token);
  const auto claims = verify(exact.text(), keys(), rules, kNow);
  if (claims) {
    FUZZ_CHECK(claims->subject == "ada" && claims->tenant == "acme", token);
    return true;
  }
  FUZZ_CHECK(!claims.error().detail.empty() && claims.error().detail.size() < 200, token,
             claims.error().detail);
  return false;
}

void check_token(std::string_view token) {
  const bool signed_one = token == kFirstToken || token == kSecondToken;
  FUZZ_CHECK(believed(token) == signed_one, token);
  if (looks_like_token(token)) FUZZ_CHECK(token.size() <= kMostToken, token);
}

// The input as one part of a token that is true otherwise.
void check_parts(std::string_view text) {
  const std::string_view whole = kFirstToken;
  const std::size_t first = whole.find('.');
  const std::size_t second = whole.find('.', first + 1);
  const std::string part = to_base64url(text);
  FUZZ_CHECK(from_base64url(part) == text, text, part);
  for (const std::string& token :
       {part + std::string(whole.substr(first)),
        std::string(whole.substr(0, first + 1)) + part + std::string(whole.substr(second)),
        std::string(whole.substr(0, second + 1)) + part}) {
    check_token(token);
  }
}

void check_base64url(std::string_view text) {
  const auto bytes = from_base64url(text);
  if (bytes) FUZZ_CHECK(to_base64url(*bytes) == text, text);
}

void check_set(std::string_view text) {
  const auto set = parse_jwks(text);
  if (!set) return;
  FUZZ_CHECK(set->keys.size() + set->left_out.size() <= kMostKeys, text);
  for (const PublicKey& key : set->keys) FUZZ_CHECK(key.key != nullptr, text);
}

void check_json(std::string_view text) {
  StrictJson reader;
  const auto object = reader.read(text);
  if (!object) return;
  std::set<std::string_view> names;
  for (const auto member : *object) FUZZ_CHECK(names.insert(member.key).second, text);
}

}  // namespace
}  // namespace penstock::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = penstock::fuzz::text_of(data, size);
  penstock::fuzz::check_token(text);
  penstock::fuzz::check_parts(text);
  penstock::fuzz::check_base64url(text);
  penstock::fuzz::check_set(text);
  penstock::fuzz::check_json(text);
  return 0;
}
