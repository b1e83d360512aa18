#include "containers/image_document.hpp"

#include <gtest/gtest.h>

#include "queues/base/digest.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

const std::string kHex(64, 'a');
const std::string kManifestType = "application/vnd.oci.image.manifest.v1+json";
const std::string kIndexType = "application/vnd.oci.image.index.v1+json";

std::string descriptor(const std::string& type, const std::string& more = "") {
  return cat(R"({"mediaType":")", type, R"(","digest":"sha256:)", kHex, R"(","size":7)", more, "}");
}
std::string layer() { return descriptor("application/vnd.oci.image.layer.v1.tar+gzip"); }
std::string manifest(const std::string& members) {
  return cat(R"({"schemaVersion":2,"config":)",
             descriptor("application/vnd.oci.image.config.v1+json"), members, "}");
}

TEST(ImageDocument, OrdinaryManifestIsRead) {
  const auto parsed = parse_manifest(manifest(R"(,"layers":[)" + layer() + "]"), kManifestType);
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->layers.size(), 1U);
  EXPECT_EQ(parsed->layers[0].size, 7);
  EXPECT_EQ(parsed->config.digest.hex(), kHex);
}

TEST(ImageDocument, ManifestsThatAreNoneAreRefused) {
  const std::vector<std::pair<const char*, std::string>> table = {
      {"no JSON", "{"},
      {"no object", "7"},
      {"invalid UTF-8", "{\"schemaVersion\":2,\"x\":\"\xff\"}"},
      {"twice the same key", manifest(R"(,"layers":[],"layers":[])")},
      {"twice the same key inside", manifest(R"(,"layers":[],"annotations":{"a":"b","a":"c"})")},
      {"both kinds", manifest(R"(,"layers":[],"manifests":[])")},
      {"schema 1", R"({"schemaVersion":1,"config":{},"layers":[]})"},
      {"no layers", manifest("")},
      {"layers no list", manifest(R"(,"layers":{})")},
      {"type of another kind", manifest(cat(R"(,"layers":[],"mediaType":")", kIndexType, "\""))},
      {"negative size",
       manifest(cat(R"(,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",)",
                    R"("digest":"sha256:)", kHex, R"(","size":-1}])"))},
      {"size no integer",
       manifest(cat(R"(,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",)",
                    R"("digest":"sha256:)", kHex, R"(","size":1.5}])"))},
      {"size beyond all",
       manifest(cat(R"(,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",)",
                    R"("digest":"sha256:)", kHex, R"(","size":18446744073709551615}])"))},
      {"digest that climbs",
       manifest(R"(,"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",)"
                R"("digest":"sha256:../../etc/passwd","size":1}])")},
      {"unknown layer type", manifest(R"(,"layers":[)" + descriptor("text/plain") + "]")},
  };
  for (const auto& [what, text] : table) {
    EXPECT_FALSE(parse_manifest(text, kManifestType)) << what;
  }
  EXPECT_FALSE(parse_manifest(std::string(5 << 20, ' ') + "{}", kManifestType)) << "too large";
  EXPECT_FALSE(parse_manifest(std::string(1000, '[') + std::string(1000, ']'), "")) << "too deep";
}

TEST(ImageDocument, TypeOfTheDescriptorMustBeTheDocumentsOwn) {
  const std::string docker = "application/vnd.docker.distribution.manifest.v2+json";
  const std::string text = manifest(cat(R"(,"layers":[],"mediaType":")", docker, "\""));
  EXPECT_TRUE(parse_manifest(text, docker));
  EXPECT_FALSE(parse_manifest(text, kManifestType));
  EXPECT_TRUE(parse_manifest(text, ""));
}

TEST(ImageDocument, NullIsAbsent) {
  EXPECT_TRUE(parse_manifest(manifest(R"(,"layers":[],"annotations":null,"mediaType":null)"),
                             kManifestType));
}

