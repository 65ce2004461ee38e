#include "tools/pages/authority_page.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "capbroker/v1/authority.pb.h"
#include "tools/pages/bounds.h"
#include "tools/pages/markdown.h"

namespace capbroker::tools {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr char kIntroduction[] = R"(# What bounds each request

Of every method of every service: what decides on calling it, and for each field of its request the limits field that
bounds it and how (the kinds stand in `proto/capbroker/v1/authority.proto`), its largest length, and the budget that its
values use up; or the reason why nothing bounds it. Written from the protos: the test beside this page fails when it is
out of date, and says how to write it anew.

A field that is a message has its own fields in the rows below it. What has a default is charged by default: a grant may
say otherwise.
)";

std::string Budgets(const MethodDescriptor& method, const std::string& limit) {
  std::vector<std::string> budgets;
  for (const Charge& charge : ChargesOf(method)) {
    if (charge.rule.of() != limit) continue;
    budgets.push_back(absl::StrCat(Code(charge.field->name()), " (",
                                   v1::BudgetKind_Name(charge.rule.kind()), ", ",
                                   charge.rule.default_value(), " by default)"));
  }
  return absl::StrJoin(budgets, ", ");
}

std::string CallRow(const MethodDescriptor& method) {
  std::vector<std::string> needs;
  for (const v1::Requirement& need : method.options().GetRepeatedExtension(v1::needs)) {
    needs.push_back(absl::StrCat(Code(need.field()), " has ", Code(need.value())));
  }
  std::string decides = absl::StrJoin(needs, ", ");
  if (method.options().HasExtension(v1::unlimited)) {
    decides = absl::StrCat("nothing: ", method.options().GetExtension(v1::unlimited));
  }
  if (decides.empty()) decides = "its fields";
  return TableRow({Code(method.name()), "*the call*", decides,
                   absl::StrCat(MaxMessageBytes(*method.service()), " bytes"),
                   Budgets(method, "")});
}

std::string FieldRow(const MethodDescriptor& method, const BoundField& field) {
  std::string bound;
  if (!field.bounded_by.empty()) {
    bound = absl::StrCat(Code(field.bounded_by), " (", v1::LimitKind_Name(field.kind), ")");
  } else if (!field.unbounded.empty()) {
    bound = absl::StrCat("nothing: ", field.unbounded);
  }
  if (!field.descriptor.empty()) {
    bound = absl::StrCat(field.descriptor, bound.empty() ? "" : "; ", bound);
  }
  if (bound.empty()) bound = "**nothing, and no reason is given**";
  return TableRow({Code(method.name()), Code(field.path), bound, LengthInWords(field),
                   field.bounded_by.empty() ? "" : Budgets(method, field.bounded_by)});
}

std::string Service(const ServiceDescriptor& service) {
  const Descriptor* const limits = LimitsOf(service);
  const Descriptor* const budget = BudgetOf(service);
  std::string page =
      absl::StrCat("\n## ", service.full_name(), "\n\n`", service.file()->name(), "`; limits ",
                   limits == nullptr ? "–" : Code(limits->name()), ", budget ",
                   budget == nullptr ? "–" : Code(budget->name()), ".\n\n",
                   TableHead({"rpc", "request field", "bounded by", "at most", "budget"}));
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    page += CallRow(method);
    for (const BoundField& field : RequestFields(method)) page += FieldRow(method, field);
  }
  return page;
}

}  // namespace

std::string AuthorityPage(const std::vector<const FileDescriptor*>& files) {
  std::vector<const ServiceDescriptor*> services;
  for (const FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  std::sort(services.begin(), services.end(),
            [](const auto* a, const auto* b) { return a->full_name() < b->full_name(); });
  std::string page = kIntroduction;
  for (const ServiceDescriptor* service : services) page += Service(*service);
  return page;
}

}  // namespace capbroker::tools
