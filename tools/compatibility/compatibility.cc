#include "tools/compatibility/compatibility.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "capbroker/v1/authority.pb.h"
#include "tools/compatibility/elements.h"

namespace capbroker::tools {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::EnumValueDescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FieldOptions;
using google::protobuf::FileDescriptorProto;
using google::protobuf::FileDescriptorSet;
using google::protobuf::MethodDescriptorProto;
using google::protobuf::MethodOptions;
using google::protobuf::ServiceDescriptorProto;

std::string Quoted(const std::string& text) {
  return text.empty() ? "none" : absl::StrCat("\"", text, "\"");
}

std::string Was(const std::string& what, const std::string& before, const std::string& now) {
  return absl::StrCat(what, " was ", before, " and is ", now);
}

// What bounds a field of a request, in words.
std::string Bound(const FieldOptions& options) {
  if (options.HasExtension(v1::bounded_by)) {
    return absl::StrCat("bounded_by \"", options.GetExtension(v1::bounded_by), "\"");
  }
  return options.HasExtension(v1::unbounded) ? "unbounded" : "neither bounded nor unbounded";
}

std::string TypeOf(const FieldDescriptorProto& field) {
  if (!field.type_name().empty()) return std::string(absl::StripPrefix(field.type_name(), "."));
  return absl::StrReplaceAll(FieldDescriptorProto::Type_Name(field.type()), {{"TYPE_", ""}});
}

// "repeated", "optional" with presence of its own, or "single".
std::string Cardinality(const FieldDescriptorProto& field) {
  if (field.label() == FieldDescriptorProto::LABEL_REPEATED) return "repeated";
  if (field.label() == FieldDescriptorProto::LABEL_REQUIRED) return "required";
  return field.proto3_optional() ? "optional" : "single";
}

std::string OneofOf(const DescriptorProto& message, const FieldDescriptorProto& field) {
  if (!field.has_oneof_index() || field.proto3_optional()) return "none";
  return message.oneof_decl(field.oneof_index()).name();
}

std::string Call(const MethodDescriptorProto& method) {
  return absl::StrCat(method.client_streaming() ? "stream " : "",
                      absl::StripPrefix(method.input_type(), "."), " -> ",
                      method.server_streaming() ? "stream " : "",
                      absl::StripPrefix(method.output_type(), "."));
}

class Comparison {
 public:
  Comparison(const FileDescriptorSet& recorded, const FileDescriptorSet& current)
      : recorded_(recorded), current_(current) {}

  std::vector<Finding> Run() {
    for (const auto& [name, file] : recorded_.files) CompareFile(name, *file);
    for (const auto& [name, message] : recorded_.messages) {
      const DescriptorProto* const now = current_.messages.Find(name);
      if (Exists(name, now)) CompareMessage(name, *message, *now);
    }
    for (const auto& [name, type] : recorded_.enums) {
      const EnumDescriptorProto* const now = current_.enums.Find(name);
      if (Exists(name, now)) CompareEnum(name, *type, *now);
    }
    for (const auto& [name, extension] : recorded_.extensions) {
      const FieldDescriptorProto* const now = current_.extensions.Find(name);
      if (!Exists(name, now)) continue;
      Same(name, "its number", absl::StrCat(extension->number()), absl::StrCat(now->number()));
      Same(name, "what it extends", extension->extendee(), now->extendee());
      CompareShape(name, *extension, *now);
    }
    for (const auto& [name, service] : recorded_.services) {
      const ServiceDescriptorProto* const now = current_.services.Find(name);
      if (Exists(name, now)) CompareService(name, *service, *now);
    }
    return std::move(findings_);
  }

