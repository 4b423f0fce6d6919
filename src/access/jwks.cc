#include "access/jwks.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <algorithm>

#include "access/base64url.h"
#include "access/json.h"

namespace penstock::access {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr int kLeastBits = 2048;
constexpr int kMostBits = 8192;  // what one verification may cost
constexpr std::size_t kMostExponentBytes = 4;
constexpr std::size_t kCoordinateBytes = 32;
constexpr std::size_t kMostKid = 256;

struct Free {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(OSSL_PARAM_BLD* builder) const { OSSL_PARAM_BLD_free(builder); }
  void operator()(OSSL_PARAM* parameters) const { OSSL_PARAM_free(parameters); }
  void operator()(BIGNUM* number) const { BN_free(number); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

std::shared_ptr<EVP_PKEY> shared(EVP_PKEY* key) {
  return key == nullptr ? nullptr : std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
}

const unsigned char* bytes_of(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// A key of what was built; null where OpenSSL says that it is none.
std::shared_ptr<EVP_PKEY> make(const char* type, OSSL_PARAM_BLD* builder) {
  const Owned<OSSL_PARAM> parameters(OSSL_PARAM_BLD_to_param(builder));
  const Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  std::shared_ptr<EVP_PKEY> made = shared(key);
  // A point that is not on the curve is a way to learn or forge things.
  const Owned<EVP_PKEY_CTX> check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1) return nullptr;
  return made;
}

struct Made {
  std::shared_ptr<EVP_PKEY> key;
  std::string fault;  // where there is none
};

Made made(std::shared_ptr<EVP_PKEY> key) {
  if (key == nullptr) return {nullptr, "it is no valid key"};
  return {std::move(key), {}};
}

// A member that is base64url.
std::optional<std::string> bytes_member(object members, std::string_view name) {
  bool wrong = false;
  const auto text = string_member(members, name, wrong);
  return text && !text->empty() ? from_base64url(*text) : std::nullopt;
}

Made rsa(object members) {
  const auto n = bytes_member(members, "n");
  const auto e = bytes_member(members, "e");
  if (!n || !e) return {nullptr, "its n or e is missing or no base64url"};
  const Owned<BIGNUM> modulus(BN_bin2bn(bytes_of(*n), static_cast<int>(n->size()), nullptr));
  if (e->size() > kMostExponentBytes) return {nullptr, "its exponent is too large"};
  const Owned<BIGNUM> exponent(BN_bin2bn(bytes_of(*e), static_cast<int>(e->size()), nullptr));
  if (!modulus || !exponent) return {nullptr, "there is no memory"};
  const int bits = BN_num_bits(modulus.get());
  if (bits < kLeastBits || bits > kMostBits) {
    return {nullptr, fmt::format("its modulus has {} bits; {} to {} are taken", bits, kLeastBits,
                                 kMostBits)};
  }
  if (BN_is_odd(exponent.get()) == 0 || BN_is_one(exponent.get()) == 1) {
    return {nullptr, "its exponent is no odd number above 1"};
  }
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
    return {nullptr, "there is no memory"};
  }
  return made(make("RSA", builder.get()));
}

Made ec(object members) {
  bool wrong = false;
  if (string_member(members, "crv", wrong) != "P-256") return {nullptr, "its curve is not P-256"};
  const auto x = bytes_member(members, "x");
  const auto y = bytes_member(members, "y");
  if (!x || !y || x->size() != kCoordinateBytes || y->size() != kCoordinateBytes) {
    return {nullptr, "its x or y is no base64url of 32 bytes"};
  }
  const std::string point = "\x04" + *x + *y;
  const Owned<OSSL_PARAM_BLD> builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return {nullptr, "there is no memory"};
  }
  return made(make("EC", builder.get()));
}

Made okp(object members) {
  bool wrong = false;
  if (string_member(members, "crv", wrong) != "Ed25519") {
    return {nullptr, "its curve is not Ed25519"};
  }
  const auto x = bytes_member(members, "x");
  if (!x || x->size() != kCoordinateBytes) return {nullptr, "its x is no base64url of 32 bytes"};
  return made(
      shared(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(*x), x->size())));
}

