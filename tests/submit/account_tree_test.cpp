#include "submit/account_tree.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace gangway::submit {
namespace {

wire::ShareView row(const char* account, const char* user, int depth) {
  wire::ShareView view;
  view.set_account(account);
  view.set_user(user);
  view.set_depth(depth);
  view.set_shares(3);
  view.set_norm_shares(0.75);
  view.set_usage(159.98);
  view.set_norm_usage(0.25);
  view.set_effective_usage(0.5);
  if (view.user().empty()) {
    if (depth > 0) view.set_level_share(1.5);
  } else {
    view.set_factor(0.625);
    view.set_level_share(std::numeric_limits<double>::infinity());
  }
  return view;
}

std::vector<wire::ShareView> tree() {
  return {row("root", "", 0), row("root", "zoe", 1), row("a", "", 1),    row("a", "ann", 2),
          row("b", "", 1),    row("b", "bob", 2),    row("deep", "", 2), row("deep", "ann", 3)};
}
std::string names(const std::vector<wire::ShareView>& rows) {
  std::string out;
  for (const wire::ShareView& r : rows) out += r.account() + "/" + r.user() + " ";
  return out;
}

TEST(AccountTree, IsPrintedAsSsharePrintsIt) {
  EXPECT_EQ(render_shares_parsable({row("root", "", 0), row("a", "", 1), row("a", "ann", 2)}, true),
            "Account|User|RawShares|NormShares|RawUsage|NormUsage|EffectvUsage|FairShare|LevelFS\n"
            "root|||0.750000|159||0.500000||\n"
            " a||3|0.750000|159|0.250000|0.500000||1.500000\n"
            "  a|ann|3|0.750000|159|0.250000|0.500000|0.625000|inf\n");
}

TEST(AccountTree, KeepsWhatIsAboveWhatWasAskedFor) {
  EXPECT_EQ(names(select_shares(tree(), {}, {})), names(tree()));
  EXPECT_EQ(names(select_shares(tree(), {"zoe"}, {})), "root/ root/zoe ");
  EXPECT_EQ(names(select_shares(tree(), {"ann"}, {})), "root/ a/ a/ann b/ deep/ deep/ann ");
  EXPECT_EQ(names(select_shares(tree(), {}, {"a"})), "root/ a/ a/ann ");
  EXPECT_EQ(names(select_shares(tree(), {"ann"}, {"deep"})), "root/ b/ deep/ deep/ann ");
  EXPECT_EQ(names(select_shares(tree(), {"nobody"}, {})), "");
}

TEST(AccountTree, IsATableForPeopleAndJsonForPrograms) {
  const std::string table = render_shares({row("root", "", 0), row("a", "ann", 2)}, {});
  EXPECT_EQ(table.substr(0, table.find('\n')),
            "Account User RawShares NormShares RawUsage NormUsage EffectvUsage FairShare LevelFS");
  EXPECT_EQ(render_shares_json({row("a", "ann", 2)}),
            R"({"shares":[{"account":"a","user":"ann","depth":2,"shares":3,)"
            R"("norm_shares":"0.750000","usage":159,"norm_usage":"0.250000",)"
            R"("effective_usage":"0.500000","fair_share":"0.625000","level_fs":"inf"}]})"
            "\n");
}

}  // namespace
}  // namespace gangway::submit