 private:
  void Breaks(const std::string& element, std::string change) {
    findings_.push_back({Finding::Kind::kBreaks, element, std::move(change)});
  }
  void Loosens(const std::string& element, std::string change) {
    findings_.push_back({Finding::Kind::kLoosens, element, std::move(change)});
  }
  bool Exists(const std::string& name, const void* now) {
    if (now == nullptr) Breaks(name, "was removed or renamed");
    return now != nullptr;
  }
  void Same(const std::string& element, const std::string& what, const std::string& before,
            const std::string& now) {
    if (before != now) Breaks(element, Was(what, before, now));
  }
  // A bound that may fall for nobody: more of it admits more, less of it refuses more.
  void SameBound(const std::string& element, const std::string& what, uint64_t before,
                 uint64_t now) {
    const auto text = [](uint64_t bound) { return bound == 0 ? "none" : absl::StrCat(bound); };
    if (before == now) return;
    const bool more = now == 0 || (before != 0 && now > before);
    (more ? Loosens(element, Was(what, text(before), text(now)))
          : Breaks(element, Was(what, text(before), text(now))));
  }

  void CompareFile(const std::string& name, const FileDescriptorProto& before) {
    const FileDescriptorProto* const now = current_.files.Find(name);
    if (!Exists(name, now)) return;  // headers are included by this path
    Same(name, "syntax", before.syntax(), now->syntax());
    Same(name, "package", Quoted(before.package()), Quoted(now->package()));
  }

  void CompareMessage(const std::string& name, const DescriptorProto& before,
                      const DescriptorProto& now) {
    for (const FieldDescriptorProto& field : before.field()) {
      const std::string element = absl::StrCat(name, ".", field.name());
      const auto same_name =
          std::find_if(now.field().begin(), now.field().end(),
                       [&](const auto& other) { return other.name() == field.name(); });
      if (same_name == now.field().end()) {
        const auto same_number =
            std::find_if(now.field().begin(), now.field().end(),
                         [&](const auto& other) { return other.number() == field.number(); });
        Breaks(element, same_number == now.field().end()
                            ? "was removed"
                            : absl::StrCat("its number is now ", same_number->name(), "'s"));
        continue;
      }
      Same(element, "its number", absl::StrCat(field.number()), absl::StrCat(same_name->number()));
      Same(element, "its oneof", OneofOf(before, field), OneofOf(now, *same_name));
      CompareShape(element, field, *same_name);
      CompareBound(name, element, field.options(), same_name->options());
      CompareAuthority(element, field.options(), same_name->options());
    }
    for (const FieldDescriptorProto& field : now.field()) CompareAdded(name, before, field);
    for (const auto& range : before.reserved_range()) {
      if (!std::any_of(now.reserved_range().begin(), now.reserved_range().end(),
                       [&](const auto& other) {
                         return other.start() <= range.start() && other.end() >= range.end();
                       })) {
        Breaks(name, absl::StrCat("number ", range.start(), " is no longer reserved"));
      }
    }
    for (const std::string& reserved : before.reserved_name()) {
      if (std::find(now.reserved_name().begin(), now.reserved_name().end(), reserved) ==
          now.reserved_name().end()) {
        Breaks(name, absl::StrCat("name ", reserved, " is no longer reserved"));
      }
    }
  }

  void CompareShape(const std::string& element, const FieldDescriptorProto& before,
                    const FieldDescriptorProto& now) {
    Same(element, "its type", TypeOf(before), TypeOf(now));
    Same(element, "its cardinality", Cardinality(before), Cardinality(now));
    Same(element, "its JSON name", before.json_name(), now.json_name());
  }

  // An old caller leaves a new field unset, and a field without presence is checked as its
  // default then, against limits that were granted before anybody knew of it.
  void CompareAdded(const std::string& message, const DescriptorProto& before,
                    const FieldDescriptorProto& field) {
    const bool known = std::any_of(before.field().begin(), before.field().end(),
                                   [&](const auto& other) { return other.name() == field.name(); });
    const std::string& limit = field.options().GetExtension(v1::bounded_by);
    if (known || limit.empty() || recorded_.in_requests.count(message) == 0 ||
        Cardinality(field) != "single" || field.has_oneof_index() ||
        field.type() == FieldDescriptorProto::TYPE_MESSAGE || current_.flags.count(limit) != 0) {
      return;
    }
    Breaks(absl::StrCat(message, ".", field.name()),
           absl::StrCat("is new and bounded_by \"", limit,
                        "\": requests without it are refused; make it optional"));
  }

