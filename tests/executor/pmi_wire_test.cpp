#include "executor/pmi_wire.hpp"

#include <gtest/gtest.h>

#include "executor/pmi_server.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "tests/executor/pmi_fuzz_target.hpp"

namespace gangway::executor {
namespace {

std::vector<PmiCommand> commands_of(PmiVersion version, std::string_view bytes) {
  PmiReader reader;
  reader.set_version(version);
  reader.push(bytes);
  std::vector<PmiCommand> commands;
  while (true) {
    Result<std::optional<PmiCommand>> next = reader.next();
    EXPECT_TRUE(next) << next.error().message();
    if (!next || !next->has_value()) return commands;
    commands.push_back(**std::move(next));
  }
}

bool is_refused(PmiVersion version, std::string_view bytes) {
  PmiReader reader;
  reader.set_version(version);
  reader.push(bytes);
  return !reader.next().has_value();
}

TEST(PmiWire, Pmi1IsLinesOfWords) {
  const auto commands = commands_of(
      PmiVersion::One, "cmd=put kvsname=kvs0 key=a value=b=c\ncmd=barrier_in\ncmd=get kvsname=");
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_EQ(commands[0].name, "put");
  EXPECT_EQ(commands[0].get_or("value", ""), "b=c");
  EXPECT_EQ(commands[1].name, "barrier_in");
}

TEST(PmiWire, Pmi1SpawnIsManyLinesAndWordsMayHaveBlanks) {
  const auto commands = commands_of(
      PmiVersion::One, "mcmd=spawn\nnprocs=2\nexecname=./a b\ntotspawns=1\nendcmd\ncmd=finalize\n");
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_EQ(commands[0].name, "spawn");
  EXPECT_EQ(commands[0].get_or("execname", ""), "./a b");
}

TEST(PmiWire, Pmi2IsFramesAndSemicolonsAreDoubled) {
  const auto commands =
      commands_of(PmiVersion::Two, "31    cmd=kvs-put;key=a;value=b;;c;;;15    cmd=kvs-fence;");
  ASSERT_EQ(commands.size(), 1u);  // the second is one byte too short
  EXPECT_EQ(commands[0].name, "kvs-put");
  EXPECT_EQ(commands[0].get_or("value", ""), "b;c;");
}

TEST(PmiWire, WhatIsRenderedReadsTheSame) {
  const PmiValues values{{"key", "a"}, {"value", "x;y;;z"}};
  const auto read = commands_of(PmiVersion::Two, render_pmi(PmiVersion::Two, "kvs-put", values));
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].values, values);
}

TEST(PmiWire, WhatIsNoCommandIsRefused) {
  EXPECT_TRUE(is_refused(PmiVersion::One, "hello\n"));
  EXPECT_TRUE(is_refused(PmiVersion::One, "key=value\n"));
  EXPECT_TRUE(is_refused(PmiVersion::One, std::string(kMaxPmiCommandBytes + 1, 'x')));
  EXPECT_TRUE(is_refused(PmiVersion::Two, "abcdef"));
  EXPECT_TRUE(is_refused(PmiVersion::Two, "999999cmd=x;"));
  EXPECT_TRUE(is_refused(PmiVersion::Two, "7     cmd=abc"));
}

TEST(PmiWire, MappingHasRunsOfEqualNodes) {
  EXPECT_EQ(render_process_mapping({2, 2, 2, 2}), "(vector,(0,4,2))");
  EXPECT_EQ(render_process_mapping({2, 2, 1}), "(vector,(0,2,2),(2,1,1))");
  std::vector<std::size_t> unlike;
  for (std::size_t i = 0; i < 1000; ++i) unlike.push_back(1 + i % 2);
  EXPECT_EQ(render_process_mapping(unlike), "");
}

// ---- the server --------------------------------------------------------------------------------

// One or two nodes of two ranks each, and the fence between them.
class Nodes {
 public:
  explicit Nodes(std::uint32_t nodes) {
    for (std::uint32_t i = 0; i < nodes; ++i) {
      servers_.emplace_back(PmiJob{"kvs0", 2 * nodes, 2 * nodes, {2 * i, 2}, "(vector,(0,1,2))"});
    }
  }
  // What the rank hears at once.
  std::string say(std::uint32_t rank, std::string_view bytes) {
    heard_[rank].clear();
    carry_out(rank / 2, servers_[rank / 2].on_bytes(rank, bytes));
    return heard_[rank];
  }
  std::string heard(std::uint32_t rank) { return heard_[rank]; }
  std::vector<std::string> told;

