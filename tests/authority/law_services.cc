#include "tests/authority/law_services.h"

#include "capbroker/dns/v1/resolver.pb.h"
#include "capbroker/file/v1/file_opener.pb.h"
#include "capbroker/group/v1/group_database.pb.h"
#include "gtest/gtest.h"
#include "tests/authority/every_kind.pb.h"

namespace capbroker::testing {

std::vector<const google::protobuf::ServiceDescriptor*> LawServices() {
  return {v1::PlainRequest::descriptor()->file()->FindServiceByName("EveryKind"),
          dns::v1::ResolveRequest::descriptor()->file()->FindServiceByName("Resolver"),
          group::v1::GetGroupByIdRequest::descriptor()->file()->FindServiceByName("GroupDatabase"),
          file::v1::OpenRequest::descriptor()->file()->FindServiceByName("FileOpener")};
}

std::string CurrentLaw() {
  const std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
  return name.substr(0, name.find('/'));
}

}  // namespace capbroker::testing
