// Two gangs of MPI ranks, each of the whole cluster, take turns; and an operator lets a job stand
// still.
//
// The ranks say themselves when they have run (mpi_turns.c).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"

namespace gangway::e2e {
namespace {

using testing::HasSubstr;

constexpr int kNodes = 4;
constexpr double kWork = 5.0;  // of running, each
constexpr const char* kWorkText = "5";

// From when to when somebody ran, in seconds.
using Times = std::vector<std::pair<double, double>>;

class TimeSlices : public OnCluster<TimeSlices> {
 public:
  static ClusterOptions options() {
    return {.nodes = kNodes, .cores = 2, .more = {"--time-slicing", "2:1s"}};
  }

 protected:
  std::string file(const std::string& name) { return content(directory() + "/" + name); }
  // A field of `jhist --json` or `jqueue --json`, as text up to the next comma.
  std::string field(const std::string& program, const std::string& id, const std::string& name) {
    const std::string json = user({program, "--json", "-j", id}).out;
    const std::string key = cat('"', name, "\":");
    const std::size_t at = json.find(key);
    if (at == std::string::npos) return cat("no ", name, " in ", json);
    const std::size_t begin = json.find_first_not_of(' ', at + key.size());
    return json.substr(begin, json.find_first_of(",}\n", begin) - begin);
  }
  double elapsed(const std::string& id) {
    return std::strtod(field("jhist", id, "elapsed_s").c_str(), nullptr);
  }
  bool is_suspended(const std::string& id) {
    return user({"jqueue", "--noheader", "-o", "%t", "-j", id}).out == "S\n";
  }
  // Less than the two need together: a limit that counted the pauses would end one of them.
  std::string submit_gang(const std::string& name) {
    return submit({"-p",      "sliced",    "-J", name,          "-N",    cat(kNodes),
                   "-n",      cat(kNodes), "-c", "2",           "--mem", "300M",
                   "-t",      "0:09",      "-o", name + ".out", "--",    directory() + "/mpi_turns",
                   kWorkText, directory(), name});
  }
  Times times_of(const std::string& name, int rank) {
    Times times;
    for (const std::string_view line : split(file(cat(name, '.', rank)), '\n')) {
      const auto words = split(line, ' ');
      if (words.size() != 2) continue;
      times.emplace_back(std::strtod(std::string(words[0]).c_str(), nullptr) / 1e9,
                         std::strtod(std::string(words[1]).c_str(), nullptr) / 1e9);
    }
    return times;
  }
};

double total(const Times& times) {
  double sum = 0;
  for (const auto& [from, to] : times) sum += to - from;
  return sum;
}

// How long both have run at the same time.
double overlap(const Times& a, const Times& b) {
  double sum = 0;
  for (const auto& [from_a, to_a] : a) {
    for (const auto& [from_b, to_b] : b) {
      sum += std::max(0.0, std::min(to_a, to_b) - std::max(from_a, from_b));
    }
  }
  return sum;
}

// How often the one ran after the other and the other after the one.
int changes(const Times& a, const Times& b) {
  std::vector<std::pair<double, int>> begins;
  for (const auto& [from, to] : a) begins.emplace_back(from, 0);
  for (const auto& [from, to] : b) begins.emplace_back(from, 1);
  std::ranges::sort(begins);
  int count = 0;
  for (std::size_t i = 1; i < begins.size(); ++i) {
    if (begins[i].second != begins[i - 1].second) ++count;
  }
  return count;
}

TEST_F(TimeSlices, TwoMpiGangsAdvanceInTurnsAndNeverRunInTheSameSlice) {
  const std::string program = directory() + "/mpi_turns";
  std::filesystem::copy_file(GANGWAY_MPI_TURNS, program);
  std::filesystem::permissions(program, std::filesystem::perms(0755));
  const auto begin = std::chrono::steady_clock::now();
  const std::string a = submit_gang("a");
  const std::string b = submit_gang("b");
  // Each of them is seen standing still, with what people are told about it.
  for (const std::string& id : {a, b}) {
    std::string why;
    EXPECT_TRUE(becomes_true([&] {
      if (!is_suspended(id)) return false;
      why = user({"jwhy", id}).out;
      // In the moment in which turns change it says something else.
      return why.find("is suspended") != std::string::npos &&
             why.find("its own is expected") != std::string::npos;
    })) << user({"jwhy", id}).out;
  }
  for (const std::string& id : {a, b}) {
    EXPECT_EQ(user({"jwait", id}).exit_code, 0)
        << user({"jhist", "-j", id}).out << file("a.out") << file("b.out");
  }
  const std::chrono::duration<double> until_both_had_ended =
      std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(file("a.out"), "");
  EXPECT_EQ(file("b.out"), "");

  for (int i = 0; i < kNodes; ++i) {
    const Times of_a = times_of("a", i);
    ASSERT_FALSE(of_a.empty());
    EXPECT_GE(total(of_a), kWork);
    for (int j = 0; j < kNodes; ++j) {
      const Times of_b = times_of("b", j);
      ASSERT_FALSE(of_b.empty());
      EXPECT_GE(total(of_b), kWork);
      EXPECT_EQ(overlap(of_a, of_b), 0) << "rank " << i << " of a, rank " << j << " of b";
      EXPECT_GE(changes(of_a, of_b), 4);
    }
  }
  // They share the time: what one stood still is the other's and is charged to nobody.
  EXPECT_GE(elapsed(a), kWork - 1);  // whole seconds
  EXPECT_GE(elapsed(b), kWork - 1);
  EXPECT_LE(elapsed(a) + elapsed(b), until_both_had_ended.count() + 1);
  const std::string shares = cluster().as_operator({"jhist", "shares", "-P", "--noheader"}).out;
  double used = 0;
  for (const std::string_view line : split(shares, '\n')) {
    const auto cells = split(line, '|');
    if (cells.size() > 4 && trim(cells[0]) == "root" && cells[1].empty()) {
      used = std::strtod(std::string(cells[4]).c_str(), nullptr);
    }
  }
  constexpr double kCores = 2.0 * kNodes;
  EXPECT_LE(used, (elapsed(a) + elapsed(b) + 2) * kCores) << shares;
  EXPECT_GE(used, 2 * (kWork - 1) * kCores) << shares;
}

TEST_F(TimeSlices, ASuspendedJobStandsStillOverACrashOfItsDaemonsAndGoesOn) {
  const std::string id =
      submit({"-t", "1m", "-o", "out", "--wrap",
              "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.01; done"});
  ASSERT_TRUE(becomes_true([&] { return file("out").find("3\n") != std::string::npos; }));
  ASSERT_EQ(cluster().as_operator({"jctl", "suspend", id}).exit_code, 0);
  ASSERT_TRUE(becomes_true([&] { return is_suspended(id); }));
  EXPECT_THAT(user({"jwhy", id}).out, HasSubstr("an operator has suspended it"));
  // The order takes a moment to the node.
  std::string seen;
  ASSERT_TRUE(becomes_true([&] {
    seen = file("out");
    return is_suspended(id) && file("out") == seen;
  }));
  cluster().kill_daemon("n01");
  cluster().kill_daemon("jschedd");
  cluster().bring_up_again();
  ASSERT_TRUE(becomes_true([&] { return is_suspended(id); }));
  EXPECT_EQ(file("out"), seen);
  ASSERT_EQ(cluster().as_operator({"jctl", "resume", id}).exit_code, 0);
  EXPECT_EQ(user({"jwait", id}).exit_code, 0) << user({"jhist", "-j", id}).out;
  EXPECT_THAT(file("out"), HasSubstr("200\n"));
}

TEST_F(TimeSlices, ASuspendedJobCanBeCancelledAndLeavesNothing) {
  const std::string id = submit({"-o", "out", "--wrap",
                                 "trap 'echo saved; exit 3' TERM; echo up; "
                                 "while :; do sleep 0.05; done"});
  ASSERT_TRUE(becomes_true([&] { return file("out").find("up") != std::string::npos; }));
  ASSERT_EQ(cluster().as_operator({"jctl", "suspend", id}).exit_code, 0);
  ASSERT_TRUE(becomes_true([&] {
    return user({"jqueue", "--noheader", "-o", "%t", "-j", id}).out == "S\n";
  }));
  EXPECT_EQ(user({"jcancel", id}).exit_code, 0);
  EXPECT_NE(user({"jwait", id}).exit_code, 0);
  EXPECT_THAT(file("out"), HasSubstr("saved"));
  EXPECT_TRUE(becomes_true([&] { return cluster().user_processes().empty(); }));
}

}  // namespace
}  // namespace gangway::e2e
