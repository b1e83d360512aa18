// The small pure parts: messages, accounts, names of programs, waivers, id maps, image reports.
#include <gtest/gtest.h>

#include "containers/accounts.hpp"
#include "containers/image_fetch.hpp"
#include "containers/image_report.hpp"
#include "containers/init_protocol.hpp"
#include "containers/namespaces.hpp"
#include "containers/program_exec.hpp"
#include "containers/waiver.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"

namespace gangway::containers {
namespace {

TEST(InitProtocol, EveryMessageComesBackAsItWasSent) {
  const std::vector<ProgramOrder> programs = {
      {.id = 7,
       .argv = {"/bin/sh", "-c", "echo \"a\nb\""},
       .env = {"A=1", "B="},
       .workdir = "/w",
       .cores = {0, 3},
       .umask = 027,
       .in = -1,
       .out = 2,
       .err = 3,
       .inherit = 4},
      {.id = 8, .argv = {}, .env = {}, .workdir = "", .cores = {}}};
  const auto decoded = decode_programs(encode_programs(programs));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, programs);
  for (const SignalOrder& order : {SignalOrder{15, 3}, SignalOrder{9, std::nullopt}}) {
    const auto signal = decode_order(encode_order(order));
    ASSERT_TRUE(signal);
    EXPECT_EQ(std::get<SignalOrder>(*signal), order);
  }
  const std::vector<InitReport> reports = {containers::SetUp{{"a: b", ""}},
                                           SetUpFailed{Error(ErrorKind::Denied, "no")},
                                           ProgramOver{.id = 1,
                                                       .started = false,
                                                       .wait_status = 0x7f00,
                                                       .message = "why",
                                                       .cpu = seconds(3),
                                                       .peak_memory = mebibytes(7)}};
  for (const InitReport& report : reports) {
    const auto back = decode_report(encode_report(report));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, report);
  }
}

TEST(InitProtocol, OtherBytesAreRefusedAndNeverReadBeyond) {
  Rng rng(11);
  const std::string good = encode_programs({{.id = 1, .argv = {"a"}, .env = {"b"}}});
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = good.substr(0, static_cast<std::size_t>(rng.between(0, 90)));
    for (char& c : bytes) {
      if (rng.chance(100)) c = static_cast<char>(rng.next());
    }
    [[maybe_unused]] const auto programs = decode_programs(bytes);
    [[maybe_unused]] const auto order = decode_order(bytes);
    [[maybe_unused]] const auto report = decode_report(bytes);
  }
  EXPECT_FALSE(decode_programs(good + "x"));
  EXPECT_FALSE(decode_order(""));
}

const UserIdentity kAlice{.uid = 1000,
                          .gid = 100,
                          .groups = {},
                          .name = "alice",
                          .home = "/home/alice",
                          .shell = "/bin/bash"};

TEST(Accounts, UserComesFirstAndReplacesOthersOfHerNameOrNumber) {
  EXPECT_EQ(merge_passwd("root:x:0:0:root:/root:/bin/sh\n"
                         "alice:x:5:5::/:/bin/false\n"
                         "bob:x:1000:1000::/home/bob:/bin/sh\n"
                         "daemon:x:1:1::/:/bin/false",
                         kAlice),
            "alice:x:1000:100::/home/alice:/bin/bash\n"
            "root:x:0:0:root:/root:/bin/sh\n"
            "daemon:x:1:1::/:/bin/false\n");
}

TEST(Accounts, LinesThatAreNoEntriesAreDropped) {
  EXPECT_EQ(merge_passwd("junk\n:x:1:1:::\nesc\x1b:x:2:2::/:/bin/sh\n\n", kAlice),
            "alice:x:1000:100::/home/alice:/bin/bash\n");
}

TEST(Accounts, HostileNamesDoNotEndAField) {
  UserIdentity odd = kAlice;
  odd.name = "a:0:0\nroot";
  EXPECT_EQ(merge_passwd("", odd), "a00root:x:1000:100::/home/alice:/bin/bash\n");
}

