// Cells, and what a job's output becomes before it is put into them.
#include "submit/monitor/canvas.hpp"

#include <gtest/gtest.h>

#include "submit/monitor/output_text.hpp"

namespace gangway::monitor {
namespace {

TEST(Canvas, WhatDoesNotFitIsCut) {
  Canvas canvas({.rows = 2, .columns = 6});
  EXPECT_EQ(canvas.put(0, 2, "simulation"), 6);
  EXPECT_EQ(canvas.text_of(0), "  simu");
  EXPECT_EQ(canvas.put(0, 0, "abc", {}, 2), 2);
  EXPECT_EQ(canvas.text_of(0), "absimu");
  canvas.put(7, 0, "outside");
  canvas.put_right(1, 6, "42");
  EXPECT_EQ(canvas.text_of(1), "    42");
}

TEST(Canvas, AWideCharacterTakesTwoCellsAndIsNotHalved) {
  Canvas canvas({.rows = 1, .columns = 3});
  EXPECT_EQ(canvas.put(0, 0, "\xe6\xb0\xb4\xe6\xb0\xb4"), 2);
  EXPECT_EQ(canvas.at(0, 1).glyph, "");
  EXPECT_EQ(canvas.at(0, 2).glyph, " ");
}

TEST(Canvas, ACombiningCharacterStaysWithItsLetter) {
  const std::vector<Glyph> glyphs = glyphs_of("e\xcc\x81x");
  ASSERT_EQ(glyphs.size(), 2U);
  EXPECT_EQ(glyphs[0].text, "e\xcc\x81");
  EXPECT_EQ(columns_of("e\xcc\x81x"), 2);
}

TEST(Canvas, ControlCharactersAndBrokenBytesDoNotReachTheTerminal) {
  Canvas canvas({.rows = 1, .columns = 20});
  canvas.put(0, 0, "a\x1b[2Jb\xff\xc3");
  EXPECT_EQ(canvas.text_of(0), "a?[2Jb??");
}

TEST(OutputText, LinesEndWhereTheJobEndedThem) {
  OutputText text;
  text.add("one\ntw");
  text.add("o\nthree");
  EXPECT_EQ(text.lines(), (std::deque<std::string>{"one", "two", "three"}));
}

TEST(OutputText, AProgressBarShowsItsLastState) {
  OutputText text;
  text.add("10 %\r50 %\r100 %\r\ndone\n");
  EXPECT_EQ(text.lines(), (std::deque<std::string>{"100 %", "done", ""}));
}

TEST(OutputText, EscapeSequencesAreDroppedAcrossPieces) {
  OutputText text;
  text.add("\x1b[1;3");
  text.add("2mgreen\x1b[0m\x1b]0;title\a!\n");
  EXPECT_EQ(text.lines().front(), "green!");
}

TEST(OutputText, KeepsNoMoreThanItsBound) {
  OutputText text;
  for (std::size_t i = 0; i < kMostLines + 10; ++i) text.add("x\n");
  EXPECT_EQ(text.lines().size(), kMostLines);
  text.add(std::string(3 * kMostOfLine, 'y'));
  EXPECT_EQ(text.lines().back().size(), kMostOfLine);
}

}  // namespace
}  // namespace gangway::monitor