  void CompareBound(const std::string& message, const std::string& element,
                    const FieldOptions& before, const FieldOptions& now) {
    if (Bound(before) == Bound(now)) return;
    const std::string change = Was("it", Bound(before), Bound(now));
    if (before.HasExtension(v1::bounded_by)) {
      // Also to another limits field: the grants in use say nothing about that one.
      Loosens(element, change);
    } else if (now.HasExtension(v1::bounded_by) && recorded_.in_requests.count(message) != 0) {
      Breaks(element, change);
    }
  }

  void CompareAuthority(const std::string& element, const FieldOptions& before,
                        const FieldOptions& now) {
    SameBound(element, "max_length", before.GetExtension(v1::max_length),
              now.GetExtension(v1::max_length));
    Same(element, "its kind of limit", v1::LimitKind_Name(before.GetExtension(v1::limit)),
         v1::LimitKind_Name(now.GetExtension(v1::limit)));
    CompareRule(element, before, now);
    CompareRights(element, before, now);
  }

  void CompareRule(const std::string& element, const FieldOptions& before,
                   const FieldOptions& now) {
    if (!before.HasExtension(v1::budget)) return;
    const v1::BudgetRule& was = before.GetExtension(v1::budget);
    const v1::BudgetRule& is = now.GetExtension(v1::budget);
    const auto rule = [](const v1::BudgetRule& r) {
      return absl::StrCat(v1::BudgetKind_Name(r.kind()), r.of().empty() ? "" : " of ", r.of());
    };
    if (rule(was) != rule(is)) {
      Loosens(element, Was("what it bounds", rule(was), rule(is)));
    } else if (is.default_value() > was.default_value()) {
      // Less by default breaks nobody: a grant may say what it needs.
      Loosens(element, Was("its default", absl::StrCat(was.default_value()),
                           absl::StrCat(is.default_value())));
    }
  }

  void CompareRights(const std::string& element, const FieldOptions& before,
                     const FieldOptions& now) {
    if (!before.HasExtension(v1::rights)) return;
    if (!now.HasExtension(v1::rights)) return Loosens(element, "has no rights any more");
    const v1::DescriptorRights& was = before.GetExtension(v1::rights);
    const v1::DescriptorRights& is = now.GetExtension(v1::rights);
    for (const int kind : is.kinds()) {
      if (std::find(was.kinds().begin(), was.kinds().end(), kind) == was.kinds().end()) {
        Loosens(element, absl::StrCat("may be a ", v1::DescriptorRights::Kind_Name(kind)));
      }
    }
    for (const int kind : was.kinds()) {
      if (std::find(is.kinds().begin(), is.kinds().end(), kind) == is.kinds().end()) {
        Breaks(element, absl::StrCat("may not be a ", v1::DescriptorRights::Kind_Name(kind)));
      }
    }
    if (was.access() != is.access()) {
      Loosens(element, Was("its access", v1::DescriptorRights::Access_Name(was.access()),
                           v1::DescriptorRights::Access_Name(is.access())));
    }
    if (was.append_only() && !is.append_only()) Loosens(element, "need not be append_only");
    if (!was.append_only() && is.append_only()) Breaks(element, "must be append_only");
    if ((was.seals() & ~is.seals()) != 0) Loosens(element, "needs fewer seals");
    if ((is.seals() & ~was.seals()) != 0) Breaks(element, "needs more seals");
    if (was.seekable() && !is.seekable()) Loosens(element, "need not be seekable");
    if (!was.seekable() && is.seekable()) Breaks(element, "must be seekable");
    const auto size = [](const v1::DescriptorRights& rights) {
      return rights.max_size() == 0 ? ~uint64_t{0} : rights.max_size();
    };
    if (size(is) > size(was)) Loosens(element, "may be larger");
    if (size(is) < size(was)) Breaks(element, "may not be as large");
    // What was reduced by its sender is refused.
    if (was.reduced() && !is.reduced()) Breaks(element, "is not reduced any more");
    if (was.lease() != is.lease() && is.lease() == v1::DescriptorRights::LEASE_UNSPECIFIED) {
      Loosens(element, "is not leased any more");
    } else if (was.lease() != is.lease()) {
      Breaks(element, "is leased: it ends with its channel");
    }
  }