 private:
  void carry_out(std::uint32_t node, const PmiActions& actions) {
    for (const PmiAction& action : actions) {
      if (const auto* answer = std::get_if<pmi_action::Answer>(&action)) {
        heard_[answer->rank] += answer->bytes;
      } else if (const auto* cut = std::get_if<pmi_action::Cut>(&action)) {
        told.push_back(cat("cut ", cut->rank));
      } else {
        tell(node, std::get<pmi_action::Tell>(action).message);
      }
    }
  }
  void tell(std::uint32_t node, const wire::FromPmix& message) {
    if (message.has_fence()) {
      fences_[node] = message.fence();
      if (fences_.size() < servers_.size()) return;
      wire::PmixFenceDone done;
      for (const auto& [at, fence] : fences_) *done.mutable_data() += fence.data();
      const auto all = std::exchange(fences_, {});
      for (const auto& [at, fence] : all) {
        done.set_id(fence.id());
        carry_out(at, servers_[at].on_fence_done(done));
      }
    } else if (message.has_abort()) {
      told.push_back(cat("abort ", message.abort().rank(), ' ', message.abort().status()));
    } else if (message.rank_state().connected()) {
      told.push_back(cat("connected ", message.rank_state().rank()));
    } else {
      told.push_back(cat("finalized ", message.rank_state().rank()));
    }
  }

  std::vector<PmiServer> servers_;
  std::map<std::uint32_t, std::string> heard_;
  std::map<std::uint32_t, wire::PmixFence> fences_;
};

constexpr std::string_view kInit1 = "cmd=init pmi_version=1 pmi_subversion=1\n";
constexpr std::string_view kInit2 = "cmd=init pmi_version=2 pmi_subversion=0\n";
std::string pmi2(std::string_view name, const PmiValues& values = {}) {
  return render_pmi(PmiVersion::Two, name, values);
}

TEST(PmiServer, InitIsAnsweredAndTold) {
  Nodes nodes(1);
  EXPECT_EQ(nodes.say(0, kInit1), "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n");
  EXPECT_EQ(nodes.say(0, "cmd=get_my_kvsname\n"), "cmd=my_kvsname kvsname=kvs0 rc=0\n");
  EXPECT_EQ(nodes.say(0, "cmd=get_universe_size\n"), "cmd=universe_size size=2 rc=0\n");
  EXPECT_EQ(nodes.told, (std::vector<std::string>{"connected 0"}));
}

TEST(PmiServer, PutsAreSeenByRanksOfOtherNodesAfterTheBarrier) {
  Nodes nodes(2);
  for (const std::uint32_t rank : {0u, 1u, 2u, 3u}) nodes.say(rank, kInit1);
  EXPECT_EQ(nodes.say(0, "cmd=put kvsname=kvs0 key=a value=1\n"),
            "cmd=put_result rc=0 msg=success\n");
  EXPECT_EQ(nodes.say(3, "cmd=get kvsname=kvs0 key=a\n"),
            "cmd=get_result rc=-1 msg=key_not_found value=unknown\n");
  for (const std::uint32_t rank : {0u, 1u, 2u}) {
    EXPECT_EQ(nodes.say(rank, "cmd=barrier_in\n"), "") << rank;
  }
  EXPECT_EQ(nodes.say(3, "cmd=barrier_in\n"), "cmd=barrier_out rc=0\n");
  EXPECT_EQ(nodes.heard(0), "cmd=barrier_out rc=0\n");
  EXPECT_EQ(nodes.say(3, "cmd=get kvsname=kvs0 key=a\n"),
            "cmd=get_result rc=0 msg=success value=1\n");
}

TEST(PmiServer, ARankMaySpeakPmi2) {
  Nodes nodes(1);
  EXPECT_EQ(nodes.say(1, kInit2), "cmd=response_to_init pmi_version=2 pmi_subversion=0 rc=0\n");
  nodes.say(0, kInit2);
  EXPECT_NE(nodes.say(1, pmi2("fullinit", {{"pmirank", "1"}})).find("rank=1;size=2;"),
            std::string::npos);
  EXPECT_EQ(nodes.say(1, pmi2("kvs-put", {{"thrid", "7"}, {"key", "k"}, {"value", "v"}})),
            pmi2("kvs-put-response", {{"thrid", "7"}, {"rc", "0"}}));
  EXPECT_EQ(nodes.say(1, pmi2("kvs-fence")), "");
  EXPECT_EQ(nodes.say(0, pmi2("kvs-fence")), pmi2("kvs-fence-response", {{"rc", "0"}}));
  EXPECT_EQ(nodes.say(0, pmi2("kvs-get", {{"key", "k"}})),
            pmi2("kvs-get-response", {{"rc", "0"}, {"found", "TRUE"}, {"value", "v"}}));
  EXPECT_EQ(nodes.say(0, pmi2("info-getjobattr", {{"key", "PMI_process_mapping"}})),
            pmi2("info-getjobattr-response",
                 {{"rc", "0"}, {"found", "TRUE"}, {"value", "(vector,(0,1,2))"}}));
}