TEST(Accounts, PrimaryGroupIsKeptOrAdded) {
  EXPECT_EQ(merge_group("users:x:100:bob\n", kAlice), "users:x:100:bob\n");
  EXPECT_EQ(merge_group("alice:x:7:\n", kAlice), "alice:x:7:\nalice-group:x:100:\n");
  EXPECT_EQ(merge_group("", kAlice), "alice:x:100:\n");
}

TEST(ProgramNames, AreLookedUpInThePathOfTheEnvironment) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(program_candidates("/bin/x", {"PATH=/a"}), Names{"/bin/x"});
  EXPECT_EQ(program_candidates("./x", {}), Names{"./x"});
  EXPECT_EQ(program_candidates("x", {"PATH=/a:/b::"}), (Names{"/a/x", "/b/x", "x", "x"}));
  EXPECT_EQ(program_candidates("x", {}).size(), 6U);
}

TEST(Waivers, NamesComeBack) {
  for (const Waiver waiver : all_waivers()) EXPECT_EQ(parse_waiver(to_string(waiver)), waiver);
  EXPECT_EQ(parse_waiver("everything"), std::nullopt);
}

TEST(IdMaps, OnlyThePrivilegedMapMoreThanTheirOwn) {
  const IdMaps own = identity_maps(1000, 100, {100, 27}, false);
  EXPECT_EQ(render_id_map(own.gids), "100 100 1\n");
  EXPECT_TRUE(own.deny_setgroups);
  const IdMaps all = identity_maps(1000, 100, {100, 27}, true);
  EXPECT_EQ(render_id_map(all.uids), "1000 1000 1\n");
  EXPECT_EQ(render_id_map(all.gids), "100 100 1\n27 27 1\n");
  EXPECT_FALSE(all.deny_setgroups);
  std::vector<gid_t> many(1000);
  for (gid_t i = 0; i < 1000; ++i) many[i] = 5000 + i;
  EXPECT_EQ(identity_maps(1, 1, many, true).gids.size(), 340U);
}

TEST(ImageReports, ComeBackAsTheyWere) {
  const ImageReport report{.tree = "/store/t\\x",
                           .owner_uid = 65534,
                           .owner_gid = 7,
                           .env = {"A=b\nc", "B=\\n", "C="},
                           .entrypoint = {"/bin/sh", ""},
                           .cmd = {"x y"},
                           .workdir = "/w",
                           .user = "0:0"};
  const auto back = parse_image_report(render_image_report(report));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, report);
}

TEST(ImageReports, IncompleteOnesAreNone) {
  const std::string whole =
      render_image_report({.tree = "/t", .owner_uid = 1, .owner_gid = 1, .env = {"A=1"}});
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    EXPECT_FALSE(parse_image_report(whole.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_image_report("tree relative\nowner 1 1\ndone\n"));
  EXPECT_FALSE(parse_image_report("tree /t\nowner x\ndone\n"));
  EXPECT_FALSE(parse_image_report("what\ntree /t\nowner 1 1\ndone\n"));
}

TEST(ImageReports, ExitCodesTellWhetherToTryAgain) {
  EXPECT_EQ(image_error_kind(image_exit_code(ErrorKind::NotFound)), ErrorKind::NotFound);
  EXPECT_EQ(image_error_kind(image_exit_code(ErrorKind::Denied)), ErrorKind::Denied);
  EXPECT_EQ(image_error_kind(image_exit_code(ErrorKind::Exhausted)), ErrorKind::Exhausted);
  EXPECT_EQ(image_error_kind(image_exit_code(ErrorKind::Corrupt)), ErrorKind::Invalid);
}

TEST(ImageHelper, CommandLineNamesUserAndSource) {
  const std::vector<std::string> argv =
      image_helper_argv({.helper = "/lib/jimage-unpack",
                         .store = "/s",
                         .source = {ImageSourceKind::DockerArchive, "/i.tar", "sha256:x"},
                         .user = {1000, 100, {100, 27}},
                         .readable_by_all = true});
  EXPECT_EQ(join(argv, " "),
            "/lib/jimage-unpack ensure --store /s --kind docker-archive --path /i.tar --digest "
            "sha256:x --uid 1000 --gid 100 --groups 100,27 --readable-by-all");
}

}  // namespace
}  // namespace gangway::containers
