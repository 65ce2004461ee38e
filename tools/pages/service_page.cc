#include "tools/pages/service_page.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "capbroker/v1/authority.pb.h"
#include "tools/pages/bounds.h"
#include "tools/pages/markdown.h"

namespace capbroker::tools {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr char kDenied[] = "PERMISSION_DENIED";

std::string WhatIsCounted(const v1::BudgetRule& rule) {
  switch (rule.kind()) {
    case v1::CALLS_PER_MINUTE:
      return "calls in a minute";
    case v1::DISTINCT_VALUES:
      return absl::StrCat("different values checked against `", rule.of(), "`, ever");
    case v1::RESPONSE_BYTES:
      return "bytes of responses, ever";
    case v1::CLONES:
      return "clones of the channel at a time";
    case v1::OPEN_DESCRIPTORS:
      return "descriptors given in a minute";
    case v1::LEASES:
      return "leased connections at a time";
    default:
      return "nothing";
  }
}

std::string HowItIsOutside(v1::LimitKind kind) {
  switch (kind) {
    case v1::MAXIMUM:
      return " is more, or it is not set";
    case v1::FLAGS:
      return " has a bit that it has not";
    case v1::NAME_PATTERNS:
    case v1::PATHS:
    case v1::CIDRS:
      return " matches none of it";
    default:
      return " is not in it";
  }
}

std::string Limits(const ServiceDescriptor& service) {
  const Descriptor* const limits = LimitsOf(service);
  if (limits == nullptr) {
    return "It declares no limits: every method says why it needs none.\n\n";
  }
  std::string page = absl::StrCat("## Limits: `", limits->full_name(),
                                  "`\n\nA field that is not set allows nothing.\n\n",
                                  TableHead({"field", "type", "kind", ""}));
  for (int i = 0; i < limits->field_count(); ++i) {
    const FieldDescriptor& field = *limits->field(i);
    page += TableRow(
        {Code(field.name()),
         absl::StrCat(field.is_repeated() ? "repeated " : "",
                      field.enum_type() != nullptr ? field.enum_type()->name() : field.type_name()),
         v1::LimitKind_Name(field.options().GetExtension(v1::limit)), CommentLineOf(field)});
  }
  return page + "\n";
}

std::string Budget(const ServiceDescriptor& service) {
  const Descriptor* const budget = BudgetOf(service);
  if (budget == nullptr)
    return "No budget is declared: 16 clones, and nothing else is counted.\n\n";
  std::string page = absl::StrCat("## Budget: `", budget->full_name(),
                                  "`\n\nA channel and its clones share it.\n\n",
                                  TableHead({"field", "counts", "by default", ""}));
  for (int i = 0; i < budget->field_count(); ++i) {
    const FieldDescriptor& field = *budget->field(i);
    const v1::BudgetRule& rule = field.options().GetExtension(v1::budget);
    page += TableRow({Code(field.name()), WhatIsCounted(rule), absl::StrCat(rule.default_value()),
                      CommentLineOf(field)});
  }
  return page + "\n";
}

std::string Signature(const MethodDescriptor& method) {
  return absl::StrCat("rpc ", method.name(), "(", method.client_streaming() ? "stream " : "",
                      method.input_type()->name(), ") returns (",
                      method.server_streaming() ? "stream " : "", method.output_type()->name(),
                      ")");
}

std::string Request(const MethodDescriptor& method) {
  const std::vector<BoundField> fields = RequestFields(method);
  if (fields.empty()) return "The request is empty.\n\n";
  std::string page = TableHead({"request field", "type", "bounded by", "at most", ""});
  for (const BoundField& field : fields) {
    std::string bound = "–";
    if (!field.bounded_by.empty()) {
      bound = absl::StrCat(Code(field.bounded_by), " (", v1::LimitKind_Name(field.kind), ")");
    } else if (!field.descriptor.empty()) {
      bound = absl::StrCat("must be ", field.descriptor);
    } else if (!field.unbounded.empty()) {
      bound = absl::StrCat("nothing: ", field.unbounded);
    }
    page += TableRow(
        {Code(field.path), field.type, bound, LengthInWords(field), CommentLineOf(*field.field)});
  }
  return page + "\n";
}

std::string Descriptors(const char* title, const Descriptor& message) {
  std::string page;
  for (const CarriedDescriptor& carried : DescriptorsIn(message)) {
    absl::StrAppend(&page, page.empty() ? title : ";", " ", Code(carried.path), ": ",
                    carried.rights);
  }
  return page.empty() ? "" : page + ".\n\n";
}

std::string Charges(const MethodDescriptor& method) {
  std::vector<std::string> charges;
  for (const Charge& charge : ChargesOf(method)) {
    charges.push_back(
        absl::StrCat(Code(charge.field->name()), " (", WhatIsCounted(charge.rule), ")"));
  }
  return charges.empty() ? "" : absl::StrCat("Charges ", absl::StrJoin(charges, ", "), ".\n\n");
}

std::string Refusals(const MethodDescriptor& method) {
  if (LimitsOf(*method.service()) == nullptr) return "";
  std::string page = absl::StrCat("Refused before the service sees it:\n\n",
                                  TableHead({"code", "reason", "field", "when"}));
  for (const v1::Requirement& need : method.options().GetRepeatedExtension(v1::needs)) {
    page += TableRow({kDenied, "METHOD_NOT_ALLOWED", Code(need.field()),
                      absl::StrCat(Code(need.value()), " is not in it")});
  }
  page += TableRow({kDenied, "UNKNOWN_FIELD", "–", "the request has a field that is not listed"});
  for (const BoundField& field : RequestFields(method)) {
    if (field.max_length != 0) {
      page += TableRow({kDenied, "TOO_LONG", Code(field.field->name()),
                        absl::StrCat("more than ", LengthInWords(field))});
    }
  }
  for (const BoundField& field : RequestFields(method)) {
    if (field.bounded_by.empty()) continue;
    page += TableRow({kDenied, "NOT_IN_LIMITS", Code(field.bounded_by),
                      absl::StrCat(Code(field.path), field.field->has_presence() ? ", if set," : "",
                                   HowItIsOutside(field.kind))});
  }
  for (const Charge& charge : ChargesOf(method)) {
    page += TableRow(
        {"RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED", Code(charge.field->name()), "it is used up"});
  }
  return page + "\n";
}

std::string Method(const MethodDescriptor& method) {
  std::string page = absl::StrCat("## ", method.name(), "\n\n    ", Signature(method), "\n\n");
  if (const std::string comment = CommentOf(method); !comment.empty()) {
    absl::StrAppend(&page, comment, "\n\n");
  }
  std::vector<std::string> needs;
  for (const v1::Requirement& need : method.options().GetRepeatedExtension(v1::needs)) {
    needs.push_back(absl::StrCat(Code(need.value()), " in ", Code(need.field())));
  }
  if (!needs.empty()) {
    absl::StrAppend(&page, "Needs ", absl::StrJoin(needs, " and "), " of the limits.\n\n");
  }
  if (method.options().HasExtension(v1::unlimited)) {
    absl::StrAppend(&page, "Needs no limit: ", method.options().GetExtension(v1::unlimited),
                    ".\n\n");
  }
  return absl::StrCat(page, Request(method), Descriptors("Takes", *method.input_type()),
                      Descriptors("Gives", *method.output_type()), Charges(method),
                      Refusals(method));
}

std::string Service(const ServiceDescriptor& service) {
  std::string page = absl::StrCat("# ", service.full_name(), "\n\n");
  if (const std::string comment = CommentOf(service); !comment.empty()) {
    absl::StrAppend(&page, comment, "\n\n");
  }
  absl::StrAppend(&page, "From `", service.file()->name(), "`. A message is at most ",
                  MaxMessageBytes(service), " bytes.\n\n", Limits(service), Budget(service));
  for (int i = 0; i < service.method_count(); ++i) page += Method(*service.method(i));
  return page;
}

}  // namespace

std::string ServicePage(const std::vector<const FileDescriptor*>& files) {
  std::string page;
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) page += Service(*file->service(i));
  }
  while (absl::EndsWith(page, "\n\n")) page.pop_back();
  return page;
}

}  // namespace capbroker::tools
