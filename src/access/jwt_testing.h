// For tests: an issuer of tokens with keys of its own, made by OpenSSL, and what is told of them.
#pragma once

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/base64url.h"
#include "access/jwks.h"
#include "base/clock.h"

namespace penstock::access {

class SigningKey {
 public:
  SigningKey(std::string kid, Algorithm algorithm, int rsa_bits = 2048)
      : kid_(std::move(kid)), algorithm_(algorithm) {
    EVP_PKEY* key = nullptr;
    switch (algorithm) {
      case Algorithm::rs256: key = EVP_RSA_gen(static_cast<unsigned>(rsa_bits)); break;
      case Algorithm::es256: key = EVP_EC_gen("P-256"); break;
      case Algorithm::eddsa: key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"); break;
    }
    key_.reset(key, EVP_PKEY_free);
    EXPECT_NE(key, nullptr);
  }

  // As a member of a JWKS; `more`: members besides, each with a comma before.
  std::string jwk(const std::string& more = "") const {
    const std::string kid = kid_.empty() ? "" : R"(,"kid":")" + kid_ + '"';
    switch (algorithm_) {
      case Algorithm::rs256:
        return R"({"kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" +
               number(OSSL_PKEY_PARAM_RSA_E) + '"' + kid + more + "}";
      case Algorithm::es256:
        return R"({"kty":"EC","crv":"P-256","x":")" + number(OSSL_PKEY_PARAM_EC_PUB_X, 32) +
               R"(","y":")" + number(OSSL_PKEY_PARAM_EC_PUB_Y, 32) + '"' + kid + more + "}";
      case Algorithm::eddsa: break;
    }
    std::string raw(32, '\0');
    std::size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()), &size);
    return R"({"kty":"OKP","crv":"Ed25519","x":")" + to_base64url(raw) + '"' + kid + more + "}";
  }

  // A token with this header and these claims, signed truly.
  std::string sign(const std::string& header, const std::string& claims) const {
    const std::string text = to_base64url(header) + "." + to_base64url(claims);
    return text + "." + to_base64url(signature(text));
  }
  std::string sign(const std::string& claims) const {
    return sign(R"({"alg":")" + std::string(name_of(algorithm_)) + R"(","typ":"JWT","kid":")" +
                    kid_ + R"("})",
                claims);
  }

  std::string public_pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, key_.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return pem;
  }

 private:
  std::string signature(const std::string& text) const {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::string out(1024, '\0');
    std::size_t size = out.size();
    const EVP_MD* hash = algorithm_ == Algorithm::eddsa ? nullptr : EVP_sha256();
    EXPECT_EQ(EVP_DigestSignInit(context, nullptr, hash, nullptr, key_.get()), 1);
    EXPECT_EQ(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size,
                             reinterpret_cast<const unsigned char*>(text.data()), text.size()),
              1);
    EVP_MD_CTX_free(context);
    out.resize(size);
    return algorithm_ == Algorithm::es256 ? raw(out) : out;
  }

  // DER to r || s.
  static std::string raw(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(64, '\0');
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), bytes, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), bytes + 32, 32);
    ECDSA_SIG_free(signature);
    return out;
  }

  std::string number(const char* name, int size = 0) const {
    BIGNUM* value = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(key_.get(), name, &value), 1);
    std::string out(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(value)), '\0');
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
    BN_free(value);
    return to_base64url(out);
  }

  const std::string kid_;
  const Algorithm algorithm_;
  std::shared_ptr<EVP_PKEY> key_;
};

inline std::string jwks_of(const std::vector<std::string>& keys) {
  std::string out = R"({"keys":[)";
  for (const std::string& key : keys) out += (out.back() == '[' ? "" : ",") + key;
  return out + "]}";
}

inline std::int64_t seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace penstock::access
