#include "containers/image_document.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "containers/tree_walk.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 32;
constexpr std::size_t kMaxEntries = 4096;  // of any list in a document
constexpr std::size_t kMaxEnvBytes = 1 << 20;
constexpr std::string_view kReferenceAnnotation = "org.opencontainers.image.ref.name";

Error corrupt(std::string message) { return Error(ErrorKind::Corrupt, std::move(message)); }

// Thrown out of the parser's callback and caught right around it.
struct Refused {
  const char* why;
};

Result<Json> parse_json(std::string_view text, std::string_view what) {
  if (text.size() > kMaxDocumentBytes) return corrupt(cat(what, " is larger than 4 MiB"));
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) throw Refused{"is nested too deeply"};
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(parsed.get_ref<const std::string&>()).second) {
      throw Refused{"has a key twice"};
    }
    return true;
  };
  try {
    Json json = Json::parse(text, check);
    if (!json.is_object() && !json.is_array()) return corrupt(cat(what, " is no JSON object"));
    return json;
  } catch (const Refused& refused) {
    return corrupt(cat(what, " ", refused.why));
  } catch (const Json::exception&) {
    return corrupt(cat(what, " is not valid JSON"));
  }
}

// A member, with null as absent (image-spec: optional fields may be null).
const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> text_member(const Json& object, const char* key, bool required) {
  const Json* value = member(object, key);
  if (value == nullptr) {
    if (required) return corrupt(cat("no ", key));
    return std::string();
  }
  if (!value->is_string()) return corrupt(cat(key, " is no string"));
  std::string text = value->get<std::string>();
  if (text.find('\0') != std::string::npos) return corrupt(cat(key, " contains a zero byte"));
  return text;
}

Result<std::vector<std::string>> texts_member(const Json& object, const char* key) {
  std::vector<std::string> texts;
  const Json* list = member(object, key);
  if (list == nullptr) return texts;
  if (!list->is_array() || list->size() > kMaxEntries) return corrupt(cat(key, " is no list"));
  std::size_t bytes = 0;
  for (const Json& value : *list) {
    if (!value.is_string()) return corrupt(cat(key, " is no list of strings"));
    texts.push_back(value.get<std::string>());
    if (texts.back().find('\0') != std::string::npos) {
      return corrupt(cat(key, " contains a zero byte"));
    }
    bytes += texts.back().size();
    if (bytes > kMaxEnvBytes) return corrupt(cat(key, " is too large"));
  }
  return texts;
}

Result<std::int64_t> size_member(const Json& object) {
  const Json* size = member(object, "size");
  if (size == nullptr || !size->is_number_integer()) return corrupt("size is no integer");
  // Beyond int64 the library keeps it unsigned.
  if (size->is_number_unsigned() &&
      size->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return corrupt("size is out of range");
  }
  const std::int64_t value = size->get<std::int64_t>();
  if (value < 0) return corrupt("size is negative");
  return value;
}

Result<std::optional<Platform>> platform_member(const Json& object) {
  const Json* platform = member(object, "platform");
  if (platform == nullptr) return std::optional<Platform>{};
  Platform value;
  GANGWAY_ASSIGN(value.os, text_member(*platform, "os", true));
  GANGWAY_ASSIGN(value.architecture, text_member(*platform, "architecture", true));
  GANGWAY_ASSIGN(value.variant, text_member(*platform, "variant", false));
  return std::optional<Platform>(std::move(value));
}

Result<Descriptor> read_descriptor(const Json& object) {
  if (!object.is_object()) return corrupt("descriptor is no object");
  GANGWAY_ASSIGN(std::string media_type, text_member(object, "mediaType", true));
  GANGWAY_ASSIGN(const std::string digest_text, text_member(object, "digest", true));
  GANGWAY_ASSIGN(Digest digest, Digest::parse(digest_text));
  GANGWAY_ASSIGN(const std::int64_t size, size_member(object));
  GANGWAY_ASSIGN(std::optional<Platform> platform, platform_member(object));
  std::string reference;
  if (const Json* annotations = member(object, "annotations")) {
    GANGWAY_ASSIGN(reference,
                   text_member(*annotations, std::string(kReferenceAnnotation).c_str(), false));
  }
  return Descriptor{.media_type = std::move(media_type),
                    .digest = std::move(digest),
                    .size = size,
                    .platform = std::move(platform),
                    .reference = std::move(reference)};
}

