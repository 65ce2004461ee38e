// The tariff itself: an ordinary gRPC service class. Limits and budget were checked
// before it is called. Lives in: a service process of its own.
#ifndef TARIFF_SERVICE_H_
#define TARIFF_SERVICE_H_

#include "tariff.grpc.pb.h"

namespace parcel {

class TariffService final : public v1::Tariff::Service {
 public:
  // Quote() computes and never waits: no thread of its own.
  static constexpr bool kQuickHandlers = true;

  grpc::Status Quote(grpc::ServerContext*, const v1::QuoteRequest* request,
                     v1::QuoteResponse* response) override {
    if (request->grams() == 0) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "a parcel of 0 grams");
    }
    const uint32_t base = Base(request->country());
    if (base == 0) return grpc::Status(grpc::StatusCode::NOT_FOUND, "nobody delivers there");
    response->set_cents(base + request->grams() / 10);
    response->set_reference(request->reference());
    return grpc::Status::OK;
  }

 private:
  static uint32_t Base(const std::string& country) {
    if (country == "CH") return 700;
    if (country == "DE") return 900;
    return country == "FR" ? 950 : 0;
  }
};

}  // namespace parcel

#endif  // TARIFF_SERVICE_H_
