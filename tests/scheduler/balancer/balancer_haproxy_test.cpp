// The balancer with a real HAProxy before tiny servers, under a steady loop of requests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "queues/base/rng.hpp"
#include "queues/base/system_program.hpp"
#include "queues/base/text.hpp"
#include "queues/io/asio_loop.hpp"
#include "scheduler/balancer/balancer.hpp"
#include "tests/scheduler/balancer/tiny_servers.hpp"

namespace gangway::balancer {
namespace {

using test::ask;
using test::RequestLoop;
using test::TinyServer;
using testing::ElementsAre;

class BalancerBeforeServers : public testing::Test {
 protected:
  void SetUp() override {
    const std::string program = find_system_program("haproxy");
    if (program.empty()) GTEST_SKIP() << "no haproxy on this machine";
    char directory[] = "/tmp/gangway-balancer-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    haproxy_ = std::make_unique<Haproxy>(program, directory_);
    settings_.address = "127.0.0.1";
    settings_.ingress = test::free_port();
    port_ = test::free_port();
    begin();
  }

  void TearDown() override {
    if (!haproxy_) return;
    const auto running = haproxy_->processes();
    balancer_.reset();
    if (running) {
      ::kill(running->master, SIGTERM);
      ::waitpid(running->master, nullptr, 0);
    }
    std::filesystem::remove_all(directory_);
  }

  // Another jbalancerd on the same directory.
  void begin() {
    balancer_.reset();
    balancer_ = std::make_unique<Balancer>(
        loop_, *haproxy_, settings_,
        HaproxySettings{.user = "", .idle_socket = haproxy_->idle_socket()},
        [this](std::uint64_t version, const std::vector<std::uint64_t>& drained) {
          version_ = version;
          drained_ = drained;
          if (on_confirm_) on_confirm_();
        });
    balancer_->start();
  }

  [[nodiscard]] Route route(std::vector<Backend> backends) const {
    return {.uid = 1,
            .user = "ada",
            .endpoint = "web",
            .reach = Endpoint::Reach::LoadBalancer,
            .port_name = "",
            .port = 80,
            .listen_port = port_,
            .backends = std::move(backends),
            .rules = {}};
  }
  static Backend backend(std::uint64_t replica, const TinyServer& server, bool drain = false) {
    return {replica, "127.0.0.1", server.port(), drain};
  }

  template <typename Condition>
  void run_until(const Condition& condition, const char* what) {
    constexpr Duration kPatience = seconds(30);
    const BootTime until = loop_.now().boot + kPatience;
    std::function<void()> look = [&] {
      if (condition() || loop_.now().boot > until) return loop_.stop();
      loop_.arm(loop_.now().boot + milliseconds(2), look);
    };
    loop_.post(look);
    loop_.run();
    EXPECT_TRUE(condition()) << what;
  }
  // Gives the routes and waits until they are in force.
  void set(std::vector<Route> routes) {
    balancer_->set_routes(++given_, std::move(routes));
    run_until([&] { return version_ == given_; }, "the routes are in force");
  }

