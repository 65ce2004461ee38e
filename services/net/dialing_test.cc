#include "services/net/dialing.h"

#include <fcntl.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "services/hosts/ip_address.h"
#include "services/net/testing/local_server.h"

namespace capbroker::net {
namespace {

using hosts::IpAddress;

bool Never() { return false; }
absl::Time Soon() { return absl::Now() + absl::Seconds(20); }
IpAddress Address(const std::string& text) { return *IpAddress::Parse(text); }

// A port at which nobody listens.
uint16_t ClosedPort() { return LocalServer().port(); }

TEST(DialingTest, TriesTheNextAddressBesideOneThatIsSilent) {
  const LocalServer answering("127.0.0.1");
  LocalServer silent("127.0.0.2", answering.port());
  silent.FallSilent();
  const absl::Time start = absl::Now();
  const FirstDialed first =
      DialFirst({Address("127.0.0.2"), Address("127.0.0.1")}, answering.port(), Soon(), &Never);
  EXPECT_EQ(first.dialed.error_number, 0);
  EXPECT_EQ(first.index, 1u);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(200)) << "the first has a head start";
  EXPECT_TRUE(answering.HasConnection());
}

TEST(DialingTest, TriesTheNextAddressAtOnceAfterOneThatRefuses) {
  const LocalServer answering("127.0.0.1");
  const FirstDialed first =
      DialFirst({Address("127.0.0.3"), Address("127.0.0.1")}, answering.port(), Soon(), &Never);
  EXPECT_EQ(first.dialed.error_number, 0);
  EXPECT_EQ(first.index, 1u);
}

TEST(DialingTest, TellsTheErrorOfTheFirstAddress) {
  const FirstDialed first =
      DialFirst({Address("127.0.0.1"), Address("127.0.0.2")}, ClosedPort(), Soon(), &Never);
  EXPECT_EQ(first.dialed.error_number, ECONNREFUSED);
  EXPECT_FALSE(first.dialed.socket.valid());
}

TEST(DialingTest, EndsAtTheDeadline) {
  LocalServer silent;
  silent.FallSilent();
  const Dialed dialed =
      Dial(Address("127.0.0.1"), silent.port(), absl::Now() + absl::Milliseconds(300), &Never);
  EXPECT_EQ(dialed.error_number, ETIMEDOUT);
}

TEST(DialingTest, EndsWhenItIsGivenUp) {
  LocalServer silent;
  silent.FallSilent();
  int looks = 0;
  const Dialed dialed =
      Dial(Address("127.0.0.1"), silent.port(), Soon(), [&looks] { return ++looks > 2; });
  EXPECT_EQ(dialed.error_number, ECANCELED);
}

TEST(DialingTest, StartsWithoutWaiting) {
  LocalServer silent;
  silent.FallSilent();
  const Dialed dialed = StartDialing(Address("127.0.0.1"), silent.port());
  EXPECT_EQ(dialed.error_number, EINPROGRESS);
  ASSERT_TRUE(dialed.socket.valid());
  EXPECT_NE(fcntl(dialed.socket.get(), F_GETFL) & O_NONBLOCK, 0);
}

}  // namespace
}  // namespace capbroker::net
