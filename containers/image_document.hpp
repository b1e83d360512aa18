// The JSON documents of images: OCI layout, index, manifest and config, and docker-archive's list.
//
// Input is hostile. Documents are bounded in bytes and depth; duplicate keys, invalid UTF-8,
// numbers that are no sizes, and documents that could be read as two kinds (CVE-2021-41190) are
// refused. Source: OCI image-spec v1.1. Pure. The only file that includes nlohmann/json.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containers/image_ref.hpp"
#include "queues/base/result.hpp"

namespace gangway::containers {

inline constexpr std::size_t kMaxDocumentBytes = 4 << 20;
inline constexpr int kMaxIndexDepth = 4;

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  friend bool operator==(const Platform&, const Platform&) = default;
};
// Of the machine this was built for: linux/amd64, linux/arm64.
[[nodiscard]] Platform this_platform();

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::int64_t size = 0;
  std::optional<Platform> platform;
  std::string reference;  // annotation org.opencontainers.image.ref.name
  friend bool operator==(const Descriptor&, const Descriptor&) = default;
};

enum class DocumentKind { Index, Manifest };
// By media type; nullopt for types that are neither (to be skipped in an index).
[[nodiscard]] std::optional<DocumentKind> document_kind(std::string_view media_type);

struct ImageManifest {
  Descriptor config;
  std::vector<Descriptor> layers;
  friend bool operator==(const ImageManifest&, const ImageManifest&) = default;
};

struct ImageConfig {
  Platform platform;
  std::vector<Digest> diff_ids;
  std::vector<std::string> env;  // "NAME=value"; entries without a name are left out
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string workdir;  // "" or absolute
  std::string user;
  std::string stop_signal;
  friend bool operator==(const ImageConfig&, const ImageConfig&) = default;
};

struct DockerImage {
  std::string config;               // name in the archive
  std::vector<std::string> tags;    // "busybox:latest"
  std::vector<std::string> layers;  // names in the archive
  friend bool operator==(const DockerImage&, const DockerImage&) = default;
};

// Errors of all: Corrupt (not such a document), Unsupported (something we know and do not do).
Result<void> parse_oci_layout(std::string_view text);
// `media_type`: the descriptor's; "" for index.json itself. Entries of unknown types are left in.
[[nodiscard]] Result<std::vector<Descriptor>> parse_index(std::string_view text,
                                                          std::string_view media_type);
[[nodiscard]] Result<ImageManifest> parse_manifest(std::string_view text,
                                                   std::string_view media_type);
// Index or manifest, whatever the fields say, for a blob known by its digest alone.
[[nodiscard]] Result<DocumentKind> classify_document(std::string_view text);
[[nodiscard]] Result<ImageConfig> parse_config(std::string_view text);
[[nodiscard]] Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text);

// As many layers as diff ids, and the config's platform is `platform`.
Result<void> check_config(const ImageConfig& config, std::size_t layers, const Platform& platform);

// The manifest that `reference` ("" for the only or latest one) means in an index.json, through
// nested indexes, first match of the platform first. `fetch` brings the verified bytes of a blob.
// Errors: NotFound (no such reference: with those there are; no such platform), Corrupt.
[[nodiscard]] Result<Descriptor> find_manifest(
    std::string_view index_json,
    std::string_view reference,
    const Platform& platform,
    const std::function<Result<std::string>(const Descriptor&)>& fetch);
// The same for a docker-archive's list; by repository tag.
[[nodiscard]] Result<DockerImage> find_docker_image(const std::vector<DockerImage>& images,
                                                    std::string_view reference);

}  // namespace gangway::containers
