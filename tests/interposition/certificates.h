// Certificates for the tests of TLS, made anew each time.
#ifndef TESTS_INTERPOSITION_CERTIFICATES_H_
#define TESTS_INTERPOSITION_CERTIFICATES_H_

#include <memory>
#include <string>

namespace capbroker::testing {

struct Certificate {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

// Somebody who signs.
class CertificateAuthority {
 public:
  CertificateAuthority();
  ~CertificateAuthority();

  const std::string& certificate() const { return own_.certificate; }
  // For the DNS name `name`, valid for a day.
  Certificate Issue(const std::string& name) const;

 private:
  struct Signer;
  std::unique_ptr<Signer> signer_;
  Certificate own_;
};

}  // namespace capbroker::testing

#endif  // TESTS_INTERPOSITION_CERTIFICATES_H_