// A document that could be taken for two kinds is none (CVE-2021-41190).
Result<DocumentKind> kind_by_fields(const Json& json) {
  const bool index = member(json, "manifests") != nullptr;
  const bool manifest = member(json, "layers") != nullptr || member(json, "config") != nullptr;
  if (index && manifest) return corrupt("document is both an index and a manifest");
  if (!index && !manifest) return corrupt("document is neither an index nor a manifest");
  return index ? DocumentKind::Index : DocumentKind::Manifest;
}

// Header fields of an index or manifest: schema, and the type that it says itself to be.
Result<void> check_header(const Json& json, DocumentKind kind, std::string_view media_type) {
  const Json* version = member(json, "schemaVersion");
  if (version == nullptr || !version->is_number_integer() || *version != 2) {
    return corrupt("schemaVersion is not 2");
  }
  GANGWAY_ASSIGN(const DocumentKind found, kind_by_fields(json));
  if (found != kind) return corrupt("document is not of the kind that its descriptor says");
  GANGWAY_ASSIGN(const std::string own_type, text_member(json, "mediaType", false));
  if (own_type.empty()) return {};
  const bool agrees = media_type.empty() ? document_kind(own_type) == kind : own_type == media_type;
  if (!agrees) return corrupt("mediaType is not the descriptor's");
  return {};
}

bool is_layer_type(std::string_view type) {
  static constexpr std::string_view kTypes[] = {
      "application/vnd.oci.image.layer.v1.tar",
      "application/vnd.oci.image.layer.v1.tar+gzip",
      "application/vnd.oci.image.layer.v1.tar+zstd",
      "application/vnd.oci.image.layer.nondistributable.v1.tar",
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
      "application/vnd.docker.image.rootfs.diff.tar",
      "application/vnd.docker.image.rootfs.diff.tar.gzip",
      "application/vnd.docker.image.rootfs.diff.tar.zstd"};
  return std::ranges::find(kTypes, type) != std::end(kTypes);
}

bool is_config_type(std::string_view type) {
  return type == "application/vnd.oci.image.config.v1+json" ||
         type == "application/vnd.docker.container.image.v1+json";
}

bool platform_fits(const std::optional<Platform>& offered, const Platform& wanted) {
  if (!offered) return true;  // not said: the config will
  if (offered->os != wanted.os || offered->architecture != wanted.architecture) return false;
  // amd64 levels and arm versions above the first are not known to run here.
  return offered->variant.empty() || offered->variant == "v1" || offered->variant == "v8" ||
         offered->variant == wanted.variant;
}

std::string platform_name(const Platform& platform) {
  return cat(platform.os, "/", platform.architecture);
}

}  // namespace

Platform this_platform() {
#if defined(__x86_64__)
  return {"linux", "amd64", ""};
#elif defined(__aarch64__)
  return {"linux", "arm64", "v8"};
#elif defined(__powerpc64__)
  return {"linux", "ppc64le", ""};
#else
#error "name this machine as Go does"
#endif
}

std::optional<DocumentKind> document_kind(std::string_view media_type) {
  if (media_type == "application/vnd.oci.image.index.v1+json" ||
      media_type == "application/vnd.docker.distribution.manifest.list.v2+json") {
    return DocumentKind::Index;
  }
  if (media_type == "application/vnd.oci.image.manifest.v1+json" ||
      media_type == "application/vnd.docker.distribution.manifest.v2+json") {
    return DocumentKind::Manifest;
  }
  return std::nullopt;
}

Result<void> parse_oci_layout(std::string_view text) {
  GANGWAY_ASSIGN(const Json json, parse_json(text, "oci-layout"));
  GANGWAY_ASSIGN(const std::string version, text_member(json, "imageLayoutVersion", true));
  if (!version.starts_with("1.")) {
    return Error(ErrorKind::Unsupported, "oci-layout: only version 1 is known");
  }
  return {};
}

Result<std::vector<Descriptor>> parse_index(std::string_view text, std::string_view media_type) {
  GANGWAY_ASSIGN(const Json json, parse_json(text, "index"));
  GANGWAY_TRY_CONTEXT(check_header(json, DocumentKind::Index, media_type), "index");
  const Json& list = *member(json, "manifests");
  if (!list.is_array() || list.size() > kMaxEntries) return corrupt("index: manifests is no list");
  std::vector<Descriptor> descriptors;
  for (const Json& entry : list) {
    Result<Descriptor> descriptor = read_descriptor(entry);
    if (!descriptor) {
      // An algorithm we do not know makes this entry useless, not the index.
      if (descriptor.error().kind() == ErrorKind::Unsupported) continue;
      return descriptor.error().with_context("index");
    }
    descriptors.push_back(*std::move(descriptor));
  }
  return descriptors;
}

