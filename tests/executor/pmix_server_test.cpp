// Ranks of a real MPI program on two "nodes" of this machine: two jpmixd processes, and in the
// place of their shepherds this test, which carries their fences and questions to each other.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "executor/gang_exchange.hpp"
#include "executor/pmix_link.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"

namespace gangway::executor {
namespace {

namespace fs = std::filesystem;

const std::string kServer = GANGWAY_BINARY_DIR "/bin/jpmixd";
const std::string kRing = GANGWAY_BINARY_DIR "/tests/executor/mpi_ring";

std::string read_file(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Starts a program with `fd3` as descriptor 3 (if not -1), its output in files.
pid_t spawn(const std::vector<std::string>& argv,
            const std::vector<std::string>& env,
            const fs::path& out,
            const fs::path& err,
            int fd3 = -1) {
  std::vector<char*> args;
  std::vector<char*> envp;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  for (const std::string& entry : env) envp.push_back(const_cast<char*>(entry.c_str()));
  args.push_back(nullptr);
  envp.push_back(nullptr);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid > 0) return pid;
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  const int out_fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int err_fd = ::open(err.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(null, 0);
  ::dup2(out_fd, 1);
  ::dup2(err_fd, 2);
  if (fd3 >= 0) {
    ::dup2(fd3, 3);
    ::fcntl(3, F_SETFD, 0);
  }
  ::execve(args[0], args.data(), envp.data());
  ::_exit(127);
}

class Gang;

// One node: its PMIx server, its ranks, and this test in the shepherd's place.
class Node final : public PmixHandler {
 public:
  Node(Gang& gang, std::uint32_t index);

  void on_pmix_ready(wire::PmixReady ready) override;
  void on_pmix_exchange(wire::FromPmix message) override;
  void on_pmix_abort(wire::PmixAbort abort) override;
  void on_pmix_rank_state(wire::PmixRankState state) override;
  void on_pmix_closed(const Error& why) override;
  void carry_out(ExchangeActions actions);

  Gang& gang;
  std::uint32_t index;
  std::unique_ptr<PmixLink> link;
  GangExchange exchange;
  std::optional<wire::PmixReady> ready;
  std::set<std::uint32_t> connected;
  std::set<std::uint32_t> finalized;
  std::vector<wire::PmixAbort> aborts;
  std::vector<std::string> ends;  // of the link, by itself
  pid_t server_pid = -1;
  std::optional<int> server_status;
};

class Gang {
 public:
  static constexpr std::uint32_t kNodes = 2;
  static constexpr std::uint32_t kRanksPerNode = 2;

  Gang() {
    std::string name = "/tmp/gangway-pmix-XXXXXX";
    CHECK(::mkdtemp(name.data()) != nullptr);
    directory = name;
    for (std::uint32_t i = 0; i < kNodes; ++i) nodes.push_back(std::make_unique<Node>(*this, i));
  }
  ~Gang() {
    for (const auto& [pid, rank] : running_ranks) ::kill(pid, SIGKILL);
    for (const auto& node : nodes) node->link->close();
    over_when([this] { return running_ranks.empty() && running_servers == 0; });
    fs::remove_all(directory);
  }

  // Runs the loop until `done` holds.
  void over_when(std::function<bool()> done) {
    done_ = std::move(done);
    if (!done_()) loop.run();
  }
  void check_for_end() {
    if (done_ && done_()) loop.stop();
  }

  // Starts the ranks as soon as both servers are ready, and waits until all have ended.
  void run(const std::vector<std::string>& argv, const std::vector<std::string>& more_env = {}) {
    argv_ = argv;
    more_env_ = more_env;
    start_ranks_if_ready();
    over_when([this] {
      return (started_ && running_ranks.empty()) || !nodes[0]->ends.empty() ||
             !nodes[1]->ends.empty();
    });
  }

  void start_ranks_if_ready() {
    if (argv_.empty() || started_) return;
    for (const auto& node : nodes) {
      if (!node->ready) return;
    }
    started_ = true;
    for (const auto& node : nodes) {
      if (node->index == lost_node) continue;
      for (const wire::RankEnv& rank : node->ready->ranks()) start_rank(rank);
      if (lost_node) node->carry_out(node->exchange.on_peer_lost(*lost_node));
    }
  }

  // Says quit to the servers and waits for their ends.
  void quit() {
    for (const auto& node : nodes) {
      wire::ToPmix message;
      message.mutable_quit();
      node->link->send(message);
    }
    over_when([this] { return running_servers == 0; });
  }

  void kill_ranks() {
    for (const auto& [pid, rank] : running_ranks) ::kill(pid, SIGKILL);
  }

  [[nodiscard]] std::string out() const { return read_file(directory / "out"); }
  [[nodiscard]] std::string err() const { return read_file(directory / "err"); }

  fs::path directory;
  io::AsioLoop loop;
  std::vector<std::unique_ptr<Node>> nodes;
  std::map<pid_t, std::uint32_t> running_ranks;
  std::map<std::uint32_t, int> rank_status;
  int running_servers = 0;
  std::optional<std::uint32_t> lost_node;  // its ranks are not started, the others are told
  std::uint64_t fences_seen = 0;
  std::uint64_t questions_seen = 0;

 private:
  void start_rank(const wire::RankEnv& rank) {
    std::vector<std::string> env{"PATH=/usr/bin:/bin",
                                 cat("HOME=", directory.string()),
                                 cat("TMPDIR=", directory.string()),
                                 "OMPI_MCA_schizo=^orte",
                                 "OMPI_MCA_hwloc_base_binding_policy=none",
                                 "OMPI_MCA_orte_externally_bound=1",
                                 "OMPI_MCA_pml=ob1",
                                 "OMPI_MCA_btl=self,tcp",
                                 "OMPI_MCA_btl_tcp_if_include=lo",
                                 "OMPI_MCA_mpi_yield_when_idle=1"};
    env.insert(env.end(), rank.env().begin(), rank.env().end());
    env.insert(env.end(), more_env_.begin(), more_env_.end());
    const pid_t pid = spawn(argv_, env, directory / "out", directory / "err");
    running_ranks.emplace(pid, rank.rank());
    loop.watch_child(pid, [this, pid](int status) {
      rank_status[running_ranks[pid]] = status;
      running_ranks.erase(pid);
      check_for_end();
    });
  }

  std::function<bool()> done_;
  bool started_ = false;
  std::vector<std::string> argv_;
  std::vector<std::string> more_env_;
};

std::vector<ExchangeNode> exchange_nodes() {
  return {{"n01", {0, Gang::kRanksPerNode}, 2},
          {"n02", {Gang::kRanksPerNode, Gang::kRanksPerNode}, 2}};
}

Node::Node(Gang& the_gang, std::uint32_t the_index)
    : gang(the_gang),
      index(the_index),
      link(make_pmix_link(the_gang.loop, *this)),
      exchange(the_index, exchange_nodes()) {
  const fs::path temporary = gang.directory / cat("server", index);
  fs::create_directory(temporary);
  Result<Fd> end = link->open();
  CHECK(end.has_value());
  server_pid = spawn({kServer}, {}, gang.directory / "server.out", gang.directory / "server.err",
                     end->get());
  ++gang.running_servers;
  gang.loop.watch_child(server_pid, [this](int status) {
    server_status = status;
    --gang.running_servers;
    gang.check_for_end();
  });
  wire::PmixSetup setup;
  setup.set_name_space("gangway.42.1");
  setup.add_nodes("n01");
  setup.add_nodes("n02");
  setup.add_ranks_of_node("0-1");
  setup.add_ranks_of_node("2-3");
  setup.set_node_index(index);
  setup.set_tasks(4);
  setup.set_uid(::geteuid());
  setup.set_gid(::getegid());
  setup.set_temporary_directory(temporary);
  link->setup(setup);
}

void Node::on_pmix_ready(wire::PmixReady message) {
  ready = std::move(message);
  gang.start_ranks_if_ready();
  gang.check_for_end();
}
void Node::on_pmix_exchange(wire::FromPmix message) {
  gang.fences_seen += message.has_fence() ? 1 : 0;
  gang.questions_seen += message.has_modex_ask() ? 1 : 0;
  carry_out(exchange.on_pmix(message));
}
void Node::on_pmix_abort(wire::PmixAbort abort) {
  aborts.push_back(std::move(abort));
  gang.kill_ranks();
}
void Node::on_pmix_rank_state(wire::PmixRankState state) {
  (state.finalized() ? finalized : connected).insert(state.rank());
}
void Node::on_pmix_closed(const Error& why) {
  ends.push_back(why.message());
  gang.check_for_end();
}
void Node::carry_out(ExchangeActions actions) {
  for (ExchangeAction& action : actions) {
    if (const auto* tell = std::get_if<exchange_action::TellPmix>(&action)) {
      link->send(tell->message);
    } else if (const auto* tell_peer = std::get_if<exchange_action::TellPeer>(&action)) {
      const auto& to = *tell_peer;
      gang.loop.post([this, to] {
        Node& peer = *gang.nodes[to.node_index];
        peer.carry_out(peer.exchange.on_peer(index, to.message));
      });
    }
  }
}

void expect_the_ring_is_right(const Gang& gang) {
  EXPECT_EQ(gang.err(), "");
  EXPECT_EQ(read_file(gang.directory / "server.out"), "");
  EXPECT_EQ(read_file(gang.directory / "server.err"), "");
  std::set<std::string> lines;
  std::istringstream out(gang.out());
  for (std::string line; std::getline(out, line);) lines.insert(line);
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  std::set<std::string> expected{"ring of 4 ranks, 1048576 bytes, 1 rounds: right"};
  for (int rank = 0; rank < 4; ++rank) {
    expected.insert(
        cat("rank ", rank, " of 4 on ", host, ", local rank ", rank % 2, " of 2, sum 10 right"));
  }
  EXPECT_EQ(lines, expected);
  for (std::uint32_t rank = 0; rank < 4; ++rank) EXPECT_EQ(gang.rank_status.at(rank), 0);
}

TEST(PmixServer, RanksOfTwoNodesFindEachOther) {
  Gang gang;
  gang.run({kRing});
  expect_the_ring_is_right(gang);
  for (const auto& node : gang.nodes) {
    const std::set<std::uint32_t> here{2 * node->index, 2 * node->index + 1};
    EXPECT_EQ(node->connected, here);
    EXPECT_EQ(node->finalized, here);
  }
  EXPECT_GE(gang.fences_seen, 4u);
}

TEST(PmixServer, AnswersQuestionsForOneRanksData) {
  Gang gang;
  gang.run({kRing}, {"OMPI_MCA_pmix_base_collect_data=0", "OMPI_MCA_pmix_base_async_modex=1"});
  expect_the_ring_is_right(gang);
  EXPECT_GE(gang.questions_seen, 1u);
}

TEST(PmixServer, QuitLeavesNoFilesBehind) {
  Gang gang;
  gang.run({kRing});
  gang.quit();
  for (const auto& node : gang.nodes) {
    EXPECT_EQ(node->server_status, 0);
    EXPECT_TRUE(fs::is_empty(gang.directory / cat("server", node->index)));
  }
}

TEST(PmixServer, AbortIsReportedWithItsCode) {
  Gang gang;
  gang.run({kRing, "--abort", "3:42"});
  ASSERT_EQ(gang.nodes[1]->aborts.size(), 1u);
  EXPECT_EQ(gang.nodes[1]->aborts[0].rank(), 3u);
  EXPECT_EQ(gang.nodes[1]->aborts[0].status(), 42);
  EXPECT_TRUE(gang.nodes[0]->aborts.empty());
}

TEST(PmixServer, AContradictorySetupIsRefusedWithItsReason) {
  Gang gang;
  wire::PmixSetup setup;
  setup.set_name_space("x");
  setup.add_nodes("n01");
  setup.add_ranks_of_node("3-1");
  Node& node = *gang.nodes[0];
  node.link->close();
  node.link = make_pmix_link(gang.loop, node);
  Result<Fd> end = node.link->open();
  ASSERT_TRUE(end.has_value());
  ++gang.running_servers;
  const pid_t pid = spawn({kServer}, {}, "/dev/null", "/dev/null", end->get());
  end->reset();
  gang.loop.watch_child(pid, [&](int) {
    --gang.running_servers;
    gang.check_for_end();
  });
  node.link->setup(setup);
  gang.over_when([&] { return !node.ends.empty(); });
  EXPECT_EQ(node.ends, (std::vector<std::string>{"PMIx server: ranks \"3-1\""}));
}

TEST(PmixServer, EndsWithItsShepherd) {
  Gang gang;
  gang.over_when([&] { return gang.nodes[0]->ready.has_value(); });
  for (const auto& node : gang.nodes) node->link->close();
  gang.over_when([&] { return gang.running_servers == 0; });
  EXPECT_EQ(gang.nodes[0]->server_status, 0);
  EXPECT_EQ(read_file(gang.directory / "server.err"), "");
}

TEST(PmixServer, SignalsToTheJobAreNotForIt) {
  Gang gang;
  gang.over_when([&] { return gang.nodes[0]->ready.has_value(); });
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    ::kill(gang.nodes[0]->server_pid, number);
  }
  gang.run({kRing});
  expect_the_ring_is_right(gang);
}

// The port of the server in a rank's environment: "PMIX_SERVER_URI41=...;tcp4://127.0.0.1:PORT".
std::uint16_t port_of(const wire::RankEnv& rank) {
  for (const std::string& entry : rank.env()) {
    const std::size_t at = entry.rfind("tcp4://127.0.0.1:");
    if (at == std::string::npos) continue;
    return parse_integer<std::uint16_t>(std::string_view(entry).substr(at + 17)).value_or(0);
  }
  return 0;
}

void send_noise(std::uint16_t port, Rng& rng, bool with_header) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::string bytes;
  for (std::int64_t i = rng.between(1, 2000); i > 0; --i) {
    bytes.push_back(static_cast<char>(rng.between(0, 255)));
  }
  // The library's header is {int32 rank, uint32 tag, size_t bytes}, all in network order.
  if (with_header && bytes.size() > 16) {
    for (std::size_t i = 0; i < 14; ++i) bytes[i] = '\0';
  }
  (void)::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

TEST(PmixServer, NoiseOnItsPortDoesNotDisturbTheRanks) {
  Gang gang;
  gang.over_when([&] { return gang.nodes[0]->ready && gang.nodes[1]->ready; });
  const std::uint16_t port = port_of(gang.nodes[0]->ready->ranks(0));
  ASSERT_NE(port, 0);
  Rng rng(7);
  for (int i = 0; i < 50; ++i) send_noise(port, rng, i % 2 == 0);
  gang.run({kRing});
  EXPECT_EQ(gang.running_servers, 2);
  for (std::uint32_t rank = 0; rank < 4; ++rank) EXPECT_EQ(gang.rank_status.at(rank), 0);
}

TEST(PmixServer, RanksDoNotWaitForALostNode) {
  Gang gang;
  gang.lost_node = 1;
  gang.run({kRing});
  EXPECT_EQ(gang.rank_status.size(), 2u);  // those of the other node
  for (const auto& [rank, status] : gang.rank_status) EXPECT_NE(status, 0);
}

}  // namespace
}  // namespace gangway::executor
