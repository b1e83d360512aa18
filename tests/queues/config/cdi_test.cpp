#include "queues/config/cdi.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "queues/base/text.hpp"

namespace gangway::config {
namespace {

constexpr const char* kSpecification = R"({"cdiVersion": "0.6.0", "kind": "acme.com/gpu",
 "containerEdits": {"env": ["ACME=1"],
   "mounts": [{"hostPath": "/usr/lib/acme", "containerPath": "/usr/lib/acme", "options": ["ro", "bind"]}],
   "hooks": [{"hookName": "createContainer", "path": "/usr/bin/acme-hook"}]},
 "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/acme0"}]}},
             {"name": "1", "containerEdits": {"deviceNodes": [{"path": "/dev/acme1", "hostPath": "/dev/real1"}]}}]})";

TEST(Cdi, ADeviceHasItsOwnEditsAndThoseOfItsFile) {
  const auto devices = parse_cdi(kSpecification);
  ASSERT_TRUE(devices) << devices.error().message();
  const CdiEdits& one = devices->at("acme.com/gpu=1");
  ASSERT_EQ(one.nodes.size(), 1U);
  EXPECT_EQ(one.nodes[0].host_path, "/dev/real1");
  EXPECT_EQ(one.nodes[0].container_path, "/dev/acme1");
  ASSERT_EQ(one.mounts.size(), 1U);
  EXPECT_TRUE(one.mounts[0].read_only);
  EXPECT_EQ(one.env, std::vector<std::string>{"ACME=1"});
  EXPECT_EQ(one.left_out, std::vector<std::string>{"hook /usr/bin/acme-hook"});
}

TEST(Cdi, WhatIsNoSpecificationIsRefusedWithItsLine) {
  for (const char* text : {"", "[]", "{", "cdiVersion: 0.6.0", "cdiVersion: 0.6.0\nkind: gpu",
                           "cdiVersion: 0.6.0\nkind: a/b\ndevices:\n- name: x\n  containerEdits:\n"
                           "    deviceNodes:\n    - path: /etc/shadow"}) {
    const auto devices = parse_cdi(text);
    ASSERT_FALSE(devices) << text;
    EXPECT_TRUE(devices.error().message().starts_with("line ")) << devices.error().message();
  }
}

TEST(Cdi, EntriesArePathsOrNamesInTheDirectories) {
  const std::string directory = cat("/tmp/gangway-cdi-", getpid());
  std::filesystem::create_directory(directory);
  std::ofstream(directory + "/acme.json") << kSpecification;
  const auto table =
      resolve_devices({{"gpu", {"/dev/x+/dev/y", "acme.com/gpu=0"}}}, {"/no/such", directory});
  ASSERT_TRUE(table) << table.error().message();
  EXPECT_EQ((*table)[0].second[0].nodes.size(), 2U);
  EXPECT_EQ((*table)[0].second[1].nodes[0].host_path, "/dev/acme0");
  const auto missing = resolve_devices({{"gpu", {"acme.com/gpu=7"}}}, {directory});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message().find("acme.com/gpu=7"), std::string::npos);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace gangway::config