  void CompareEnum(const std::string& name, const EnumDescriptorProto& before,
                   const EnumDescriptorProto& now) {
    for (const EnumValueDescriptorProto& value : before.value()) {
      const std::string element = absl::StrCat(name, ".", value.name());
      const auto found = std::find_if(now.value().begin(), now.value().end(),
                                      [&](const auto& v) { return v.name() == value.name(); });
      if (found == now.value().end()) {
        Breaks(element, "was removed or renamed");
      } else {
        Same(element, "its number", absl::StrCat(value.number()), absl::StrCat(found->number()));
      }
    }
  }

  void CompareService(const std::string& name, const ServiceDescriptorProto& before,
                      const ServiceDescriptorProto& now) {
    const v1::ServiceAuthority& was = before.options().GetExtension(v1::authority);
    const v1::ServiceAuthority& is = now.options().GetExtension(v1::authority);
    Same(name, "its limits message", Quoted(was.limits()), Quoted(is.limits()));
    if (!was.budget().empty() && was.budget() != is.budget()) {
      Loosens(name, Was("its budget message", was.budget(), Quoted(is.budget())));
    }
    const auto bytes = [](const v1::ServiceAuthority& authority) -> uint64_t {
      return authority.max_message_bytes() == 0 ? 4 << 20 : authority.max_message_bytes();
    };
    SameBound(name, "max_message_bytes", bytes(was), bytes(is));
    for (const MethodDescriptorProto& method : before.method()) {
      const std::string element = absl::StrCat(name, ".", method.name());
      const auto found = std::find_if(now.method().begin(), now.method().end(),
                                      [&](const auto& m) { return m.name() == method.name(); });
      if (found == now.method().end()) {
        Breaks(element, "was removed or renamed");
        continue;
      }
      Same(element, "it", Call(method), Call(*found));
      CompareMethodAuthority(element, method.options(), found->options());
    }
  }

  void CompareMethodAuthority(const std::string& element, const MethodOptions& before,
                              const MethodOptions& now) {
    const auto needs = [](const MethodOptions& options) {
      std::vector<std::string> all;
      for (const v1::Requirement& need : options.GetRepeatedExtension(v1::needs)) {
        all.push_back(absl::StrCat(need.value(), " in ", need.field()));
      }
      return all;
    };
    const std::vector<std::string> was = needs(before);
    const std::vector<std::string> is = needs(now);
    for (const std::string& need : was) {
      if (std::find(is.begin(), is.end(), need) == is.end()) {
        Loosens(element, absl::StrCat("does not need ", need, " any more"));
      }
    }
    for (const std::string& need : is) {
      if (std::find(was.begin(), was.end(), need) == was.end()) {
        Breaks(element, absl::StrCat("now needs ", need));
      }
    }
    const bool was_unlimited = before.HasExtension(v1::unlimited);
    const bool is_unlimited = now.HasExtension(v1::unlimited);
    if (!was_unlimited && is_unlimited) Loosens(element, "is unlimited now");
    if (was_unlimited && !is_unlimited) Breaks(element, "is not unlimited any more");
  }

  const Elements recorded_;
  const Elements current_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string Finding::ToString() const {
  return absl::StrCat(element, ": ", kind == Kind::kBreaks ? "BREAKS" : "LOOSENS", ": ", change);
}

std::vector<Finding> Compare(const FileDescriptorSet& recorded, const FileDescriptorSet& current) {
  return Comparison(recorded, current).Run();
}

}  // namespace capbroker::tools
