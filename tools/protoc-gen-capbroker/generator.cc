#include "tools/protoc-gen-capbroker/generator.h"

#include <google/protobuf/io/printer.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "tools/protoc-gen-capbroker/printing.h"

namespace capbroker::codegen {

bool Generator::Generate(const google::protobuf::FileDescriptor* file, const std::string&,
                         google::protobuf::compiler::GeneratorContext* context,
                         std::string* error) const {
  for (int s = 0; s < file->service_count(); ++s) {
    for (int m = 0; m < file->service(s)->method_count(); ++m) {
      const auto* method = file->service(s)->method(m);
      // A descriptor belongs to one packet, and streams have none.
      if (KindOf(*method) != Kind::kUnary &&
          (CarriesDescriptors(method->input_type()) || CarriesDescriptors(method->output_type()))) {
        *error =
            absl::StrCat(method->full_name(), ": only unary methods carry capbroker.v1.Descriptor");
        return false;
      }
    }
  }
  const auto print = [&](const char* ending, auto function) {
    const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> output(
        context->Open(absl::StrCat(Stem(*file), ending)));
    google::protobuf::io::Printer printer(output.get(), '$');
    function(*file, &printer);
  };
  print(".capbroker.h", PrintClientHeader);
  print(".capbroker.cc", PrintClientSource);
  print(".dispatch.h", PrintDispatchHeader);
  print(".dispatch.cc", PrintDispatchSource);
  print(".fake.h", PrintFakeHeader);
  print(".proxy.h", PrintProxyHeader);
  print(".fuzz.cc", PrintFuzzSource);
  return true;
}

}  // namespace capbroker::codegen
