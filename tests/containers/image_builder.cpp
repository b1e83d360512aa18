#include "tests/containers/image_builder.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

std::string octal(std::uint64_t value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
  return std::string(text, static_cast<std::size_t>(digits));
}

std::string padded(std::string text, std::size_t size) {
  text.resize(size, '\0');
  return text;
}

std::string to_block(std::string data) {
  data.resize((data.size() + 511) / 512 * 512, '\0');
  return data;
}

std::string header(const Member& member, const std::string& name, char type, std::size_t size) {
  std::string block;
  block += padded(name.substr(0, 100), 100);
  block += padded(octal(member.mode & 07777, 7), 8);
  block += padded(octal(static_cast<std::uint64_t>(member.uid) & 07777777, 7), 8);
  block += padded(octal(static_cast<std::uint64_t>(member.gid) & 07777777, 7), 8);
  block += padded(member.raw_size.empty() ? octal(size, 11) : member.raw_size, 12);
  block += padded(octal(static_cast<std::uint64_t>(member.mtime) & 077777777777, 11), 12);
  block += "        ";
  block += type;
  block += padded(member.link.substr(0, 100), 100);
  block += std::string(
      "ustar\0"
      "00",
      8);
  block += padded("", 32) + padded("", 32);
  block += padded(octal(member.device_major & 07777777, 7), 8);
  block += padded(octal(member.device_minor & 07777777, 7), 8);
  block = padded(block, 512);
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  block.replace(148, 8, octal(sum, 6) + std::string("\0 ", 2));
  return block;
}

std::string pax_record(const std::string& key, const std::string& value) {
  std::size_t size = key.size() + value.size() + 3;
  std::size_t total = size + cat(size).size();
  total = size + cat(total).size();
  return cat(total, " ", key, "=", value, "\n");
}

std::string compress(const std::string& bytes, bool zstd) {
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  if (zstd) {
    archive_write_add_filter_zstd(writer);
  } else {
    archive_write_add_filter_gzip(writer);
  }
  std::string out(bytes.size() + bytes.size() / 2 + (1 << 20), '\0');
  std::size_t used = 0;
  archive_write_set_bytes_per_block(writer, 0);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

std::string quote(const std::string& text) { return "\"" + text + "\""; }

std::string descriptor(const std::string& type, const std::string& blob) {
  return cat("{\"mediaType\":\"", type, "\",\"digest\":\"", sha256_text(blob),
             "\",\"size\":", blob.size());
}

}  // namespace

std::string make_tar(const std::vector<Member>& members, bool end) {
  std::string tar;
  for (const Member& member : members) {
    std::string pax;
    if (member.name.size() > 100) pax += pax_record("path", member.name);
    if (member.link.size() > 100) pax += pax_record("linkpath", member.link);
    if (member.uid < 0 || member.uid > 07777777) pax += pax_record("uid", cat(member.uid));
    if (member.gid < 0 || member.gid > 07777777) pax += pax_record("gid", cat(member.gid));
    if (member.mtime < 0) pax += pax_record("mtime", cat(member.mtime));
    for (const auto& [key, value] : member.xattrs) pax += pax_record("SCHILY.xattr." + key, value);
    for (const auto& [key, value] : member.pax) pax += pax_record(key, value);
    if (!pax.empty()) tar += header({.name = "pax"}, "pax", 'x', pax.size()) + to_block(pax);
    tar += header(member, member.name, member.type, member.data.size()) + to_block(member.data);
  }
  if (end) tar += std::string(1024, '\0');
  return tar;
}

std::string gzip(const std::string& bytes) { return compress(bytes, false); }
std::string zstd(const std::string& bytes) { return compress(bytes, true); }

LayerBytes gzip_layer(const std::vector<Member>& members) {
  std::string tar = make_tar(members);
  std::string blob = gzip(tar);
  return {std::move(tar), std::move(blob)};
}
LayerBytes zstd_layer(const std::vector<Member>& members) {
  std::string tar = make_tar(members);
  std::string blob = zstd(tar);
  return {std::move(tar), std::move(blob), "application/vnd.oci.image.layer.v1.tar+zstd"};
}
LayerBytes plain_layer(const std::vector<Member>& members) {
  std::string tar = make_tar(members);
  return {tar, tar, "application/vnd.oci.image.layer.v1.tar"};
}

