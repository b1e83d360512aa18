// DAX: XML. The only file that includes expat.h.
//
//   <job id="ID00000" name="mProjectPP" runtime="13.39"> ... </job>
//   <child ref="ID00005"> <parent ref="ID00000"/> </child>
#include <expat.h>

#include <charconv>
#include <cmath>
#include <memory>
#include <optional>
#include <type_traits>

#include "queues/base/text.hpp"
#include "scheduler/jsim/task_graph.hpp"

namespace gangway::jsim {

namespace {

struct Free {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};
using Parser = std::unique_ptr<std::remove_pointer_t<XML_Parser>, Free>;

// What stands under a prefix is the same to us as what stands without.
std::string_view local(std::string_view name) { return name.substr(name.rfind(':') + 1); }

std::string attribute(const XML_Char** attributes, std::string_view name) {
  for (; *attributes != nullptr; attributes += 2) {
    if (local(attributes[0]) == name) return attributes[1];
  }
  return {};
}

// Below 0: it is no number.
double number(const std::string& text) {
  double value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : -1;
}

struct Reader {
  XML_Parser parser = nullptr;
  TaskGraphBuilder builder{};
  bool is_dax = false;
  std::string child{};
  std::optional<Error> failed{};

  [[nodiscard]] std::string line() const { return cat("line ", XML_GetCurrentLineNumber(parser)); }

  void begin(std::string_view element, const XML_Char** attributes) {
    if (element == "adag") {
      is_dax = true;
      builder.set_name(attribute(attributes, "name"));
    } else if (element == "job" || element == "task") {
      builder.count();
      TaskGraphBuilder::Found task{.id = attribute(attributes, "id"),
                                   .name = attribute(attributes, "name"),
                                   .run_s = number(attribute(attributes, "runtime")),
                                   .cores = -1};
      if (const std::string cores = attribute(attributes, "cores"); !cores.empty()) {
        task.cores = std::max(0.0, number(cores));
      }
      if (task.id.empty()) return builder.leave_out(line(), "a job without an id");
      // Many tasks have one name: it is that of the program.
      if (!task.name.empty()) task.name = cat(task.name, "_", task.id);
      if (const Result<void> added = builder.add(std::move(task)); !added) stop(added.error());
    } else if (element == "child") {
      child = attribute(attributes, "ref");
      if (child.empty()) builder.leave_out(line(), "a child without a ref");
    } else if (element == "parent") {
      const std::string parent = attribute(attributes, "ref");
      if (child.empty() || parent.empty()) {
        builder.leave_out(line(), "a parent without a ref, or of no child");
      } else {
        builder.add_edge(parent, child);
      }
    }
  }
  void end(std::string_view element) {
    if (element == "child") child.clear();
  }
  void stop(const Error& why) {
    failed = why;
    XML_StopParser(parser, XML_FALSE);
  }
};

void on_begin(void* reader, const XML_Char* name, const XML_Char** attributes) {
  static_cast<Reader*>(reader)->begin(local(name), attributes);
}
void on_end(void* reader, const XML_Char* name) { static_cast<Reader*>(reader)->end(local(name)); }

}  // namespace

Result<TaskGraph> parse_dax(std::string_view text) {
  const Parser parser(XML_ParserCreate(nullptr));
  if (!parser) return Error(ErrorKind::Exhausted, "no memory for an XML parser");
  Reader reader{.parser = parser.get()};
  XML_SetUserData(parser.get(), &reader);
  XML_SetElementHandler(parser.get(), on_begin, on_end);
  // The parser takes an int; a file may be longer.
  constexpr std::size_t kPiece = std::size_t{1} << 24;
  do {
    const std::string_view piece = text.substr(0, kPiece);
    text.remove_prefix(piece.size());
    if (XML_Parse(parser.get(), piece.data(), static_cast<int>(piece.size()),
                  text.empty() ? XML_TRUE : XML_FALSE) == XML_STATUS_ERROR) {
      if (reader.failed) return *reader.failed;
      return Error(ErrorKind::Invalid,
                   cat(reader.line(), ": ", XML_ErrorString(XML_GetErrorCode(parser.get()))));
    }
  } while (!text.empty());
  if (!reader.is_dax) return Error(ErrorKind::Invalid, "XML, but no <adag>");
  return reader.builder.finish();
}

}  // namespace gangway::jsim
