#include "submit/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>
#include <utility>

#include "queues/base/check.hpp"

namespace gangway::submit {

namespace {

// Of all aliases together: a few lines can name each other into any number of values.
constexpr std::size_t kMaxCopied = 1'000'000;

std::size_t size_of(const YamlNode& node) {
  std::size_t size = 1;
  for (const YamlNode& item : node.items) size += size_of(item);
  return size;
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add({.kind = YamlNode::Kind::Null, .line = mark.line + 1}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto named = named_.find(anchor);
    if (named == named_.end()) throw YAML::ParserException(mark, "an alias within what it names");
    copied_ += size_of(named->second);
    if (copied_ > kMaxCopied) throw YAML::ParserException(mark, "too much is named by aliases");
    add(YamlNode(named->second), 0);
  }
  void OnScalar(const YAML::Mark& mark,
                const std::string&,
                YAML::anchor_t anchor,
                const std::string& value) override {
    add({.kind = YamlNode::Kind::Scalar, .line = mark.line + 1, .text = value}, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string&,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_.push_back({{.kind = YamlNode::Kind::Sequence, .line = mark.line + 1}, anchor});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string&,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open_.push_back({{.kind = YamlNode::Kind::Map, .line = mark.line + 1}, anchor});
  }
  void OnMapEnd() override { close(); }

  YamlNode take() { return std::move(root_); }

 private:
  void add(YamlNode node, YAML::anchor_t anchor) {
    if (anchor != 0) named_.insert_or_assign(anchor, node);
    (open_.empty() ? root_ : open_.back().first.items.emplace_back()) = std::move(node);
  }
  void close() {
    CHECK(!open_.empty());
    auto [node, anchor] = std::move(open_.back());
    open_.pop_back();
    add(std::move(node), anchor);
  }

  YamlNode root_;
  std::vector<std::pair<YamlNode, YAML::anchor_t>> open_;
  std::map<YAML::anchor_t, YamlNode> named_;
  std::size_t copied_ = 0;
};

}  // namespace

std::variant<YamlNode, YamlError> parse_yaml(const std::string& text) {
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder;
    parser.HandleNextDocument(builder);
    return builder.take();
  } catch (const YAML::Exception& e) {
    return YamlError{e.mark.line + 1, e.msg};
  }
}

}  // namespace gangway::submit