std::string config(const std::string& run, const std::string& rootfs) {
  return cat(R"({"architecture":"amd64","os":"linux","config":{)", run, R"(},"rootfs":)", rootfs,
             "}");
}
const std::string kRootfs = R"({"type":"layers","diff_ids":[]})";

TEST(ImageDocument, ConfigIsReadAndMadeSane) {
  const auto parsed = parse_config(
      config(R"("Env":["A=1","=x","noequals","B="],"WorkingDir":"srv/app","User":"0:0","Cmd":null)",
             kRootfs));
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->env, (std::vector<std::string>{"A=1", "B="}));
  EXPECT_EQ(parsed->workdir, "/srv/app");
  EXPECT_TRUE(parsed->cmd.empty());
}

TEST(ImageDocument, ConfigsThatAreNoneAreRefused) {
  const std::vector<std::pair<const char*, std::string>> table = {
      {"no rootfs", R"({"config":{}})"},
      {"other rootfs type", config("", R"({"type":"disk","diff_ids":[]})")},
      {"diff id no digest", config("", R"({"type":"layers","diff_ids":["sha256:xyz"]})")},
      {"zero byte in Env", config(R"("Env":["A=\u0000"])", kRootfs)},
      {"Env no list", config(R"("Env":{"A":"b"})", kRootfs)},
      {"Cmd of numbers", config(R"("Cmd":[1])", kRootfs)},
      {"huge Env", config(cat(R"("Env":["A=)", std::string(2 << 20, 'x'), "\"]"), kRootfs)},
  };
  for (const auto& [what, text] : table) EXPECT_FALSE(parse_config(text)) << what;
  const auto climbing = parse_config(config(R"("WorkingDir":"../../etc")", kRootfs));
  ASSERT_TRUE(climbing);
  EXPECT_EQ(climbing->workdir, "");
}

TEST(ImageDocument, ConfigMustHaveADiffIdForEachLayer) {
  const auto parsed = parse_config(config("", kRootfs));
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(check_config(*parsed, 0, {"linux", "amd64", ""}));
  EXPECT_FALSE(check_config(*parsed, 1, {"linux", "amd64", ""}));
  EXPECT_FALSE(check_config(*parsed, 0, {"linux", "arm64", ""}));
}

// ---- indexes -----------------------------------------------------------------------------------

std::string index_of(const std::vector<std::string>& descriptors) {
  return cat(R"({"schemaVersion":2,"manifests":[)", join(descriptors, ","), "]}");
}
std::string tagged(const std::string& tag) {
  return cat(R"(,"annotations":{"org.opencontainers.image.ref.name":")", tag, "\"}");
}
std::string on(const std::string& architecture) {
  return cat(R"(,"platform":{"os":"linux","architecture":")", architecture, "\"}");
}
const Platform kHere{"linux", "amd64", ""};
Result<std::string> nothing(const Descriptor&) {
  return Error(ErrorKind::NotFound, "no blobs here");
}

TEST(ImageIndex, OnlyImageNeedsNoName) {
  EXPECT_TRUE(
      find_manifest(index_of({descriptor(kManifestType, tagged("v1"))}), "", kHere, nothing));
}

TEST(ImageIndex, TagIsFoundByItsEndToo) {
  const std::string index = index_of({descriptor(kManifestType, tagged("docker.io/lib/box:v1")),
                                      descriptor(kManifestType, tagged("v2"))});
  for (const char* name : {"v1", "box:v1", "docker.io/lib/box:v1", "v2"}) {
    const auto found = find_manifest(index, name, kHere, nothing);
    EXPECT_TRUE(found) << name;
  }
  const auto missing = find_manifest(index, "v3", kHere, nothing);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("docker.io/lib/box:v1, v2"), std::string::npos);
  EXPECT_FALSE(find_manifest(index, "", kHere, nothing)) << "two images and no latest";
}

