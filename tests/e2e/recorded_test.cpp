// Workflows that others have recorded (WfFormat), on a real cluster with their times scaled down:
// the scheduler's log says in which order their tasks ran, their files which order that had to be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "queues/base/text.hpp"
#include "tests/e2e/harness/cluster.hpp"
#include "tests/shared_data.hpp"

namespace gangway::e2e {
namespace {

using Json = nlohmann::json;

class Recorded : public OnCluster<Recorded> {
 public:
  static ClusterOptions options() { return {.nodes = 2, .cores = 16, .memory = "16G"}; }

 protected:
  static std::string path_of(const std::string& name) {
    return test::shared_data(cat("workflows/", name));
  }
  // The id, "w1".
  std::string submit_recorded(const std::string& name, const std::string& scale) {
    const Ran unpacked = user({"sh", "-c", cat("zcat ", path_of(name), " > w.json")});
    EXPECT_EQ(unpacked.exit_code, 0) << unpacked.err;
    const Ran ran = user(
        {"jsubmit", "--parsable", "--format=wfcommons", cat("--time-scale=", scale), "w.json"});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return ran.out.substr(0, ran.out.find_first_of(" \n;"));
  }
  Json workflow(const std::string& id) {
    const Ran ran = user({"jqueue", "-w", id, "--json"});
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    return Json::parse(ran.out)["workflows"][0];
  }
  bool ends(const std::string& id, Duration limit) {
    return becomes_true([&] { return !workflow(id)["ended"].is_null(); }, limit);
  }
  // By the name of a task all its events, in their order: "Launched", "Ended".
  std::map<std::string, std::vector<std::pair<std::uint64_t, std::string>>> log_of(
      const std::string& id) {
    std::map<std::string, std::string> name_of;
    const Json now = workflow(id);
    for (const Json& job : now["jobs"]) name_of[job["job_id"]] = job["name"];
    Background follower =
        cluster().start_as_user({"sh", "-c", "exec jqueue --json --follow=1 >log"}, directory());
    // Our own mark at its end.
    const std::string mark = submit({"--hold", "--", "true"});
    const std::string last = cat("\"id\":\"", mark, "\",\"event\":\"Submitted\"");
    EXPECT_TRUE(becomes_true(
        [&] { return content(cat(directory(), "/log")).find(last) != std::string::npos; }));
    ::kill(follower.pid(), SIGTERM);
    static_cast<void>(follower.finish());
    EXPECT_EQ(user({"jcancel", mark}).exit_code, 0);
    std::map<std::string, std::vector<std::pair<std::uint64_t, std::string>>> log;
    const std::string text = content(cat(directory(), "/log"));
    for (const std::string_view line : split(text, '\n')) {
      const Json event = Json::parse(line, nullptr, false);
      if (!event.is_object() || event.value("subject", "") != "job") continue;
      const auto name = name_of.find(event["id"]);
      if (name != name_of.end()) log[name->second].emplace_back(event["seq"], event["event"]);
    }
    return log;
  }
  static std::uint64_t seq_of(const std::vector<std::pair<std::uint64_t, std::string>>& events,
                              std::string_view what) {
    for (const auto& [seq, event] : events) {
      if (event == what) return seq;
    }
    return 0;
  }
  // From the file itself: pairs of a parent and its child.
  std::set<std::pair<std::string, std::string>> edges_of_file() {
    const Json json = Json::parse(content(cat(directory(), "/w.json")));
    const Json& workflow = json["workflow"];
    const Json& tasks =
        workflow.contains("specification") ? workflow["specification"]["tasks"] : workflow["tasks"];
    // As a job's name may be.
    const auto name_of = [](std::string id) {
      for (char& c : id) {
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '-' && c != '.') {
          c = '_';
        }
      }
      return id;
    };
    const auto id_of = [&](const Json& task) {
      return name_of(task.value("id", task.value("name", std::string())));
    };
    std::set<std::pair<std::string, std::string>> edges;
    for (const Json& task : tasks) {
      for (const Json& parent : task.value("parents", Json::array())) {
        edges.insert({name_of(parent), id_of(task)});
      }
      for (const Json& child : task.value("children", Json::array())) {
        edges.insert({id_of(task), name_of(child)});
      }
    }
    return edges;
  }
  void runs_in_order(const std::string& name, const std::string& scale, Duration limit) {
    SCOPED_TRACE(name);
    const std::string id = submit_recorded(name, scale);
    ASSERT_TRUE(ends(id, limit)) << user({"jqueue", "-w", id}).out;
    const auto log = log_of(id);
    const auto edges = edges_of_file();
    EXPECT_FALSE(edges.empty());
    std::size_t wrong = 0;
    for (const auto& [parent, child] : edges) {
      ASSERT_TRUE(log.contains(parent) && log.contains(child)) << parent << " " << child;
      const std::uint64_t over = seq_of(log.at(parent), "Ended");
      const std::uint64_t begun = seq_of(log.at(child), "Allocated");
      if (over == 0 || begun == 0 || begun < over) ++wrong;
    }
    EXPECT_EQ(wrong, 0U);
    const Json now = workflow(id);
    for (const Json& job : now["jobs"]) EXPECT_EQ(job["state"], "COMPLETED") << job["name"];
    std::cout << name << ": " << log.size() << " tasks, " << edges.size() << " edges\n";
  }
};

TEST_F(Recorded, ASmallWorkflowRunsInTheOrderOfItsEdges) {
  constexpr const char* kName = "helloworld-forkjoin-10-chameleon.json.gz";
  if (!std::filesystem::exists(path_of(kName))) GTEST_SKIP() << path_of(kName) << " is not there";
  runs_in_order(kName, "0.001", seconds(60));
}

TEST_F(Recorded, AllWorkflowsRunInTheOrderOfTheirEdges) {
  if (std::getenv("GANGWAY_LONG_TESTS") == nullptr) GTEST_SKIP() << "only with tests/run.sh --all";
  if (!std::filesystem::exists(path_of(""))) GTEST_SKIP() << path_of("") << " is not there";
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_of(""))) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".json.gz")) names.push_back(name);
  }
  std::ranges::sort(names);
  EXPECT_GE(names.size(), 10U);
  for (const std::string& name : names) runs_in_order(name, "0.001", minutes(20));
}

