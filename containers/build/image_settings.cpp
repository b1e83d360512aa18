#include "containers/build/image_settings.hpp"

#include <nlohmann/json.hpp>

#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kConfigType = "application/vnd.oci.image.config.v1+json";

// Readers of optional members: null and absent are the same (image-spec).
const Json* member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}
std::string text_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value == nullptr ? "" : value->get<std::string>();
}
Words words_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value == nullptr ? Words() : value->get<Words>();
}
std::set<std::string> keys_of(const Json& object, const char* key) {
  std::set<std::string> keys;
  if (const Json* value = member(object, key)) {
    for (const auto& item : value->items()) keys.insert(item.key());
  }
  return keys;
}
std::int64_t number_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value == nullptr ? 0 : value->get<std::int64_t>();
}

void put(Json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, const char* key, const Words& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, const char* key, std::int64_t value) {
  if (value != 0) object[key] = value;
}
void put(Json& object, const char* key, const std::set<std::string>& value) {
  for (const std::string& name : value) object[key][name] = Json::object();
}

HealthSettings parse_health(const Json& from) {
  return {.test = words_of(from, "Test"),
          .interval = {number_of(from, "Interval")},
          .timeout = {number_of(from, "Timeout")},
          .start_period = {number_of(from, "StartPeriod")},
          .start_interval = {number_of(from, "StartInterval")},
          .retries = static_cast<int>(number_of(from, "Retries"))};
}
Json render_health(const HealthSettings& health) {
  Json out = Json::object();
  put(out, "Test", health.test);
  put(out, "Interval", health.interval.ns);
  put(out, "Timeout", health.timeout.ns);
  put(out, "StartPeriod", health.start_period.ns);
  put(out, "StartInterval", health.start_interval.ns);
  put(out, "Retries", health.retries);
  return out;
}

ImageSettings settings_of(const Json& json) {
  ImageSettings settings;
  settings.platform = {text_of(json, "os"), text_of(json, "architecture"),
                       text_of(json, "variant")};
  settings.created = text_of(json, "created");
  settings.author = text_of(json, "author");
  if (const Json* config = member(json, "config")) {
    settings.env = words_of(*config, "Env");
    settings.entrypoint = words_of(*config, "Entrypoint");
    settings.cmd = words_of(*config, "Cmd");
    settings.shell = words_of(*config, "Shell");
    settings.on_build = words_of(*config, "OnBuild");
    settings.workdir = text_of(*config, "WorkingDir");
    settings.user = text_of(*config, "User");
    settings.stop_signal = text_of(*config, "StopSignal");
    if (const Json* labels = member(*config, "Labels")) {
      settings.labels = labels->get<std::map<std::string, std::string>>();
    }
    settings.exposed_ports = keys_of(*config, "ExposedPorts");
    settings.volumes = keys_of(*config, "Volumes");
    if (const Json* health = member(*config, "Healthcheck"))
      settings.health = parse_health(*health);
  }
  if (const Json* history = member(json, "history")) {
    for (const Json& entry : *history) {
      const Json* empty = member(entry, "empty_layer");
      settings.history.push_back({text_of(entry, "created"), text_of(entry, "created_by"),
                                  text_of(entry, "comment"),
                                  empty != nullptr && empty->get<bool>()});
    }
  }
  return settings;
}

