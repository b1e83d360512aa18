// ImageSettings: an image's config document as a build reads, changes and writes it; and the
// manifest and index that go with it. Beside image_document.hpp, which reads what a job needs, this
// keeps everything that the OCI image-spec and Docker's additions (Shell, OnBuild, Healthcheck)
// say.
//
// Pure. What is written is the same for the same settings: keys sorted, no times of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "containers/archive_reader.hpp"
#include "containers/image_document.hpp"
#include "containers/image_ref.hpp"
#include "queues/base/result.hpp"
#include "queues/base/time.hpp"

namespace gangway::containers::build {

struct HealthSettings {
  std::vector<std::string> test;  // {"NONE"}, {"CMD", …}, {"CMD-SHELL", line}
  Duration interval{};
  Duration timeout{};
  Duration start_period{};
  Duration start_interval{};
  int retries = 0;
  friend bool operator==(const HealthSettings&, const HealthSettings&) = default;
};

struct HistoryEntry {
  std::string created;
  std::string created_by;
  std::string comment;
  bool empty_layer = false;
  friend bool operator==(const HistoryEntry&, const HistoryEntry&) = default;
};

struct ImageSettings {
  Platform platform;
  std::string created;  // RFC 3339; "" if it is not said
  std::string author;
  std::vector<std::string> env;  // "NAME=value", in the order they came
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> shell;
  std::vector<std::string> on_build;
  std::string workdir;
  std::string user;
  std::string stop_signal;
  std::map<std::string, std::string> labels;
  std::set<std::string> exposed_ports;  // "80/tcp"
  std::set<std::string> volumes;
  std::optional<HealthSettings> health;
  std::vector<Digest> diff_ids;
  std::vector<HistoryEntry> history;
  friend bool operator==(const ImageSettings&, const ImageSettings&) = default;
};

// "NAME=value" takes the place of an earlier one.
void set_env(std::vector<std::string>& env, const std::string& name, const std::string& value);

// Errors: Corrupt.
[[nodiscard]] Result<ImageSettings> parse_settings(std::string_view text);
[[nodiscard]] std::string render_settings(const ImageSettings& settings);

struct LayerBlob {
  Digest diff_id;
  Digest digest;
  std::int64_t size = 0;
  Compression compression = Compression::Zstd;
  friend bool operator==(const LayerBlob&, const LayerBlob&) = default;
};
[[nodiscard]] std::string layer_media_type(Compression compression);
[[nodiscard]] std::string render_manifest(const Digest& config,
                                          std::int64_t config_size,
                                          const std::vector<LayerBlob>& layers);

struct NamedManifest {
  std::string name;  // "node:14-alpine"
  Digest digest;
  std::int64_t size = 0;
  Platform platform;
};
[[nodiscard]] std::string render_index(const std::vector<NamedManifest>& manifests);

// "2023-11-14T22:13:20Z".
[[nodiscard]] std::string render_rfc3339(std::int64_t seconds);

}  // namespace gangway::containers::build
