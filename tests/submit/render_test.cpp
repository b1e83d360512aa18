#include "submit/render.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace gangway::submit {
namespace {

Table jobs() {
  Table table({{"ID", Align::Right}, {"NAME", Align::Left, true}, {"ST"}});
  table.add({{"7"}, {"a-rather-long-name"}, {"R", Colour::Busy}});
  table.add({{"42"}, {"b"}, {"PD"}});
  return table;
}

TEST(Table, IsAsWideAsItsContents) {
  EXPECT_EQ(jobs().render({}),
            "ID NAME               ST\n"
            " 7 a-rather-long-name R\n"
            "42 b                  PD\n");
}

TEST(Table, CutsColumnsThatMayShrinkOnANarrowTerminal) {
  EXPECT_EQ(jobs().render({.columns = 14, .header = false}),
            " 7 a-rathe+ R\n"
            "42 b        PD\n");
}

TEST(Table, KeepsSomethingOfEachColumnHoweverNarrow) {
  EXPECT_EQ(jobs().render({.columns = 3, .header = false}),
            " 7 a-rat+ R\n"
            "42 b      PD\n");
}

TEST(Table, WideTerminalChangesNothing) {
  EXPECT_EQ(jobs().render({.columns = 200}), jobs().render({}));
}

TEST(Table, ColoursDoNotCountAsWidth) {
  EXPECT_EQ(jobs().render({.columns = 0, .header = false, .colours = true}),
            " 7 a-rather-long-name \033[36mR\033[0m\n"
            "42 b                  PD\n");
}

TEST(Table, CountsLettersNotBytes) {
  Table table({{"NAME", Align::Left, true}, {"X"}});
  table.add({{"größe"}, {"1"}});
  table.add({{"abcde"}, {"2"}});
  EXPECT_EQ(table.render({.columns = 0, .header = false}), "größe 1\nabcde 2\n");
  EXPECT_EQ(display_width("größe"), 5U);
}

TEST(Table, ControlCharactersDoNotReachTheTerminal) {
  Table table({{"NAME"}});
  table.add({{"a\033[2Jb\n"}});
  EXPECT_EQ(table.render({.columns = 0, .header = false}), "a?[2Jb?\n");
}

TEST(Printable, NoControlCharacterOfEitherSetIsLeft) {
  EXPECT_EQ(printable("a\033]0;b\ac\x7f"), "a?]0;b?c?");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J \xc3\xa4\xc2\xa0"),
            "?2J \xc3\xa4\xc2\xa0");
  EXPECT_EQ(printable("a\n\tb\r", "\n\t"), "a\n\tb?");
}

TEST(Json, HasCommasAndNesting) {
  JsonWriter json;
  json.begin_object().key("jobs").begin_array();
  json.begin_object().field("id", std::int64_t{42}).field("held", false).end_object();
  json.begin_object().key("end").null().end_object();
  json.end_array().field("n", std::int64_t{-1}).end_object();
  EXPECT_EQ(json.take(), R"({"jobs":[{"id":42,"held":false},{"end":null}],"n":-1})");
}

TEST(Json, EscapesWhatMustBe) {
  JsonWriter json;
  json.value(
      "a\"b\\c\nd\x01"
      "e");
  EXPECT_EQ(json.take(), "\"a\\\"b\\\\c\\nd\\u0001e\"");
}

TEST(Json, IsValidWhateverTheBytesAre) {
  std::string bytes;
  for (int i = 1; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  bytes += "größe \xf0\x9f\x9a\x80 \xed\xa0\x80 \xc0\xaf \xf8";
  JsonWriter json;
  json.value(bytes);
  const std::string text = json.take();
  const auto parsed = nlohmann::json::parse(text);
  EXPECT_NE(parsed.get<std::string>().find("größe \xf0\x9f\x9a\x80"), std::string::npos);
}

}  // namespace
}  // namespace gangway::submit