TEST(ImageIndex, FirstMatchOfThePlatformWinsAndUnknownTypesAreSkipped) {
  const std::string index = index_of(
      {descriptor("application/vnd.something.else"), descriptor(kManifestType, on("arm64")),
       descriptor(kManifestType, on("unknown")), descriptor(kManifestType, on("amd64"))});
  const auto found = find_manifest(index, "", kHere, nothing);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->platform->architecture, "amd64");
  const auto missing = find_manifest(index, "", {"linux", "riscv64", ""}, nothing);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("linux/arm64"), std::string::npos);
}

TEST(ImageIndex, NestedIndexesAreFollowedToABoundedDepth) {
  int depth = 0;
  const auto nested = [&](int levels) {
    depth = 0;
    return find_manifest(
        index_of({descriptor(kIndexType)}), "", kHere,
        [&, levels](const Descriptor&) -> Result<std::string> {
          ++depth;
          return index_of({descriptor(depth < levels ? kIndexType : kManifestType)});
        });
  };
  EXPECT_TRUE(nested(1));
  EXPECT_TRUE(nested(3));
  EXPECT_FALSE(nested(100));  // a cycle would look like this
  EXPECT_LE(depth, kMaxIndexDepth);
}

TEST(ImageIndex, DockerImageIsFoundByTag) {
  const auto images =
      parse_docker_manifest(R"([{"Config":"a.json","RepoTags":["x/y:1"],"Layers":[]},)"
                            R"({"Config":"b.json","RepoTags":null,"Layers":null}])");
  ASSERT_TRUE(images);
  EXPECT_EQ(find_docker_image(*images, "1")->config, "a.json");
  EXPECT_EQ(find_docker_image(*images, "x/y:1")->config, "a.json");
  EXPECT_FALSE(find_docker_image(*images, "2"));
  EXPECT_FALSE(find_docker_image(*images, ""));
  EXPECT_FALSE(parse_docker_manifest("[]"));
  EXPECT_FALSE(parse_docker_manifest(R"([{"RepoTags":[]}])"));
}

// ---- names -------------------------------------------------------------------------------------

TEST(ImageRef, DigestsAreLowerCaseSha256) {
  EXPECT_TRUE(Digest::parse("sha256:" + kHex));
  for (const std::string& text :
       {std::string(), std::string("sha256:"), "sha256:" + std::string(64, 'A'),
        "sha256:" + kHex + "a", kHex, "sha256:" + std::string(64, 'g'), "SHA256:" + kHex,
        "sha256/" + kHex, "sha256:" + std::string(63, 'a') + "/", std::string("..")}) {
    EXPECT_FALSE(Digest::parse(text)) << text;
  }
  EXPECT_EQ(Digest::parse("sha512:" + kHex).error().kind(), ErrorKind::Unsupported);
  EXPECT_EQ(Digest::parse("sha+b64u:x").error().kind(), ErrorKind::Unsupported);
}

TEST(ImageRef, ChainIdIsThatOfTheSpecification) {
  const Digest a = Digest::of_hex(std::string(64, 'a'));
  const Digest b = Digest::of_hex(std::string(64, 'b'));
  EXPECT_EQ(next_chain_id(nullptr, a), a);
  EXPECT_EQ(next_chain_id(&a, b).hex(), sha256_hex(a.text() + " " + b.text()));
}

TEST(ImageRef, PathIsTheLongestPartThatExists) {
  const auto exists = [](const std::string& path) { return path == "/i/a" || path == "/i/a:b"; };
  EXPECT_EQ(split_image_name("/i/a", exists), (ImageName{"/i/a", ""}));
  EXPECT_EQ(split_image_name("/i/a:tag", exists), (ImageName{"/i/a", "tag"}));
  EXPECT_EQ(split_image_name("/i/a:b", exists), (ImageName{"/i/a:b", ""}));
  EXPECT_EQ(split_image_name("/i/a:b:c", exists), (ImageName{"/i/a:b", "c"}));
  EXPECT_EQ(split_image_name("/i/a:x/y:1", exists), (ImageName{"/i/a", "x/y:1"}));
  EXPECT_EQ(split_image_name("/missing:1", exists), (ImageName{"/missing:1", ""}));
}

}  // namespace
}  // namespace gangway::containers
