// Every service that is linked here says in its proto what bounds each field of its
// requests: this is the test that fails when somebody adds one and forgets.
#include <string>
#include <vector>

#include "authority/schema.h"
#include "base/status_matchers.h"
#include "capbroker/dns/v1/resolver.pb.h"
#include "capbroker/file/v1/file_opener.pb.h"
#include "capbroker/group/v1/group_database.pb.h"
#include "capbroker/v1/capability.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor_database.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::testing {
namespace {

using ::google::protobuf::DescriptorPool;
using ::google::protobuf::FileDescriptor;
using ::google::protobuf::ServiceDescriptor;
using ::testing::IsSupersetOf;

std::vector<const ServiceDescriptor*> LinkedServices() {
  // Something of each, so that the linker keeps it.
  dns::v1::ResolveRequest::descriptor();
  file::v1::OpenRequest::descriptor();
  group::v1::GetGroupByIdRequest::descriptor();
  capbroker::v1::NarrowRequest::descriptor();
  v1::PlainRequest::descriptor();

  std::vector<std::string> names;
  DescriptorPool::internal_generated_database()->FindAllFileNames(&names);
  std::vector<const ServiceDescriptor*> services;
  for (const std::string& name : names) {
    const FileDescriptor* const file = DescriptorPool::generated_pool()->FindFileByName(name);
    for (int i = 0; file != nullptr && i < file->service_count(); ++i) {
      services.push_back(file->service(i));
    }
  }
  return services;
}

TEST(LinkedServicesTest, EveryServiceBoundsEveryFieldOfItsRequests) {
  std::vector<std::string> names;
  for (const ServiceDescriptor* service : LinkedServices()) {
    names.push_back(service->full_name());
    EXPECT_OK(authority::ServiceSchema::Compile(*service)) << service->full_name();
  }
  EXPECT_THAT(names, IsSupersetOf({"capbroker.dns.v1.Resolver", "capbroker.group.v1.GroupDatabase",
                                   "capbroker.file.v1.FileOpener", "capbroker.v1.Capability"}));
}

}  // namespace
}  // namespace capbroker::testing