std::string dump(const Json& json) {
  // Environments may hold any bytes; JSON cannot.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

void set_env(Words& env, const std::string& name, const std::string& value) {
  std::string entry = cat(name, "=", value);
  for (std::string& present : env) {
    if (present.starts_with(name + "=")) {
      present = std::move(entry);
      return;
    }
  }
  env.push_back(std::move(entry));
}

Result<ImageSettings> parse_settings(std::string_view text) {
  // The strict reader first: bounds, duplicate keys, digests.
  GANGWAY_ASSIGN(const ImageConfig config, parse_config(text));
  try {
    ImageSettings settings = settings_of(Json::parse(text));
    settings.diff_ids = config.diff_ids;
    return settings;
  } catch (const Json::exception&) {
    return Error(ErrorKind::Corrupt, "the image's config has a member of an unexpected type");
  }
}

std::string render_settings(const ImageSettings& settings) {
  Json config = Json::object();
  put(config, "Env", settings.env);
  put(config, "Entrypoint", settings.entrypoint);
  put(config, "Cmd", settings.cmd);
  put(config, "Shell", settings.shell);
  put(config, "OnBuild", settings.on_build);
  put(config, "WorkingDir", settings.workdir);
  put(config, "User", settings.user);
  put(config, "StopSignal", settings.stop_signal);
  if (!settings.labels.empty()) config["Labels"] = settings.labels;
  put(config, "ExposedPorts", settings.exposed_ports);
  put(config, "Volumes", settings.volumes);
  if (settings.health) config["Healthcheck"] = render_health(*settings.health);

  Json out = Json::object();
  put(out, "created", settings.created);
  put(out, "author", settings.author);
  out["architecture"] = settings.platform.architecture;
  out["os"] = settings.platform.os;
  put(out, "variant", settings.platform.variant);
  out["config"] = std::move(config);
  Json diff_ids = Json::array();
  for (const Digest& digest : settings.diff_ids) diff_ids.push_back(digest.text());
  out["rootfs"] = {{"type", "layers"}, {"diff_ids", std::move(diff_ids)}};
  for (const HistoryEntry& entry : settings.history) {
    Json line = Json::object();
    put(line, "created", entry.created);
    put(line, "created_by", entry.created_by);
    put(line, "comment", entry.comment);
    if (entry.empty_layer) line["empty_layer"] = true;
    out["history"].push_back(std::move(line));
  }
  return dump(out);
}

std::string layer_media_type(Compression compression) {
  std::string tar = "application/vnd.oci.image.layer.v1.tar";
  switch (compression) {
    case Compression::None:
      return tar;
    case Compression::Gzip:
      return tar + "+gzip";
    case Compression::Zstd:
      break;
  }
  return tar + "+zstd";
}

std::string render_manifest(const Digest& config,
                            std::int64_t config_size,
                            const std::vector<LayerBlob>& layers) {
  Json out = {{"schemaVersion", 2}, {"mediaType", kManifestType}, {"layers", Json::array()}};
  out["config"] = {{"mediaType", kConfigType}, {"digest", config.text()}, {"size", config_size}};
  for (const LayerBlob& layer : layers) {
    out["layers"].push_back({{"mediaType", layer_media_type(layer.compression)},
                             {"digest", layer.digest.text()},
                             {"size", layer.size}});
  }
  return dump(out);
}

std::string render_index(const std::vector<NamedManifest>& manifests) {
  Json out = {{"schemaVersion", 2},
              {"mediaType", "application/vnd.oci.image.index.v1+json"},
              {"manifests", Json::array()}};
  for (const NamedManifest& manifest : manifests) {
    Json platform = {{"os", manifest.platform.os},
                     {"architecture", manifest.platform.architecture}};
    put(platform, "variant", manifest.platform.variant);
    Json entry = {{"mediaType", kManifestType},
                  {"digest", manifest.digest.text()},
                  {"size", manifest.size},
                  {"platform", std::move(platform)}};
    if (!manifest.name.empty()) {
      entry["annotations"] = {{"org.opencontainers.image.ref.name", manifest.name}};
    }
    out["manifests"].push_back(std::move(entry));
  }
  return dump(out);
}

std::string render_rfc3339(std::int64_t seconds) {
  // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days to year, month, day.
  std::int64_t days = seconds / 86400;
  std::int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  const auto two = [](std::int64_t n) { return cat(n < 10 ? "0" : "", n); };
  return cat(year, "-", two(month), "-", two(day), "T", two(rest / 3600), ":", two(rest / 60 % 60),
             ":", two(rest % 60), "Z");
}

}  // namespace gangway::containers::build