Result<ImageManifest> parse_manifest(std::string_view text, std::string_view media_type) {
  GANGWAY_ASSIGN(const Json json, parse_json(text, "manifest"));
  GANGWAY_TRY_CONTEXT(check_header(json, DocumentKind::Manifest, media_type), "manifest");
  const Json* config = member(json, "config");
  const Json* layers = member(json, "layers");
  if (config == nullptr) return corrupt("manifest: no config");
  if (layers == nullptr || !layers->is_array() || layers->size() > kMaxEntries) {
    return corrupt("manifest: layers is no list");
  }
  Result<Descriptor> config_descriptor = read_descriptor(*config);
  if (!config_descriptor) return config_descriptor.error().with_context("manifest: config");
  if (!is_config_type(config_descriptor->media_type)) {
    return Error(ErrorKind::Unsupported, "manifest: this is an artifact and no image");
  }
  ImageManifest manifest{*std::move(config_descriptor), {}};
  for (const Json& entry : *layers) {
    Result<Descriptor> layer = read_descriptor(entry);
    if (!layer) return layer.error().with_context("manifest: layer");
    if (!is_layer_type(layer->media_type)) {
      return Error(ErrorKind::Unsupported,
                   cat("manifest: layer of type ", layer->media_type.substr(0, 120)));
    }
    manifest.layers.push_back(*std::move(layer));
  }
  return manifest;
}

Result<DocumentKind> classify_document(std::string_view text) {
  GANGWAY_ASSIGN(const Json json, parse_json(text, "document"));
  return kind_by_fields(json);
}

Result<ImageConfig> parse_config(std::string_view text) {
  GANGWAY_ASSIGN(const Json json, parse_json(text, "config"));
  ImageConfig config;
  GANGWAY_ASSIGN(config.platform.os, text_member(json, "os", false));
  GANGWAY_ASSIGN(config.platform.architecture, text_member(json, "architecture", false));
  GANGWAY_ASSIGN(config.platform.variant, text_member(json, "variant", false));
  const Json* rootfs = member(json, "rootfs");
  if (rootfs == nullptr) return corrupt("config: no rootfs");
  GANGWAY_ASSIGN(const std::string type, text_member(*rootfs, "type", true));
  if (type != "layers") return corrupt("config: rootfs.type is not layers");
  GANGWAY_ASSIGN(const std::vector<std::string> diff_ids, texts_member(*rootfs, "diff_ids"));
  for (const std::string& diff_id : diff_ids) {
    GANGWAY_ASSIGN(Digest digest, Digest::parse(diff_id));
    config.diff_ids.push_back(std::move(digest));
  }
  const Json* run = member(json, "config");
  if (run == nullptr) return config;
  GANGWAY_ASSIGN(const std::vector<std::string> env, texts_member(*run, "Env"));
  for (const std::string& variable : env) {
    const std::size_t equals = variable.find('=');
    if (equals != std::string::npos && equals != 0) config.env.push_back(variable);
  }
  GANGWAY_ASSIGN(config.entrypoint, texts_member(*run, "Entrypoint"));
  GANGWAY_ASSIGN(config.cmd, texts_member(*run, "Cmd"));
  GANGWAY_ASSIGN(config.user, text_member(*run, "User", false));
  GANGWAY_ASSIGN(config.stop_signal, text_member(*run, "StopSignal", false));
  GANGWAY_ASSIGN(config.workdir, text_member(*run, "WorkingDir", false));
  if (!config.workdir.empty()) {
    // Relative ones are taken from the root, as Docker does; climbing ones are not taken.
    config.workdir = clean_absolute(cat("/", config.workdir));
  }
  return config;
}

Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text) {
  GANGWAY_ASSIGN(const Json json, parse_json(text, "manifest.json"));
  if (!json.is_array() || json.empty() || json.size() > kMaxEntries) {
    return corrupt("manifest.json is no list of images");
  }
  std::vector<DockerImage> images;
  for (const Json& entry : json) {
    if (!entry.is_object()) return corrupt("manifest.json: entry is no object");
    DockerImage image;
    GANGWAY_ASSIGN(image.config, text_member(entry, "Config", true));
    GANGWAY_ASSIGN(image.tags, texts_member(entry, "RepoTags"));
    GANGWAY_ASSIGN(image.layers, texts_member(entry, "Layers"));
    images.push_back(std::move(image));
  }
  return images;
}

