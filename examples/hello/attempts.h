// What a worker was not granted, tried. Each attempt is added to the report with how
// it was refused. Lives in: workers.
#ifndef EXAMPLES_HELLO_ATTEMPTS_H_
#define EXAMPLES_HELLO_ATTEMPTS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "capbroker/dns/v1/resolver.grpc.pb.h"
#include "capbroker/file/v1/file_opener.grpc.pb.h"
#include "capbroker/group/v1/group_database.grpc.pb.h"
#include "examples/hello/report.pb.h"
#include "transport/channel.h"

namespace capbroker::hello {

// Through the channels.
void TryNames(dns::v1::Resolver::StubInterface& stub, v1::Report& report);
void TryToWiden(const std::shared_ptr<Channel>& channel, dns::v1::Resolver::StubInterface& stub,
                v1::Report& report);
void TryPaths(file::v1::FileOpener::StubInterface& stub, const std::string& granted,
              v1::Report& report);
void TryGroups(group::v1::GroupDatabase::StubInterface& stub, uint32_t granted, v1::Report& report);

// Without them.
void TryOnDescriptor(const UniqueFd& file, v1::Report& report);
void TrySystemCalls(v1::Report& report);

}  // namespace capbroker::hello

#endif  // EXAMPLES_HELLO_ATTEMPTS_H_
