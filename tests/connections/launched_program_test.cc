// An unmodified program that a broker launched connects by grant, until the grant is revoked.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "client/broker.h"
#include "gtest/gtest.h"
#include "services/net/grants.h"
#include "services/net/testing/local_server.h"

namespace capbroker {
namespace {

using net::LocalServer;
using net::Receive;
using net::Send;
using testing::StatusIs;

class LaunchedProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = std::make_unique<Broker>(*std::move(started));
  }

  Grant Local(const std::string& name, const std::string& host) {
    return {name, ConnectToHosts({host}, {server_.port_text()},
                                 {.v6 = false, .local_addresses = {"127.0.0.1"}})};
  }

  absl::StatusOr<Worker> LaunchCurl(std::vector<Grant> connections,
                                    const std::string& host = "localhost") {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return absl::InternalError("pipe");
    output_.Reset(ends[0]);
    WorkerOptions options;
    options.program = "/usr/bin/curl";
    options.arguments = {"-sS", absl::StrCat("http://", host, ":", server_.port(), "/")};
    options.standard_output.Reset(ends[1]);
    options.supervision.emplace().connections = std::move(connections);
    return broker_->Launch(std::move(options));
  }

  std::string Output() {
    std::string text;
    char byte;
    while (read(output_.get(), &byte, 1) == 1) text.push_back(byte);
    return text;
  }

  LocalServer server_;
  UniqueFd output_;
  std::unique_ptr<Broker> broker_;
};

TEST_F(LaunchedProgramTest, ConnectsByItsGrant) {
  absl::StatusOr<Worker> curl =
      LaunchCurl({Local("other", "other.test"), Local("web", "localhost")});
  ASSERT_OK(curl);
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 5), "GET /");
  EXPECT_TRUE(Send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"));
  EXPECT_EQ(Output(), "hello\n");
  EXPECT_EQ(curl->Wait().exit_code(), 0);
}

TEST_F(LaunchedProgramTest, FindsNobodyWithoutOne) {
  absl::StatusOr<Worker> curl = LaunchCurl({Local("other", "other.test")});
  ASSERT_OK(curl);
  EXPECT_EQ(curl->Wait().exit_code(), 7);  // cannot connect
  curl = LaunchCurl({Local("web", "localhost")}, "web.test");
  ASSERT_OK(curl);
  EXPECT_EQ(curl->Wait().exit_code(), 6);  // cannot resolve
  curl = LaunchCurl({});
  ASSERT_OK(curl);
  EXPECT_EQ(curl->Wait().exit_code(), 7);
  EXPECT_FALSE(server_.HasConnection());
}

// INVARIANT(leases-end-with-their-channel)
TEST_F(LaunchedProgramTest, RevocationEndsItsConnection) {
  absl::StatusOr<Worker> curl = LaunchCurl({Local("web", "localhost")});
  ASSERT_OK(curl);
  const UniqueFd peer = server_.Accept();
  EXPECT_EQ(Receive(peer, 5), "GET /");
  EXPECT_TRUE(Send(peer, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel"));
  EXPECT_OK(broker_->RevokeGrant(*curl, "web"));
  EXPECT_EQ(curl->Wait().exit_code(), 18);  // a partial file
}

TEST_F(LaunchedProgramTest, NamesOfGrantsAreDistinct) {
  EXPECT_THAT(LaunchCurl({Local("web", "localhost"), Local("web", "other.test")}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace capbroker
