// A worker that may ask for some tariffs, and shows what it is answered.
//
// The application opens the service with what it has itself, narrows the channel to
// what this worker needs, and gives it away.
#include <cstdio>
#include <string>
#include <utility>

#include "client/broker.h"
#include "services/service.h"
#include "tariff.capbroker.h"
#include "tariff.dispatch.h"
#include "tariff_service.h"

namespace {

using parcel::v1::Tariff;
using parcel::v1::TariffBudget;
using parcel::v1::TariffLimits;

void Ask(Tariff::StubInterface& tariff, const std::string& country, uint32_t grams) {
  grpc::ClientContext context;
  parcel::v1::QuoteRequest request;
  request.set_country(country);
  request.set_grams(grams);
  parcel::v1::QuoteResponse response;
  const grpc::Status status = tariff.Quote(&context, request, &response);
  if (status.ok()) {
    std::printf("%s %u g: %u cents\n", country.c_str(), grams, response.cents());
  } else {
    std::printf("%s %u g: refused: %s\n", country.c_str(), grams, status.error_message().c_str());
  }
}

// Runs in a worker, confined before its first line; it can reach nothing but its channel.
int AskForTariffs(capbroker::Grants grants) {
  const auto tariff = grants.Stub<Tariff>("tariff");
  Ask(*tariff, "CH", 500);
  Ask(*tariff, "DE", 1000);
  Ask(*tariff, "FR", 500);   // the application may, this worker may not
  Ask(*tariff, "CH", 5000);  // nor this

  // Wider limits: they narrow to what is in force already.
  TariffLimits wider;
  wider.add_countries("*");
  wider.set_heaviest_grams(30000);
  if (auto channel = grants.Channel("tariff"); channel.ok() && (*channel)->Narrow(wider).ok()) {
    std::printf("asked for wider limits\n");
  }
  Ask(*tariff, "FR", 500);

  // The fourth allowed call in this minute; refused ones cost nothing.
  Ask(*tariff, "CH", 100);
  Ask(*tariff, "CH", 100);
  return 0;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main() {
  capbroker::Broker broker = capbroker::Broker::StartOrDie();  // before any thread

  TariffLimits all;
  all.add_countries("*");
  all.set_heaviest_grams(30000);
  TariffBudget budget;
  budget.set_quotes_per_minute(3);
  const capbroker::ServeOptions options = {.budget = &budget};
  auto channel = broker.Open(capbroker::Serve<parcel::TariffService>(all, options));
  if (!channel.ok()) return Fail(channel.status());

  TariffLimits some;
  some.add_countries("CH");
  some.add_countries("DE");
  some.set_heaviest_grams(2000);
  if (auto narrowed = (*channel)->Narrow(some); !narrowed.ok()) return Fail(narrowed.status());

  capbroker::WorkerOptions worker_options;
  worker_options.entry = AskForTariffs;
  worker_options.grants = {{"tariff", *std::move(channel)}};
  auto output = capbroker::Duplicate(capbroker::FdRef::FromRaw(1));
  if (!output.ok()) return Fail(output.status());
  worker_options.standard_output = *std::move(output);
  auto worker = broker.Launch(std::move(worker_options));
  if (!worker.ok()) return Fail(worker.status());
  return worker->Wait().exit_code();
}