TEST_F(Recorded, AWorkflowThatATaskHasBrokenGoesOnWithoutRepeatingWhatSucceeded) {
  constexpr const char* kName = "helloworld-chain-5-chameleon.json.gz";
  if (!std::filesystem::exists(path_of(kName))) GTEST_SKIP() << path_of(kName) << " is not there";
  // A chain, its tasks of 2 s each.
  const std::string id = submit_recorded(kName, "0.02");
  const auto third_job = [&] { return workflow(id)["jobs"][2]; };
  ASSERT_TRUE(becomes_true([&] { return third_job()["state"] == "RUNNING"; }));
  const std::string broken = third_job()["job_id"];
  EXPECT_EQ(user({"jcancel", "--signal", "KILL", broken}).exit_code, 0);
  ASSERT_TRUE(ends(id, seconds(60)));
  EXPECT_EQ(third_job()["state"], "SIGNALED");
  const Ran again = user({"jrequeue", "--failed", id});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  ASSERT_TRUE(ends(id, seconds(60)));
  const auto log = log_of(id);
  EXPECT_EQ(log.size(), 5U);
  const Json now = workflow(id);
  for (std::size_t i = 0; i < 5; ++i) {
    const Json& job = now["jobs"][i];
    EXPECT_EQ(job["state"], "COMPLETED") << job;
    // Of the newest generation each has run once; what had succeeded is the job it was.
    const auto& events = log.at(job["name"]);
    EXPECT_EQ(
        std::ranges::count(events, "Launched", &std::pair<std::uint64_t, std::string>::second), 1);
    const int number = std::atoi(std::string(job["job_id"]).c_str());
    EXPECT_EQ(number > std::atoi(broken.c_str()) + 2, i >= 2) << job;
  }
}

}  // namespace
}  // namespace gangway::e2e