TEST(PmiServer, ANodesAttributeCanBeWaitedFor) {
  Nodes nodes(1);
  for (const std::uint32_t rank : {0u, 1u}) nodes.say(rank, kInit2);
  EXPECT_EQ(nodes.say(1, pmi2("info-getnodeattr", {{"key", "shm"}, {"wait", "TRUE"}})), "");
  nodes.say(0, pmi2("info-putnodeattr", {{"key", "shm"}, {"value", "/x"}}));
  EXPECT_EQ(nodes.heard(1),
            pmi2("info-getnodeattr-response", {{"rc", "0"}, {"found", "TRUE"}, {"value", "/x"}}));
}

TEST(PmiServer, AbortAndFinalizeAreTold) {
  Nodes nodes(1);
  nodes.say(1, kInit1);
  EXPECT_EQ(nodes.say(1, "cmd=finalize\n"), "cmd=finalize_ack rc=0\n");
  nodes.say(1, "cmd=abort exitcode=42\n");
  EXPECT_EQ(nodes.told, (std::vector<std::string>{"connected 1", "finalized 1", "abort 1 42"}));
}

TEST(PmiServer, NoiseCutsTheRankOff) {
  Nodes nodes(1);
  nodes.say(0, "GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(nodes.say(0, kInit1), "");
  EXPECT_EQ(nodes.told, (std::vector<std::string>{"cut 0"}));
}

TEST(PmiServer, TooMuchIsNotKept) {
  Nodes nodes(1);
  nodes.say(0, kInit1);
  EXPECT_NE(nodes
                .say(0, cat("cmd=put kvsname=kvs0 key=k value=",
                            std::string(kMaxPmiValueBytes + 1, 'x'), "\n"))
                .find("rc=-1"),
            std::string::npos);
}

TEST(PmiServer, AnAttributeMayBeChangedAsOftenAsOneLikes) {
  Nodes nodes(1);
  nodes.say(0, kInit2);
  const std::string put =
      pmi2("info-putnodeattr", {{"key", "shm"}, {"value", std::string(kMaxPmiValueBytes, 'x')}});
  const std::string done = pmi2("info-putnodeattr-response", {{"rc", "0"}});
  for (int i = 0; i < 100'000; ++i) ASSERT_EQ(nodes.say(0, put), done) << i;
}

TEST(PmiServer, KeysThatGrowAreCountedAsTheyHaveGrown) {
  Nodes nodes(1);
  for (const std::uint32_t rank : {0u, 1u}) nodes.say(rank, kInit1);
  const auto put = [&](int key, const std::string& value) {
    return nodes.say(0, cat("cmd=put kvsname=kvs0 key=", key, " value=", value, "\n"))
               .find("rc=0") != std::string::npos;
  };
  const auto fence = [&] {
    for (const std::uint32_t rank : {0u, 1u}) nodes.say(rank, "cmd=barrier_in\n");
  };
  // More than may be kept, but for what each entry costs beside its bytes.
  constexpr int kKeys = 70'000;
  int kept = 0;
  for (int key = 0; key < kKeys && put(key, "1"); ++key) kept = key + 1;
  fence();
  EXPECT_EQ(kept, kKeys);
  int grown = 0;
  const std::string value(kMaxPmiValueBytes, 'x');
  for (int key = 0; key < kKeys; ++key) {
    if (key % 10'000 == 9'999) fence();
    if (!put(key, value)) break;
    grown = key + 1;
  }
  EXPECT_LT(grown, kKeys);
  EXPECT_GT(grown, kKeys / 2);
}

TEST(PmiServer, StandsWhateverRanksSay) {
  const std::vector<std::string> good{std::string(kInit1),
                                      std::string(kInit2),
                                      "cmd=put kvsname=kvs0 key=a value=b\n",
                                      "cmd=barrier_in\n",
                                      "mcmd=spawn\nnprocs=2\nexecname=a\nendcmd\n",
                                      pmi2("fullinit"),
                                      pmi2("kvs-put", {{"key", "a"}, {"value", "b"}}),
                                      pmi2("kvs-fence"),
                                      pmi2("info-getnodeattr", {{"key", "a"}, {"wait", "TRUE"}})};
  Rng rng(11);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (std::int64_t i = rng.between(1, 8); i > 0; --i) {
      std::string command = good[static_cast<std::size_t>(
          rng.between(0, static_cast<std::int64_t>(good.size()) - 1))];
      if (rng.between(0, 3) == 0) {
        command[static_cast<std::size_t>(
            rng.between(0, static_cast<std::int64_t>(command.size()) - 1))] =
            static_cast<char>(rng.between(-128, 127));
      }
      bytes += static_cast<char>(rng.between(0, 1));
      bytes += command;
    }
    tests::fuzz_pmi(bytes);
  }
}

}  // namespace
}  // namespace gangway::executor