std::string sha256_text(const std::string& bytes) { return "sha256:" + sha256_hex(bytes); }

std::string ImageTexts::config() const {
  std::vector<std::string> ids;
  for (const std::string& id : diff_ids) ids.push_back(quote("sha256:" + id));
  return cat("{\"architecture\":\"", architecture, "\",\"os\":\"linux\",\"config\":{",
             config_members, "},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[", join(ids, ","),
             "]}}");
}

std::string ImageTexts::manifest() const {
  std::vector<std::string> list;
  for (const LayerBytes& layer : layers) {
    list.push_back(descriptor(layer.media_type, layer.blob) + "}");
  }
  return cat(
      "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
      "\"config\":",
      descriptor("application/vnd.oci.image.config.v1+json", config()), "},\"layers\":[",
      join(list, ","), "]}");
}

std::string ImageTexts::index() const {
  return cat("{\"schemaVersion\":2,\"manifests\":[",
             descriptor("application/vnd.oci.image.manifest.v1+json", manifest()),
             ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"", tag, "\"}}]}");
}

ImageTexts make_image(std::vector<LayerBytes> layers, std::string config_members) {
  ImageTexts image;
  for (const LayerBytes& layer : layers) image.diff_ids.push_back(sha256_hex(layer.tar));
  image.layers = std::move(layers);
  image.config_members = std::move(config_members);
#if defined(__aarch64__)
  image.architecture = "arm64";
#endif
  return image;
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

Digest write_oci_layout(const std::string& directory, const ImageTexts& image) {
  for (const char* part : {"", "/blobs", "/blobs/sha256"}) mkdir((directory + part).c_str(), 0755);
  const auto blob = [&](const std::string& bytes) {
    write_file(directory + "/blobs/sha256/" + sha256_hex(bytes), bytes);
  };
  write_file(directory + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  write_file(directory + "/index.json", image.index());
  blob(image.manifest());
  blob(image.config());
  for (const LayerBytes& layer : image.layers) blob(layer.blob);
  return Digest::of_hex(sha256_hex(image.manifest()));
}

Digest write_oci_archive(const std::string& path, const ImageTexts& image) {
  std::vector<Member> members;
  members.push_back(file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  members.push_back(dir("blobs/"));
  const auto blob = [&](const std::string& bytes) {
    members.push_back(file("blobs/sha256/" + sha256_hex(bytes), bytes));
  };
  blob(image.manifest());
  blob(image.config());
  for (const LayerBytes& layer : image.layers) blob(layer.blob);
  members.push_back(file("index.json", image.index()));
  write_file(path, make_tar(members));
  return Digest::of_hex(sha256_hex(image.manifest()));
}

Digest write_docker_archive(const std::string& path, const ImageTexts& image) {
  const std::string config = image.config();
  const std::string config_name = sha256_hex(config) + ".json";
  std::vector<Member> members{file(config_name, config)};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const std::string name = cat(image.diff_ids[i], "-", i, "/layer.tar");
    members.push_back(file(name, image.layers[i].blob));
    names.push_back(quote(name));
  }
  members.push_back(file("manifest.json", cat("[{\"Config\":\"", config_name,
                                              "\",\"RepoTags\":[\"test/image:", image.tag,
                                              "\"],\"Layers\":[", join(names, ","), "]}]")));
  write_file(path, make_tar(members));
  return Digest::of_hex(sha256_hex(config));
}

std::vector<Member> busybox_members() {
  std::ifstream in("/bin/busybox", std::ios::binary);
  if (!in) in.open("/usr/bin/busybox", std::ios::binary);
  if (!in) return {};
  std::ostringstream bytes;
  bytes << in.rdbuf();
  std::vector<Member> members{dir("bin/"), dir("etc/"), dir("tmp/", 01777),
                              file("bin/busybox", bytes.str(), 0755),
                              file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")};
  for (const char* name :
       {"sh",   "ls",    "cat",  "id",    "hostname", "grep", "mount",    "touch",
        "wc",   "stat",  "rm",   "mkdir", "sleep",    "echo", "readlink", "df",
        "test", "mknod", "kill", "sort",  "unshare",  "true", "env",      "pwd"}) {
    members.push_back(symlink_to(std::string("bin/") + name, "busybox"));
  }
  return members;
}

}  // namespace gangway::containers
