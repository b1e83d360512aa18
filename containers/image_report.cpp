#include "containers/image_report.hpp"

#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string render_image_report(const ImageReport& report) {
  std::string text =
      cat("tree ", escape(report.tree), "\nowner ", report.owner_uid, " ", report.owner_gid, "\n");
  for (const std::string& value : report.env) text += cat("env ", escape(value), "\n");
  for (const std::string& value : report.entrypoint) {
    text += cat("entrypoint ", escape(value), "\n");
  }
  for (const std::string& value : report.cmd) text += cat("cmd ", escape(value), "\n");
  if (!report.workdir.empty()) text += cat("workdir ", escape(report.workdir), "\n");
  if (!report.user.empty()) text += cat("user ", escape(report.user), "\n");
  text += cat("entries ", report.entries, "\nbytes ", report.bytes, "\n");
  return text + "done\n";
}

Result<ImageReport> parse_image_report(std::string_view text) {
  ImageReport report;
  bool owner = false;
  bool done = false;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty() || done) continue;
    if (line == "done") {
      done = true;
      continue;
    }
    const std::size_t space = line.find(' ');
    const std::string_view key = line.substr(0, space);
    const std::string value =
        space == std::string_view::npos ? "" : unescape(line.substr(space + 1));
    if (key == "tree") {
      report.tree = value;
    } else if (key == "owner") {
      const std::vector<std::string_view> ids = split(value, ' ');
      const auto uid = ids.size() == 2 ? parse_integer<uid_t>(ids[0]) : std::nullopt;
      const auto gid = ids.size() == 2 ? parse_integer<gid_t>(ids[1]) : std::nullopt;
      if (!uid || !gid) return Error(ErrorKind::Corrupt, "image report: malformed owner");
      report.owner_uid = *uid;
      report.owner_gid = *gid;
      owner = true;
    } else if (key == "env") {
      report.env.push_back(value);
    } else if (key == "entrypoint") {
      report.entrypoint.push_back(value);
    } else if (key == "cmd") {
      report.cmd.push_back(value);
    } else if (key == "workdir") {
      report.workdir = value;
    } else if (key == "user") {
      report.user = value;
    } else if (key == "entries") {
      report.entries = parse_integer<std::int64_t>(value).value_or(0);
    } else if (key == "bytes") {
      report.bytes = parse_integer<std::int64_t>(value).value_or(0);
    } else {
      return Error(ErrorKind::Corrupt, cat("image report: unknown line: ", line));
    }
  }
  if (!done || !owner || !report.tree.starts_with('/')) {
    return Error(ErrorKind::Corrupt, "image report: incomplete");
  }
  return report;
}

std::string_view to_string(ImageSourceKind kind) {
  switch (kind) {
    case ImageSourceKind::OciLayout:
      return "oci-layout";
    case ImageSourceKind::OciArchive:
      return "oci-archive";
    case ImageSourceKind::DockerArchive:
      return "docker-archive";
  }
  CHECK(false);
}

std::optional<ImageSourceKind> parse_image_source_kind(std::string_view text) {
  for (const ImageSourceKind kind :
       {ImageSourceKind::OciLayout, ImageSourceKind::OciArchive, ImageSourceKind::DockerArchive}) {
    if (text == to_string(kind)) return kind;
  }
  return std::nullopt;
}

int image_exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Invalid:
    case ErrorKind::Corrupt:
    case ErrorKind::Unsupported:
      return 65;
    case ErrorKind::NotFound:
      return 66;
    case ErrorKind::Denied:
      return 77;
    case ErrorKind::Conflict:
    case ErrorKind::Unavailable:
    case ErrorKind::Exhausted:
      return 75;
    case ErrorKind::Internal:
      break;
  }
  return 70;
}

ErrorKind image_error_kind(int exit_code) {
  switch (exit_code) {
    case 65:
      return ErrorKind::Invalid;
    case 66:
      return ErrorKind::NotFound;
    case 75:
      return ErrorKind::Exhausted;
    case 77:
      return ErrorKind::Denied;
    default:
      return ErrorKind::Internal;
  }
}

}  // namespace gangway::containers