  io::AsioLoop loop_;
  std::string directory_;
  config::BalancerConfig settings_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Haproxy> haproxy_;
  std::unique_ptr<Balancer> balancer_;
  std::uint64_t given_ = 0;
  std::uint64_t version_ = 0;
  std::vector<std::uint64_t> drained_;
  std::function<void()> on_confirm_;
};

TEST_F(BalancerBeforeServers, ASteadyLoopLosesNothingWhileServersComeDrainAndGo) {
  auto a = std::make_unique<TinyServer>("a");
  TinyServer b("b");
  TinyServer c("c");
  set({route({backend(1, *a), backend(2, b)})});
  const pid_t worker = haproxy_->processes()->worker.value();
  RequestLoop loop(port_);
  run_until([&] { return loop.answers().size() == 2; }, "both answer");

  set({route({backend(1, *a), backend(2, b), backend(3, c)})});
  run_until([&] { return loop.answers().contains("c"); }, "the third answers, too");

  set({route({backend(1, *a, true), backend(2, b), backend(3, c)})});
  run_until([&] { return !drained_.empty(); }, "the first is drained");
  EXPECT_THAT(drained_, ElementsAre(1));
  a.reset();  // nobody there any more; nobody may be sent there
  set({route({backend(2, b), backend(3, c)})});
  const int before = loop.answers()["b"];
  run_until([&] { return loop.answers()["b"] > before + 20; }, "the others go on");
  EXPECT_EQ(haproxy_->processes()->worker, worker) << "all that without another process";

  // Another endpoint is another listener, and that needs another process.
  Route other = route({backend(2, b)});
  other.endpoint = "other";
  other.listen_port = test::free_port();
  for (int i = 0; i < 3; ++i) {
    set({route({backend(2, b), backend(3, c)}), other});
    EXPECT_EQ(ask(static_cast<std::uint16_t>(other.listen_port)), "b");
    set({route({backend(2, b), backend(3, c)})});
  }
  EXPECT_NE(haproxy_->processes()->worker, worker);
  const int again = loop.answers()["c"];
  run_until([&] { return loop.answers()["c"] > again + 20; }, "and go on");
  loop.stop();
  EXPECT_EQ(loop.failed(), 0);
}

TEST_F(BalancerBeforeServers, AReplicaIsDrainedWhenItsRequestIsOver) {
  TinyServer a("a");
  TinyServer b("b");
  set({route({backend(1, a)})});
  std::atomic<bool> over{false};
  std::string answer;
  std::thread slow([&] {
    answer = ask(port_, "/slow");
    over = true;
  });
  run_until([&] { return a.slow_ones() == 1; }, "the request has arrived");
  bool early = false;
  on_confirm_ = [&] { early = early || (!drained_.empty() && !over); };
  set({route({backend(1, a, true), backend(2, b)})});
  // It is drained in the old worker, too, when another listener has made a new one.
  Route other = route({backend(2, b)});
  other.endpoint = "other";
  other.listen_port = test::free_port();
  set({route({backend(1, a, true), backend(2, b)}), other});
  loop_.arm(loop_.now().boot + milliseconds(300), [&] {
    a.release();
    slow.join();
  });
  EXPECT_EQ(ask(port_), "b");
  run_until([&] { return !drained_.empty(); }, "drained at last");
  EXPECT_FALSE(early);
  EXPECT_EQ(answer, "a");
}

TEST_F(BalancerBeforeServers, DrainingEndsWhenItsTimeIsOver) {
  settings_.drain = milliseconds(200);
  begin();
  TinyServer a("a");
  set({route({backend(1, a)})});
  std::thread slow([&] { static_cast<void>(ask(port_, "/slow")); });
  run_until([&] { return a.slow_ones() == 1; }, "the request has arrived");
  set({route({backend(1, a, true)})});
  run_until([&] { return !drained_.empty(); }, "given up");
  a.release();
  slow.join();
}

TEST_F(BalancerBeforeServers, AKilledHaproxyIsReplacedWithAllItHad) {
  TinyServer a("a");
  set({route({backend(1, a)})});
  const auto before = haproxy_->processes();
  ASSERT_TRUE(before);
  ::kill(before->master, SIGKILL);
  run_until([&] { return !balancer_->serving(); }, "its end is noticed");
  run_until([&] { return balancer_->serving(); }, "another serves");
  EXPECT_NE(haproxy_->processes()->master, before->master);
  EXPECT_EQ(ask(port_), "a");
  run_until([&] { return ::kill(*before->worker, 0) != 0; }, "its worker is gone with it");
}

TEST_F(BalancerBeforeServers, OneThatRunsIsTakenOverWithoutALoss) {
  TinyServer a("a");
  set({route({backend(1, a)})});
  const pid_t master = haproxy_->processes()->master;
  RequestLoop loop(port_);
  run_until([&] { return loop.answers()["a"] > 10; }, "it answers");
  begin();
  TinyServer b("b");
  set({route({backend(1, a), backend(2, b)})});
  run_until([&] { return loop.answers()["b"] > 10; }, "the second answers, too");
  loop.stop();
  EXPECT_EQ(loop.failed(), 0);
  EXPECT_EQ(haproxy_->processes()->master, master);
}

TEST_F(BalancerBeforeServers, APortThatIsTakenCostsTheOthersNothing) {
  TinyServer a("a");
  TinyServer somebody("else");
  Route taken = route({backend(1, a)});
  taken.endpoint = "taken";
  taken.listen_port = somebody.port();
  set({taken, route({backend(1, a)})});
  EXPECT_EQ(ask(port_), "a");
  EXPECT_EQ(ask(somebody.port()), "else");
}

TEST_F(BalancerBeforeServers, RulesWithASecretAreServedByItsCertificate) {
  if (find_system_program("openssl").empty()) GTEST_SKIP() << "no openssl to make a certificate";
  settings_.certificates = directory_ + "/certificates";
  settings_.ingress_tls = test::free_port();
  begin();
  const std::string folder = settings_.certificates + "/ada";
  std::filesystem::create_directories(folder);
  const std::string make =
      cat("cd ", folder,
          " && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a.org -days 2 "
          "-keyout key -out crt 2>/dev/null && cat crt key > site.pem && echo none > broken.pem");
  ASSERT_EQ(std::system(make.c_str()), 0);
  TinyServer a("a");
  Route web = route({backend(1, a)});
  web.rules = {{"a.org", "/", false, "web", "80", "site"},
               {"b.org", "/", false, "web", "80", "broken"}};
  set({web});
  const auto fetch = [&](const std::string& host) {
    return std::system(cat("printf 'GET / HTTP/1.1\\r\\nHost: ", host,
                           "\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -quiet "
                           "-connect 127.0.0.1:",
                           settings_.ingress_tls,
                           " -servername a.org 2>/dev/null | grep -q ' 200 '")
                           .c_str());
  };
  EXPECT_EQ(fetch("a.org"), 0);
  EXPECT_NE(fetch("b.org"), 0);
}

TEST_F(BalancerBeforeServers, WhateverMakesATableIsAFileThatHaproxyTakes) {
  Rng rng(20);
  const auto below = [&](std::size_t most) {
    return static_cast<std::size_t>(rng.between(0, static_cast<std::int64_t>(most) - 1));
  };
  constexpr std::string_view kLetters = "abz09-_./*:{}()#\"'\\$%@!<>|=,;~+ \t\n";
  const auto word = [&](std::size_t most) {
    std::string text;
    for (std::size_t size = below(most + 1); text.size() < size;) {
      text += kLetters[below(kLetters.size())];
    }
    return text;
  };
  const auto one_of = [&](std::vector<std::string> known) {
    return below(3) == 0 ? word(8) : known[below(known.size())];
  };
  std::vector<Route> routes;
  for (int i = 0; i < 400; ++i) {
    Route& made = routes.emplace_back(route({{below(9) + 1, one_of({"10.0.0.1"}), 80, false}}));
    made.endpoint = one_of({cat("e", i), "web", "-m"});
    made.port_name = one_of({"http", "http-", "-"});
    made.listen_port = static_cast<std::int32_t>(10000 + i);
    for (int r = 0; r < 8; ++r) {
      made.rules.push_back({one_of({"-f", "-m", "-i", "--", "a.org", "*.b.org", "", "if", "or"}),
                            one_of({"/", "/-f", "/a", "//", "/a/"}), below(2) == 0, "e", "80", ""});
    }
  }
  const MadeTable made = make_table(routes, settings_);
  EXPECT_GT(made.table.listeners.size(), 100U);
  const auto good = haproxy_->check_config(render_haproxy(made.table, {}));
  EXPECT_TRUE(good) << good.error().message();
}

TEST_F(BalancerBeforeServers, WhatHaproxyDoesNotTakeIsSaidInItsWords) {
  const auto refused = haproxy_->check_config("global\n  nonsense\n");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("unknown keyword 'nonsense'"));
}

TEST_F(BalancerBeforeServers, AUserWhoseRoutesHaproxyRefusesCostsTheOthersNothing) {
  TinyServer a("a");
  Route breaking = route({backend(1, a)});
  breaking.uid = 2;
  breaking.user = "eve";
  breaking.endpoint = std::string(3000, 'e');  // a line that is too long
  breaking.listen_port = test::free_port();
  set({breaking, route({backend(1, a)})});
  EXPECT_EQ(ask(port_), "a");
  Route other = route({backend(1, a)});
  other.endpoint = "other";
  other.listen_port = test::free_port();
  set({breaking, route({backend(1, a)}), other});
  EXPECT_EQ(ask(static_cast<std::uint16_t>(other.listen_port)), "a");
  // Once it is mended it is served.
  breaking.endpoint = "good";
  set({breaking, route({backend(1, a)}), other});
  EXPECT_EQ(ask(static_cast<std::uint16_t>(breaking.listen_port)), "a");
}

TEST_F(BalancerBeforeServers, AHaproxyThatAnswersLateIsNotDoubled) {
  TinyServer a("a");
  set({route({backend(1, a)})});
  const auto before = haproxy_->processes();
  ASSERT_TRUE(before);
  ::kill(before->master, SIGSTOP);
  begin();
  EXPECT_FALSE(balancer_->serving());
  ::kill(before->master, SIGCONT);
  run_until([&] { return balancer_->serving(); }, "it is taken over");
  EXPECT_EQ(haproxy_->processes()->master, before->master);
  set({route({backend(1, a)})});
  EXPECT_EQ(ask(port_), "a");
}

TEST_F(BalancerBeforeServers, OneThatNeverAnswersIsEndedBeforeAnotherBegins) {
  TinyServer a("a");
  set({route({backend(1, a)})});
  const pid_t master = haproxy_->processes()->master;
  ::kill(master, SIGSTOP);
  haproxy_->end_master();
  ::waitpid(master, nullptr, 0);
  begin();
  run_until([&] { return balancer_->serving(); }, "another serves");
  EXPECT_NE(haproxy_->processes()->master, master);
}

TEST_F(BalancerBeforeServers, OfTablesThatCameTogetherOnlyTheNewestIsApplied) {
  TinyServer a("a");
  std::vector<std::uint64_t> in_force;
  on_confirm_ = [&] { in_force.push_back(version_); };
  for (int i = 0; i < 3; ++i) {
    Route other = route({backend(1, a)});
    other.endpoint = cat("other", i);
    other.listen_port = test::free_port();
    balancer_->set_routes(++given_, {other});
  }
  set({route({backend(1, a)})});
  EXPECT_THAT(in_force, ElementsAre(given_));
}

TEST_F(BalancerBeforeServers, WithoutAnythingToServeItRunsOnAndServesAgain) {
  set({});
  EXPECT_FALSE(haproxy_->processes()) << "nothing to serve, nothing started";
  TinyServer a("a");
  set({route({backend(1, a)})});
  const pid_t master = haproxy_->processes()->master;
  set({});
  EXPECT_EQ(ask(port_), "");
  set({route({backend(1, a)})});
  EXPECT_EQ(ask(port_), "a");
  EXPECT_EQ(haproxy_->processes()->master, master);
}

TEST_F(BalancerBeforeServers, RulesLeadByHostAndPath) {
  TinyServer a("a");
  TinyServer b("b");
  Route api = route({backend(1, a)});
  api.rules = {{"a.org", "/api", false, "web", "80", ""}};
  Route web = route({backend(2, b)});
  web.endpoint = "rest";
  web.listen_port = test::free_port();
  web.rules = {{"*.org", "/", false, "rest", "80", ""}};
  set({api, web});
  const auto port = static_cast<std::uint16_t>(settings_.ingress);
  EXPECT_EQ(ask(port, "/api/x", "a.org"), "a");
  EXPECT_EQ(ask(port, "/apis", "A.org:80"), "b");
  EXPECT_EQ(ask(port, "/", "b.org"), "b");
  EXPECT_EQ(ask(port, "/", "a.net"), "");
}

}  // namespace
}  // namespace gangway::balancer
