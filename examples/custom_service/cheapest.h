// Code that calls the tariff: it knows the stub's interface, and nothing of channels.
// Lives in: a worker.
#ifndef CHEAPEST_H_
#define CHEAPEST_H_

#include <optional>
#include <string>
#include <vector>

#include "tariff.grpc.pb.h"

namespace parcel {

// The one of `countries` to which `grams` cost least; nothing if none has an answer.
inline std::optional<std::string> Cheapest(v1::Tariff::StubInterface& tariff,
                                           const std::vector<std::string>& countries,
                                           uint32_t grams) {
  std::optional<std::string> cheapest;
  uint32_t least = 0;
  for (const std::string& country : countries) {
    grpc::ClientContext context;
    v1::QuoteRequest request;
    request.set_country(country);
    request.set_grams(grams);
    v1::QuoteResponse response;
    if (!tariff.Quote(&context, request, &response).ok()) continue;
    if (cheapest && response.cents() >= least) continue;
    cheapest = country;
    least = response.cents();
  }
  return cheapest;
}

}  // namespace parcel

#endif  // CHEAPEST_H_
