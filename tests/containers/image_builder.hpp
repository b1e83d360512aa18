// Makes images for tests: tar archives byte by byte, so that they can be as wrong as wanted; OCI
// layouts and docker-archives around them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "containers/image_ref.hpp"

namespace gangway::containers {

// One member of a tar archive. What ustar cannot hold goes into a pax header in front of it.
struct Member {
  std::string name;
  char type = '0';
  std::string data{};
  std::string link{};
  unsigned mode = 0644;
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t mtime = 1'000'000;
  unsigned device_major = 0;
  unsigned device_minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs{};
  std::vector<std::pair<std::string, std::string>> pax{};
  std::string raw_size{};  // instead of data's: 12 bytes as they stand in the header
};

inline Member dir(std::string name, unsigned mode = 0755) {
  return {.name = std::move(name), .type = '5', .mode = mode};
}
inline Member file(std::string name, std::string data = "x", unsigned mode = 0644) {
  return {.name = std::move(name), .type = '0', .data = std::move(data), .mode = mode};
}
inline Member symlink_to(std::string name, std::string target) {
  return {.name = std::move(name), .type = '2', .link = std::move(target), .mode = 0777};
}
inline Member hardlink_to(std::string name, std::string target) {
  return {.name = std::move(name), .type = '1', .link = std::move(target)};
}
inline Member whiteout(const std::string& directory, const std::string& victim) {
  return file(directory.empty() ? ".wh." + victim : directory + "/.wh." + victim, "");
}
inline Member opaque(const std::string& directory) { return file(directory + "/.wh..wh..opq", ""); }

// With the two zero blocks at the end unless `end` is false.
[[nodiscard]] std::string make_tar(const std::vector<Member>& members, bool end = true);
[[nodiscard]] std::string gzip(const std::string& bytes);
[[nodiscard]] std::string zstd(const std::string& bytes);

struct LayerBytes {
  std::string tar;   // its digest is the diff id
  std::string blob;  // what lies in the image; usually compressed
  std::string media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
};
[[nodiscard]] LayerBytes gzip_layer(const std::vector<Member>& members);
[[nodiscard]] LayerBytes zstd_layer(const std::vector<Member>& members);
[[nodiscard]] LayerBytes plain_layer(const std::vector<Member>& members);

// The JSON of an image, to be changed before it is written.
struct ImageTexts {
  std::vector<LayerBytes> layers;
  std::vector<std::string> diff_ids;  // hexadecimal
  std::string config_members;         // of "config": {…}
  std::string architecture = "amd64";
  std::string tag = "latest";
  [[nodiscard]] std::string config() const;
  [[nodiscard]] std::string manifest() const;
  [[nodiscard]] std::string index() const;
};
[[nodiscard]] ImageTexts make_image(std::vector<LayerBytes> layers,
                                    std::string config_members = R"("Env":["PATH=/bin"])");

void write_file(const std::string& path, const std::string& bytes);
[[nodiscard]] std::string sha256_text(const std::string& bytes);  // "sha256:…"

// Writes an OCI layout directory; the manifest's digest.
Digest write_oci_layout(const std::string& directory, const ImageTexts& image);
// The same as one tar archive.
Digest write_oci_archive(const std::string& path, const ImageTexts& image);
// What `docker save` writes; the config's digest. Layers lie in it as their blobs are.
Digest write_docker_archive(const std::string& path, const ImageTexts& image);

// The machine's busybox in bin/, with links; empty if there is none.
[[nodiscard]] std::vector<Member> busybox_members();

}  // namespace gangway::containers
