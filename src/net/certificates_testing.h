// For tests: an authority that signs certificates, made anew in each run.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace penstock::net {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Context = std::unique_ptr<SSL_CTX, Free>;

inline Key make_key() { return Key(EVP_EC_gen("P-256")); }

inline void extend(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  EXPECT_NE(extension, nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself where there is none. Valid for an hour from `from`.
inline Certificate make_certificate(const char* name, EVP_PKEY* key, X509* issuer,
                                    EVP_PKEY* issuer_key, const char* alternatives,
                                    long from = -60) {
  Certificate made(X509_new());
  X509_set_version(made.get(), X509_VERSION_3);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), from);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), from + 3600);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const subject = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509* const by = issuer != nullptr ? issuer : made.get();
  X509_set_issuer_name(made.get(), X509_get_subject_name(by));
  extend(made.get(), by, NID_basic_constraints,
         issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (alternatives != nullptr) extend(made.get(), by, NID_subject_alt_name, alternatives);
  X509_sign(made.get(), issuer_key, EVP_sha256());
  return made;
}

// An authority in a file, and what it signed for an engine.
class Authority {
 public:
  explicit Authority(const char* name)
      : key_(make_key()),
        certificate_(make_certificate(name, key_.get(), nullptr, key_.get(), nullptr)) {
    path_ = testing::TempDir() + name + std::to_string(::getpid()) + ".pem";
    std::FILE* const file = std::fopen(path_.c_str(), "w");
    PEM_write_X509(file, certificate_.get());
    std::fclose(file);
  }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;
  ~Authority() {
    std::remove(path_.c_str());
    for (const Files& files : issued_) {
      std::remove(files.certificate.c_str());
      std::remove(files.key.c_str());
    }
  }
  const std::string& path() const { return path_; }

  Context serve(const char* alternatives, long from = -60) const {
    const Key key = make_key();
    const Certificate own =
        make_certificate("engine", key.get(), certificate_.get(), key_.get(), alternatives, from);
    Context context(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_use_certificate(context.get(), own.get());
    SSL_CTX_use_PrivateKey(context.get(), key.get());
    return context;
  }

  // The same in two files, for a server that is another program. They go with the authority.
  struct Files {
    std::string certificate, key;
  };
  Files issue(const char* alternatives) {
    const Key key = make_key();
    const Certificate own =
        make_certificate("server", key.get(), certificate_.get(), key_.get(), alternatives);
    const std::string stem = path_ + "." + std::to_string(issued_.size());
    const Files files{stem + ".crt", stem + ".key"};
    std::FILE* file = std::fopen(files.certificate.c_str(), "w");
    PEM_write_X509(file, own.get());
    std::fclose(file);
    file = std::fopen(files.key.c_str(), "w");
    PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    issued_.push_back(files);
    return files;
  }

 private:
  std::vector<Files> issued_;
  Key key_;
  Certificate certificate_;
  std::string path_;
};

}  // namespace penstock::net
