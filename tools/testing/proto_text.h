// A proto compiled from its text, as protoc compiles it, for tests of tools.
//
// It may import capbroker/v1/authority.proto, which the test has as data, and Google's own.
#ifndef TOOLS_TESTING_PROTO_TEXT_H_
#define TOOLS_TESTING_PROTO_TEXT_H_

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/compiler/importer.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "gtest/gtest.h"

namespace capbroker::tools {

class ProtoText {
 public:
  // The file's name is "test.proto".
  explicit ProtoText(std::string text) : tree_(std::move(text)), importer_(&tree_, &errors_) {
    file_ = importer_.Import("test.proto");
  }

  // Null, and the test has failed, if the text is no proto.
  const google::protobuf::FileDescriptor* file() const { return file_; }

 private:
  class Tree : public google::protobuf::compiler::SourceTree {
   public:
    explicit Tree(std::string text) : text_(std::move(text)) {}
    google::protobuf::io::ZeroCopyInputStream* Open(const std::string& name) override {
      if (name == "test.proto") return Stream(text_);
      std::ifstream file(name.rfind("capbroker/", 0) == 0 ? "proto/" + name
                                                          : "/usr/include/" + name);
      if (!file) return nullptr;
      std::stringstream content;
      content << file.rdbuf();
      imported_.push_back(std::make_unique<std::string>(content.str()));
      return Stream(*imported_.back());
    }

   private:
    static google::protobuf::io::ZeroCopyInputStream* Stream(const std::string& content) {
      return new google::protobuf::io::ArrayInputStream(content.data(),
                                                        static_cast<int>(content.size()));
    }
    const std::string text_;
    std::vector<std::unique_ptr<std::string>> imported_;
  };

  class Errors : public google::protobuf::compiler::MultiFileErrorCollector {
    void AddError(const std::string& file, int line, int, const std::string& message) override {
      ADD_FAILURE() << file << ":" << line + 1 << ": " << message;
    }
  };

  Tree tree_;
  Errors errors_;
  google::protobuf::compiler::Importer importer_;
  const google::protobuf::FileDescriptor* file_ = nullptr;
};

}  // namespace capbroker::tools

#endif  // TOOLS_TESTING_PROTO_TEXT_H_