Result<void> check_config(const ImageConfig& config, std::size_t layers, const Platform& platform) {
  if (config.diff_ids.size() != layers) {
    return corrupt(cat("config has ", config.diff_ids.size(), " diff ids for ", layers, " layers"));
  }
  if (!platform_fits(config.platform, platform)) {
    return Error(ErrorKind::Unsupported, cat("the image is for ", platform_name(config.platform),
                                             ", this node is ", platform_name(platform)));
  }
  return {};
}

namespace {

// The manifest for `platform` among these, through nested indexes.
Result<Descriptor> choose(const std::vector<Descriptor>& descriptors,
                          const Platform& platform,
                          const std::function<Result<std::string>(const Descriptor&)>& fetch,
                          int depth) {
  std::vector<std::string> offered;
  for (const Descriptor& descriptor : descriptors) {
    const std::optional<DocumentKind> kind = document_kind(descriptor.media_type);
    if (!kind) continue;  // attestations and what is yet to come
    if (!platform_fits(descriptor.platform, platform)) {
      offered.push_back(platform_name(*descriptor.platform));
      continue;
    }
    if (*kind == DocumentKind::Manifest) return descriptor;
    if (depth >= kMaxIndexDepth) return corrupt("indexes are nested too deeply");
    GANGWAY_ASSIGN(const std::string text, fetch(descriptor));
    GANGWAY_ASSIGN(const std::vector<Descriptor> inner, parse_index(text, descriptor.media_type));
    Result<Descriptor> found = choose(inner, platform, fetch, depth + 1);
    if (found || found.error().kind() != ErrorKind::NotFound) return found;
    offered.push_back("others");
  }
  return Error(ErrorKind::NotFound,
               cat("no image for ", platform_name(platform),
                   offered.empty() ? "" : cat("; there is: ", join(offered, ", "))));
}

}  // namespace

Result<Descriptor> find_manifest(
    std::string_view index_json,
    std::string_view reference,
    const Platform& platform,
    const std::function<Result<std::string>(const Descriptor&)>& fetch) {
  GANGWAY_ASSIGN(std::vector<Descriptor> all, parse_index(index_json, ""));
  std::erase_if(all, [](const Descriptor& d) { return !document_kind(d.media_type); });
  std::vector<std::string> names;
  bool named = false;
  for (const Descriptor& descriptor : all) {
    if (!descriptor.reference.empty()) {
      names.push_back(descriptor.reference);
      named = true;
    }
  }
  const auto with = [&](std::string_view wanted) {
    std::vector<Descriptor> matching;
    for (const Descriptor& descriptor : all) {
      if (reference_matches(descriptor.reference, wanted)) matching.push_back(descriptor);
    }
    return matching;
  };
  if (all.empty()) return Error(ErrorKind::NotFound, "there is no image in it");
  if (!reference.empty()) {
    const std::vector<Descriptor> matching = with(reference);
    if (matching.empty()) {
      return Error(ErrorKind::NotFound,
                   cat("no tag ", reference,
                       named ? cat("; there is: ", join(names, ", ")) : "; there are no tags"));
    }
    return choose(matching, platform, fetch, 1);
  }
  if (!named || all.size() == 1) return choose(all, platform, fetch, 1);
  if (const auto latest = with("latest"); !latest.empty()) {
    return choose(latest, platform, fetch, 1);
  }
  return Error(ErrorKind::NotFound, cat("which image? say one of the tags: ", join(names, ", ")));
}

Result<DockerImage> find_docker_image(const std::vector<DockerImage>& images,
                                      std::string_view reference) {
  std::vector<std::string> names;
  for (const DockerImage& image : images) {
    names.insert(names.end(), image.tags.begin(), image.tags.end());
  }
  if (reference.empty() && images.size() == 1) return images.front();
  const std::string_view wanted = reference.empty() ? "latest" : reference;
  for (const DockerImage& image : images) {
    for (const std::string& tag : image.tags) {
      if (reference_matches(tag, wanted)) return image;
    }
  }
  if (reference.empty()) {
    return Error(ErrorKind::NotFound, cat("which image? say one of the tags: ", join(names, ", ")));
  }
  return Error(ErrorKind::NotFound,
               cat("no tag ", reference,
                   names.empty() ? "; there are no tags" : cat("; there is: ", join(names, ", "))));
}

}  // namespace gangway::containers
