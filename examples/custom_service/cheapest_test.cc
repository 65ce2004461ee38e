#include "cheapest.h"

#include "gtest/gtest.h"
#include "tariff.fake.h"

namespace parcel {
namespace {

TEST(CheapestTest, LeavesOutWhatIsRefused) {
  v1::TariffFake tariff;
  tariff.on_Quote = [](grpc::ClientContext*, const v1::QuoteRequest& request,
                       v1::QuoteResponse* response) {
    if (request.country() == "AT") {
      return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not in limits.countries");
    }
    response->set_cents(request.country() == "CH" ? 750 : 950);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Cheapest(tariff, {"DE", "AT", "CH"}, 500), "CH");
  EXPECT_EQ(Cheapest(tariff, {"AT"}, 500), std::nullopt);
}

}  // namespace
}  // namespace parcel
