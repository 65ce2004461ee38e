// A module of the name service switch for tests: libnss_cbtest.so.2. What it says
// depends on the name's first label.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <nss.h>
#include <string.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>

namespace {

constexpr char kCanonicalName[] = "canonical.cbtest";
constexpr char kAlias[] = "alias.cbtest";
constexpr size_t kLargeBytes = 8192;
constexpr unsigned kLongSeconds = 60;

nss_status Judge(std::string_view name, size_t room, int* error) {
  if (name == "found.cbtest" || name == "a.test") return NSS_STATUS_SUCCESS;
  if (name == "missing.cbtest") return NSS_STATUS_NOTFOUND;
  if (name == "again.cbtest") return NSS_STATUS_TRYAGAIN;
  if (name == "slow.cbtest") {
    sleep(kLongSeconds);
    return NSS_STATUS_NOTFOUND;
  }
  if (name == "large.cbtest") {
    if (room >= kLargeBytes) return NSS_STATUS_SUCCESS;
    *error = ERANGE;
    return NSS_STATUS_TRYAGAIN;
  }
  return NSS_STATUS_UNAVAIL;
}

}  // namespace

extern "C" {

nss_status _nss_cbtest_gethostbyname4_r(const char* name, gaih_addrtuple** first, char* buffer,
                                        size_t size, int* error, int* host_error,
                                        int32_t* /*ttl*/) {
  const nss_status status = Judge(name, size, error);
  *host_error = status == NSS_STATUS_TRYAGAIN ? TRY_AGAIN : HOST_NOT_FOUND;
  if (status != NSS_STATUS_SUCCESS) return status;
  auto* const entries = reinterpret_cast<gaih_addrtuple*>(buffer);
  memset(entries, 0, 2 * sizeof(gaih_addrtuple));
  strcpy(reinterpret_cast<char*>(&entries[2]), kCanonicalName);
  entries[0].next = &entries[1];
  entries[0].name = reinterpret_cast<char*>(&entries[2]);
  entries[0].family = AF_INET;
  inet_pton(AF_INET, "192.0.2.200", entries[0].addr);
  entries[1].family = AF_INET6;
  inet_pton(AF_INET6, "fe80::200", entries[1].addr);
  entries[1].scopeid = 1;
  *first = entries;
  return NSS_STATUS_SUCCESS;
}

nss_status _nss_cbtest_gethostbyaddr_r(const void* address, socklen_t length, int family,
                                       hostent* host, char* buffer, size_t /*size*/, int* /*error*/,
                                       int* host_error) {
  char known[4];
  inet_pton(AF_INET, "192.0.2.200", known);
  *host_error = HOST_NOT_FOUND;
  if (family != AF_INET || length != 4 || memcmp(address, known, 4) != 0) {
    return NSS_STATUS_NOTFOUND;
  }
  auto** const aliases = reinterpret_cast<char**>(buffer);
  char* const text = buffer + 2 * sizeof(char*);
  strcpy(text, kCanonicalName);
  aliases[0] = text + sizeof(kCanonicalName);
  strcpy(aliases[0], kAlias);
  aliases[1] = nullptr;
  host->h_name = text;
  host->h_aliases = aliases;
  return NSS_STATUS_SUCCESS;
}

}  // extern "C"
