#include "access/jwt.h"

#include <gtest/gtest.h>

#include "access/jwt_testing.h"

namespace penstock::access {
namespace {

const WallTime kNow{std::chrono::seconds(1'800'000'000)};

class Jwt : public ::testing::Test {
 protected:
  static const SigningKey& rsa() {
    static const SigningKey key("rsa-1", Algorithm::rs256);
    return key;
  }
  static const SigningKey& ec() {
    static const SigningKey key("ec-1", Algorithm::es256);
    return key;
  }
  static const SigningKey& ed() {
    static const SigningKey key("ed-1", Algorithm::eddsa);
    return key;
  }

  // Proper claims; `more` stands behind them, and what is named in `without` is not there.
  static std::string claims(const std::string& more = "", const std::string& without = "") {
    std::string out = "{";
    const auto add = [&](const std::string& name, const std::string& json) {
      if (name != without) out += (out.size() > 1 ? ",\"" : "\"") + name + "\":" + json;
    };
    add("iss", R"("https://id.example")");
    add("aud", R"("penstock")");
    add("sub", R"("ada")");
    add("tenant", R"("acme")");
    add("exp", std::to_string(seconds(kNow + 1h)));
    return out + more + "}";
  }
  static std::string with(const std::string& name, const std::string& json) {
    return claims(",\"" + name + "\":" + json, name);
  }

  Result<Claims, Flawed> ask(const std::string& token) const {
    return verify(token, keys_, rules_, kNow);
  }
  Flaw flaw(const std::string& token) const {
    const auto result = ask(token);
    EXPECT_FALSE(result.ok()) << token;
    return result ? Flaw::malformed : result.error().flaw;
  }

  JwtRules rules_{"https://id.example", "penstock"};
  KeySet keys_ = *parse_jwks(jwks_of({rsa().jwk(), ec().jwk(), ed().jwk()}));
};

TEST_F(Jwt, WhatAKeyOfTheSetSignedIsBelieved) {
  ASSERT_EQ(keys_.keys.size(), 3u);
  for (const SigningKey* key : {&rsa(), &ec(), &ed()}) {
    const auto result = ask(key->sign(claims()));
    ASSERT_TRUE(result.ok()) << result.error().detail;
    EXPECT_EQ(result->subject, "ada");
    EXPECT_EQ(result->tenant, "acme");
    EXPECT_EQ(result->expires, kNow + 1h);
  }
}

TEST_F(Jwt, AlgNoneIsRefusedHoweverItIsWritten) {
  for (const char* alg : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string text =
        to_base64url(R"({"alg":")" + std::string(alg) + R"("})") + "." + to_base64url(claims());
    EXPECT_EQ(flaw(text + "."), Flaw::malformed) << alg;
    EXPECT_EQ(flaw(text + ".AAAA"), Flaw::algorithm) << alg;
  }
}

TEST_F(Jwt, ThePublicKeyIsNoSecretOfAnHmac) {
  const std::string text =
      to_base64url(R"({"alg":"HS256","kid":"rsa-1"})") + "." + to_base64url(claims());
  for (const std::string& secret : {rsa().public_pem(), rsa().jwk(), std::string()}) {
    std::string mac(32, '\0');
    unsigned size = 0;
    HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(mac.data()), &size);
    EXPECT_EQ(flaw(text + "." + to_base64url(mac)), Flaw::algorithm);
  }
}

TEST_F(Jwt, AnothersKeyIsRefused) {
  const SigningKey other("rsa-1", Algorithm::rs256);
  EXPECT_EQ(flaw(other.sign(claims())), Flaw::signature);
  const SigningKey stranger("ec-9", Algorithm::es256);
  EXPECT_EQ(flaw(stranger.sign(claims())), Flaw::unknown_key);
}

TEST_F(Jwt, AKeyIsNotUsedForAnotherAlgorithm) {
  EXPECT_EQ(flaw(rsa().sign(R"({"alg":"ES256","kid":"rsa-1"})", claims())), Flaw::unknown_key);
  EXPECT_EQ(flaw(ec().sign(R"({"alg":"RS256","kid":"ec-1"})", claims())), Flaw::unknown_key);
  for (const char* alg : {"RS384", "RS512", "PS256", "ES384", "HS512", "rs256"}) {
    EXPECT_EQ(flaw(rsa().sign(R"({"alg":")" + std::string(alg) + R"(","kid":"rsa-1"})", claims())),
              Flaw::algorithm);
  }
}

TEST_F(Jwt, KeysThatATokenBringsAlongAreNotLookedAt) {
  const SigningKey own("own", Algorithm::rs256);
  for (const std::string& more :
       {R"("jwk":)" + own.jwk(), std::string(R"("jku":"http://127.0.0.1:1/jwks")"),
        std::string(R"("x5u":"http://127.0.0.1:1/")")}) {
    EXPECT_EQ(flaw(own.sign(R"({"alg":"RS256",)" + more + "}", claims())), Flaw::signature);
    EXPECT_EQ(flaw(own.sign(R"({"alg":"RS256","kid":"own",)" + more + "}", claims())),
              Flaw::unknown_key);
  }
}

TEST_F(Jwt, WhatIsChangedAfterwardsIsSeen) {
  for (const SigningKey* key : {&rsa(), &ec(), &ed()}) {
    const std::string token = key->sign(claims());
    const std::size_t first = token.find('.');
    const std::size_t second = token.find('.', first + 1);
    const std::string forged = token.substr(0, first + 1) +
                               to_base64url(with("tenant", R"("other")")) + token.substr(second);
    EXPECT_EQ(flaw(forged), Flaw::signature);
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string other = token;
      other[i] = other[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(ask(other).ok()) << i;
    }
  }
}

TEST_F(Jwt, OneTokenIsWrittenInOneWay) {
  const std::string token = ec().sign(claims());
  EXPECT_EQ(flaw(token + "="), Flaw::malformed);
  EXPECT_EQ(flaw(token + "\n"), Flaw::malformed);
  EXPECT_EQ(flaw(" " + token), Flaw::malformed);
  EXPECT_EQ(flaw(token + ".x"), Flaw::malformed);
  // 64 bytes end in a digit of which four bits mean nothing: only their zeros are taken.
  std::string other = token;
  other.back() = static_cast<char>(other.back() + 1);
  EXPECT_EQ(flaw(other), Flaw::malformed);
}

TEST_F(Jwt, TimesAreHeldWithinTheSkew) {
  const auto at = [](Duration from_now) { return std::to_string(seconds(kNow + from_now)); };
  EXPECT_TRUE(ask(ed().sign(with("exp", at(-59s)))).ok());
  EXPECT_EQ(flaw(ed().sign(with("exp", at(-60s)))), Flaw::expired);
  EXPECT_TRUE(ask(ed().sign(with("nbf", at(60s)))).ok());
  EXPECT_EQ(flaw(ed().sign(with("nbf", at(61s)))), Flaw::early);
  EXPECT_EQ(flaw(ed().sign(with("iat", at(61s)))), Flaw::early);
  EXPECT_TRUE(ask(ed().sign(with("exp", at(0s) + ".5"))).ok());
}

TEST_F(Jwt, WhatIsMissingOrOfAnotherKindIsRefused) {
  EXPECT_EQ(flaw(ed().sign(claims("", "exp"))), Flaw::claims);
  EXPECT_EQ(flaw(ed().sign(claims("", "iss"))), Flaw::issuer);
  EXPECT_EQ(flaw(ed().sign(claims("", "aud"))), Flaw::audience);
  EXPECT_EQ(flaw(ed().sign(claims("", "sub"))), Flaw::claims);
  EXPECT_EQ(flaw(ed().sign(claims("", "tenant"))), Flaw::claims);
  EXPECT_EQ(flaw(ed().sign(with("iss", R"("https://id.example/")"))), Flaw::issuer);
  EXPECT_EQ(flaw(ed().sign(with("iss", R"(["https://id.example"])"))), Flaw::claims);
  EXPECT_EQ(flaw(ed().sign(with("aud", R"("other")"))), Flaw::audience);
  EXPECT_EQ(flaw(ed().sign(with("aud", R"(["other"])"))), Flaw::audience);
  EXPECT_EQ(flaw(ed().sign(with("aud", R"(["penstock",1])"))), Flaw::audience);
  EXPECT_TRUE(ask(ed().sign(with("aud", R"(["other","penstock"])"))).ok());
  for (const char* bad : {"\"1800003600\"", "true", "null", "-1", "1e300", "[]"}) {
    EXPECT_EQ(flaw(ed().sign(with("exp", bad))), Flaw::claims) << bad;
  }
  for (const char* bad : {"1", "\"\"", "\"a b\"", "\"a:b\"", "\"{a}\"", "\"../x\"", "null"}) {
    EXPECT_EQ(flaw(ed().sign(with("tenant", bad))), Flaw::claims) << bad;
  }
  EXPECT_EQ(flaw(ed().sign(with("sub", R"("a\nb")"))), Flaw::claims);
  EXPECT_EQ(flaw(ed().sign(with("sub", "\"" + std::string(256, 'a') + "\""))), Flaw::claims);
}

TEST_F(Jwt, AMemberNamedTwiceIsRefused) {
  EXPECT_EQ(flaw(ed().sign(claims(R"(,"sub":"eve")"))), Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(claims(R"(,"more":{"a":1,"a":2})"))), Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(R"({"alg":"EdDSA","kid":"ed-1","alg":"EdDSA"})", claims())),
            Flaw::malformed);
  // Written otherwise it is the same name.
  EXPECT_EQ(flaw(ed().sign(claims(R"(,"s\u0075b":"eve")"))), Flaw::malformed);
}

TEST_F(Jwt, HeadersThatAskForMoreAreRefused) {
  EXPECT_EQ(flaw(ed().sign(R"({"alg":"EdDSA","kid":"ed-1","crit":["exp"]})", claims())),
            Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(R"({"alg":"EdDSA","kid":"ed-1","b64":false})", claims())),
            Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(R"({"alg":"EdDSA","kid":"ed-1","typ":"logout+jwt"})", claims())),
            Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(R"({"alg":"EdDSA","kid":7})", claims())), Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(R"({"kid":"ed-1"})", claims())), Flaw::malformed);
  EXPECT_TRUE(ask(ed().sign(R"({"alg":"EdDSA","kid":"ed-1","typ":"at+JWT"})", claims())).ok());
}

TEST_F(Jwt, WithoutAKidTheOnlyKeyOfItsAlgorithmIsUsed) {
  EXPECT_TRUE(ask(ed().sign(R"({"alg":"EdDSA"})", claims())).ok());
  const SigningKey second("ed-2", Algorithm::eddsa);
  keys_ = *parse_jwks(jwks_of({ed().jwk(), second.jwk()}));
  EXPECT_EQ(flaw(ed().sign(R"({"alg":"EdDSA"})", claims())), Flaw::unknown_key);
}

TEST_F(Jwt, ATenantMayStandDeeper) {
  rules_.tenant_claim = "app.org.id";
  EXPECT_EQ(ask(ed().sign(claims(R"(,"app":{"org":{"id":"deep"}})")))->tenant, "deep");
  EXPECT_EQ(ask(ed().sign(claims(R"(,"app.org":{"id":"part"})")))->tenant, "part");
  EXPECT_EQ(ask(ed().sign(claims(R"(,"app.org.id":"whole","app":{"org":{"id":"deep"}})")))->tenant,
            "whole");
  EXPECT_EQ(flaw(ed().sign(claims(R"(,"app":{"org":"id"})"))), Flaw::claims);
}

TEST_F(Jwt, NothingIsBelievedWhereNothingIsExpected) {
  rules_.audience.clear();
  EXPECT_EQ(flaw(ed().sign(with("aud", R"("")"))), Flaw::audience);
  rules_.audience = "penstock";
  rules_.issuer.clear();
  EXPECT_EQ(flaw(ed().sign(with("iss", R"("")"))), Flaw::issuer);
}

TEST_F(Jwt, HugeAndDeepTokensCostNothing) {
  EXPECT_EQ(flaw(ed().sign(claims(",\"x\":\"" + std::string(kMostToken, 'a') + "\""))),
            Flaw::malformed);
  EXPECT_EQ(flaw(ed().sign(claims(",\"x\":" + std::string(100, '[') + std::string(100, ']')))),
            Flaw::malformed);
  EXPECT_EQ(flaw(std::string(1 << 20, '.')), Flaw::malformed);
}

TEST(Jwks, BadKeysAreLeftOutAndSaidWhy) {
  const SigningKey good("good", Algorithm::es256);
  const SigningKey small("small", Algorithm::rs256, 1024);
  const std::string off_curve = R"({"kty":"EC","crv":"P-256","kid":"off","x":")" +
                                to_base64url(std::string(32, '\1')) + R"(","y":")" +
                                to_base64url(std::string(32, '\2')) + "\"}";
  const Result<KeySet> set = parse_jwks(
      jwks_of({small.jwk(), off_curve, good.jwk(), R"({"kty":"oct","k":"c2VjcmV0"})", "7",
               good.jwk(R"(,"use":"enc")"), good.jwk(R"(,"alg":"ES384")"),
               R"({"kty":"EC","crv":"P-384"})", good.jwk(R"(,"key_ops":["sign"])"), good.jwk()}));
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->keys.size(), 1u);
  EXPECT_EQ(set->keys.front().kid, "good");
  ASSERT_EQ(set->left_out.size(), 9u);
  EXPECT_EQ(set->left_out[0], "key \"small\": its modulus has 1024 bits; 2048 to 8192 are taken");
  EXPECT_EQ(set->left_out[1], "key \"off\": it is no valid key");
  EXPECT_EQ(set->left_out[3], "key 5: it is no object");
}

TEST(Jwks, WhatIsNoSetIsAnError) {
  for (const char* text : {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[],"keys":[]})", "{"}) {
    EXPECT_FALSE(parse_jwks(text).ok()) << text;
  }
  EXPECT_TRUE(parse_jwks(R"({"keys":[]})").ok());
}

}  // namespace
}  // namespace penstock::access
