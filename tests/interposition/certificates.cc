#include "tests/interposition/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>

#include "absl/base/internal/raw_logging.h"

namespace capbroker::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

Key MakeKey() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  ABSL_RAW_CHECK(key != nullptr, "no key");
  return key;
}

std::string ReadAll(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string ToPem(X509* certificate) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  return ReadAll(bio);
}

std::string ToPem(EVP_PKEY* key) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  return ReadAll(bio);
}

void Extend(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  ABSL_RAW_CHECK(extension != nullptr, "malformed extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer_key` in the name of `issuer`, or if that is null by itself.
X509Ptr Make(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  static long serial = 0;
  X509Ptr certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(),
                       issuer == nullptr ? subject : X509_get_subject_name(issuer));
  if (issuer == nullptr) {
    Extend(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  } else {
    Extend(certificate.get(), NID_subject_alt_name, "DNS:" + name);
  }
  ABSL_RAW_CHECK(X509_sign(certificate.get(), issuer_key, EVP_sha256()) != 0, "not signed");
  return certificate;
}

}  // namespace

struct CertificateAuthority::Signer {
  Key key = MakeKey();
  X509Ptr certificate = Make(Name(), key.get(), nullptr, key.get());

  // Two of the same name would be taken for each other.
  static std::string Name() {
    static int last = 0;
    return "authority " + std::to_string(++last);
  }
};

CertificateAuthority::CertificateAuthority()
    : signer_(std::make_unique<Signer>()), own_{ToPem(signer_->certificate.get()), ""} {}

CertificateAuthority::~CertificateAuthority() = default;

Certificate CertificateAuthority::Issue(const std::string& name) const {
  const Key key = MakeKey();
  const X509Ptr certificate = Make(name, key.get(), signer_->certificate.get(), signer_->key.get());
  return {ToPem(certificate.get()), ToPem(key.get())};
}

}  // namespace capbroker::testing