bool for_verifying(object members) {
  bool wrong = false;
  const auto use = string_member(members, "use", wrong);
  if (wrong || (use && *use != "sig")) return false;
  element operations;
  if (members.at_key("key_ops").get(operations) != simdjson::SUCCESS) return true;
  simdjson::dom::array array;
  if (operations.get(array) != simdjson::SUCCESS) return false;
  for (const element one : array) {
    std::string_view text;
    if (one.get(text) == simdjson::SUCCESS && text == "verify") return true;
  }
  return false;
}

// `out` gets its kid even where the key is not taken: for the message.
std::string read_key(object members, PublicKey& out) {
  bool wrong = false;
  if (const auto kid = string_member(members, "kid", wrong)) out.kid = kid->substr(0, kMostKid + 1);
  if (wrong || out.kid.size() > kMostKid) return "its kid is no string of up to 256 bytes";
  if (!for_verifying(members)) return "it is not for verifying signatures";
  const auto type = string_member(members, "kty", wrong);
  Made key;
  if (type == "RSA") {
    out.algorithm = Algorithm::rs256;
    key = rsa(members);
  } else if (type == "EC") {
    out.algorithm = Algorithm::es256;
    key = ec(members);
  } else if (type == "OKP") {
    out.algorithm = Algorithm::eddsa;
    key = okp(members);
  } else {
    return "its kty is not RSA, EC or OKP";
  }
  if (key.key == nullptr) return key.fault;
  const auto algorithm = string_member(members, "alg", wrong);
  if (wrong || (algorithm && *algorithm != name_of(out.algorithm))) {
    return "its alg is not " + std::string(name_of(out.algorithm));
  }
  out.key = std::move(key.key);
  return {};
}

}  // namespace

std::string_view name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::rs256: return "RS256";
    case Algorithm::es256: return "ES256";
    case Algorithm::eddsa: break;
  }
  return "EdDSA";
}

const PublicKey* KeySet::find(std::string_view kid, Algorithm algorithm) const {
  const PublicKey* found = nullptr;
  for (const PublicKey& key : keys) {
    if (key.algorithm != algorithm || (!kid.empty() && key.kid != kid)) continue;
    if (found != nullptr) return nullptr;
    found = &key;
  }
  return found;
}

Result<KeySet> parse_jwks(std::string_view json) {
  StrictJson reader;
  const Result<object> root = reader.read(json);
  if (!root) return root.error();
  simdjson::dom::array keys;
  if (root->at_key("keys").get(keys) != simdjson::SUCCESS) {
    return Error{Kind::invalid, Source::gateway, false, "it has no array \"keys\""};
  }
  if (keys.size() > kMostKeys) {
    return Error{Kind::too_large, Source::gateway, false,
                 fmt::format("it has more than {} keys", kMostKeys)};
  }
  KeySet set;
  std::size_t number = 0;
  for (const element one : keys) {
    ++number;
    PublicKey key;
    object members;
    std::string fault =
        one.get(members) == simdjson::SUCCESS ? read_key(members, key) : "it is no object";
    if (fault.empty() && !key.kid.empty() &&
        std::any_of(set.keys.begin(), set.keys.end(), [&](const PublicKey& other) {
          return other.kid == key.kid && other.algorithm == key.algorithm;
        })) {
      fault = "another one has its kid";
    }
    if (fault.empty()) {
      set.keys.push_back(std::move(key));
    } else {
      set.left_out.push_back(key.kid.empty() ? fmt::format("key {}: {}", number, fault)
                                             : fmt::format("key \"{}\": {}", key.kid, fault));
    }
  }
  return set;
}

}  // namespace penstock::access
