// A real cluster for end-to-end tests: `gangway up` in a directory of its own, from the build tree
// or from an installation (GANGWAY_BIN names its bin directory), taken down at the end with proof
// that nothing is left.
//
// Tests act as an ordinary user: one with an entry in no user database if we are root, ourselves
// otherwise. A test reads: submit, wait, look.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "submit/one_machine/cluster_layout.hpp"
#include "submit/one_machine/process_table.hpp"
#include "tests/e2e/harness/program.hpp"

namespace gangway::e2e {

// The user without an entry in any database, when tests run as root.
inline constexpr RunAs kNobodyKnown{.uid = 23456, .gid = 23456};
// Another such, who runs a cluster of its own; nothing else on the machine runs in its name.
[[nodiscard]] RunAs unused_user();

struct ClusterOptions {
  int nodes = 4;
  int cores = 4;
  std::string memory = "2G";
  std::string lease = "10m";
  std::string heartbeat = "1s";
  std::string kill_grace = "2s";
  std::vector<std::string> more;  // further words for `gangway up`
  // Who runs the cluster and submits to it, if we are root; without it root runs it.
  std::optional<RunAs> owner;
};

class Cluster {
 public:
  // Starts it; what goes wrong is thrown as std::runtime_error, with the daemons' logs.
  explicit Cluster(ClusterOptions options = {});
  // Takes it down and purges it. Adds a failure to the test for whatever is left.
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] const one_machine::ClusterLayout& layout() const { return layout_; }
  // A fresh directory that belongs to the test's user.
  [[nodiscard]] std::string make_work_directory();
  [[nodiscard]] const RunAs& user() const { return user_; }

  // A program of ours (or any other) as the test's user, in `directory`, with GANGWAY_SOCKET set.
  [[nodiscard]] Ran as_user(const std::vector<std::string>& argv,
                            const std::string& directory,
                            const std::string& input = {}) const;
  [[nodiscard]] Background start_as_user(const std::vector<std::string>& argv,
                                         const std::string& directory) const;
  // As yet another user, in /tmp. Requires: we are root.
  [[nodiscard]] Ran as(const RunAs& who, const std::vector<std::string>& argv) const;
  // As who runs the cluster.
  [[nodiscard]] Ran as_operator(const std::vector<std::string>& argv) const;

  // `gangway up` again: starts what has died.
  void bring_up_again();
  void kill_daemon(const std::string& daemon);  // "jschedd", "n01": SIGKILL, and waits for its end
  [[nodiscard]] bool daemon_alive(const std::string& daemon) const;
  // Runs in the node's network namespace, as root.
  [[nodiscard]] Ran in_network(const std::string& node, const std::vector<std::string>& argv) const;
  // Bytes sent by the node's eth0 since it was made.
  [[nodiscard]] std::int64_t bytes_sent(const std::string& node) const;
  // Processes of the user in this cluster's sandboxes, found by their network namespace.
  [[nodiscard]] std::vector<one_machine::ProcessId> user_processes() const;
  // The ends of all logs, for the reader of a failure.
  [[nodiscard]] std::string logs() const;

 private:
  [[nodiscard]] RunOptions options_for(const std::optional<RunAs>& user,
                                       const std::string& directory) const;
  ClusterOptions wishes_;
  std::string top_;  // holds the cluster's directory and the users' ones
  one_machine::ClusterLayout layout_;
  RunAs user_;
  int work_directories_ = 0;
};

// Whether we can have nodes with networks of their own.
[[nodiscard]] bool have_networks();
#define SKIP_WITHOUT_NETWORKS()                                       \
  if (!::gangway::e2e::have_networks()) {                             \
    GTEST_SKIP() << "only root can give nodes networks of their own"; \
  }                                                                   \
  static_assert(true)

// Tests of one suite share a cluster, started with the first and taken down after the last. Derive,
// and hide options() if the defaults will not do.
template <typename Suite>
class OnCluster : public testing::Test {
 public:
  static ClusterOptions options() { return {}; }
  static void SetUpTestSuite() { shared() = std::make_unique<Cluster>(Suite::options()); }
  static void TearDownTestSuite() { shared().reset(); }

 protected:
  void SetUp() override {
    ASSERT_TRUE(shared()) << "the cluster did not start";
    directory_ = cluster().make_work_directory();
  }
  void TearDown() override {
    if (shared() && HasFailure()) std::cerr << cluster().logs();
  }
  static Cluster& cluster() { return *shared(); }
  // Submits as the user; the id, or "" and a failure.
  std::string submit(std::vector<std::string> words) {
    words.insert(words.begin(), {"jsubmit", "--parsable"});
    const Ran ran = cluster().as_user(words, directory_);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    std::string id = ran.out;
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
  }
  Ran user(const std::vector<std::string>& argv) { return cluster().as_user(argv, directory_); }
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  static std::unique_ptr<Cluster>& shared() {
    static std::unique_ptr<Cluster> cluster;
    return cluster;
  }
  std::string directory_;
};

// Looks until it is true; false once `limit` has passed.
[[nodiscard]] bool becomes_true(const std::function<bool()>& condition,
                                Duration limit = seconds(60));
// A file's content; "" if it cannot be read.
[[nodiscard]] std::string content(const std::string& path);
// Writes a file that belongs to the cluster's user.
void write_as_user(const Cluster& cluster, const std::string& path, std::string_view text);
// Where the images for the tests are (GANGWAY_IMAGES or build/images); "" if `name` is not there.
[[nodiscard]] std::string find_image(const std::string& name);

// What a cluster in this directory would leave behind, in words; empty if nothing.
[[nodiscard]] std::vector<std::string> find_leftovers(const one_machine::ClusterLayout& layout);

}  // namespace gangway::e2e
