// The descriptors of a call that goes through a proxy.
//
// A channel that came through unwrapped would lead around the proxy: calls on it are seen by
// no interposer. So a channel of the proxy's own service that comes in an answer is kept
// here, and the caller is given one of the proxy's instead, with the same limits, whose
// calls go to it. A channel for which there is no proxy does not pass. INVARIANT(membrane)
//
// Lives in: service processes of proxies.
#ifndef SERVING_INTERPOSITION_MEMBRANE_H_
#define SERVING_INTERPOSITION_MEMBRANE_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/status.h>

#include "absl/time/time.h"
#include "serving/interposition/endpoint.h"
#include "serving/interposition/interposer.h"
#include "transport/call_descriptors.h"

namespace capbroker::serving {

// Takes the descriptors that `request` names out of the caller's call and attaches them
// to the call upstream.
grpc::Status PassRequestDescriptors(Interposer& interposer, InterposedCall& call,
                                    google::protobuf::Message& request, CallDescriptors& upstream);

// Takes those that `response` names out of the call upstream and attaches them to the answer.
grpc::Status PassResponseDescriptors(Interposer& interposer, InterposedCall& call,
                                     google::protobuf::Message& response, CallDescriptors& upstream,
                                     Endpoint::MakeStub make_stub, absl::Time deadline);

}  // namespace capbroker::serving

#endif  // SERVING_INTERPOSITION_MEMBRANE_H_
