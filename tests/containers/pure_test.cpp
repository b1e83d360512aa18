// The small pure parts: messages, accounts, names of programs, waivers, id maps, image reports.
#include <gtest/gtest.h>

#include "containers/accounts.hpp"
#include "containers/image_fetch.hpp"
#include "containers/image_report.hpp"
#include "containers/init_protocol.hpp"
#include "containers/namespaces.hpp"
#include "containers/program_batch.hpp"
#include "containers/program_exec.hpp"
#include "queues/base/rng.hpp"
#include "queues/base/text.hpp"
#include "queues/base/waiver.hpp"

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
  const std::vector<InitReport> reports = {containers::SetUp{{"a: b", ""}, true},
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

ProgramRequest program_with(std::uint32_t id, const std::string& out, bool truncate = false) {
  ProgramRequest program;
  program.id = id;
  program.out = {.path = out, .truncate = truncate};
  return program;
}

TEST(ProgramBatches, EveryPathIsOpenedOnce) {
  std::vector<ProgramRequest> programs{program_with(1, "/o"), program_with(2, "/o", true),
                                       program_with(3, "/p")};
  programs[0].stdin_path = "/o";
  programs[2].err = ProgramOutput{"/o", false};
  EXPECT_EQ(files_of(programs), (std::vector<UserFile>{{"/o", UserFile::Mode::Read},
                                                       {"/o", UserFile::Mode::Truncate},
                                                       {"/p", UserFile::Mode::Append}}));
}

TEST(ProgramBatches, ProgramsThatShareAnOutputShareItsDescriptor) {
  std::vector<ProgramRequest> programs{program_with(1, "/o"), program_with(2, "/o")};
  programs[1].err = ProgramOutput{"/e", false};
  const auto batches = make_batches(programs, files_of(programs), {70, 80});
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].fds, (std::vector<int>{70, 80}));
  EXPECT_EQ(batches[0].programs[0].out, 0);
  EXPECT_EQ(batches[0].programs[0].err, 0);
  EXPECT_EQ(batches[0].programs[1].err, 1);
  EXPECT_EQ(batches[0].programs[1].in, -1);
}

TEST(ProgramBatches, NoneIsLargerThanAPacketAndHostProgramsAreApart) {
  std::vector<ProgramRequest> programs;
  std::vector<int> opened;
  for (std::uint32_t i = 0; i < 300; ++i) {
    programs.push_back(program_with(i, cat("/o", i)));
    programs.back().host_files = i == 7;
    opened.push_back(1000 + static_cast<int>(i));
  }
  programs[7].inherit_fd = 5;
  const auto batches = make_batches(programs, files_of(programs), opened);
  std::size_t count = 0;
  for (const ProgramBatch& batch : batches) {
    count += batch.programs.size();
    EXPECT_LT(batch.fds.size(), kMaxPacketFds);
    for (const ProgramOrder& order : batch.programs) {
      EXPECT_EQ(batch.host_files, order.id == 7);
      EXPECT_EQ(batch.fds[static_cast<std::size_t>(order.out)], 1000 + static_cast<int>(order.id));
    }
  }
  EXPECT_EQ(count, 300U);
  EXPECT_EQ(batches.back().fds[static_cast<std::size_t>(batches.back().programs[0].inherit)], 5);
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
