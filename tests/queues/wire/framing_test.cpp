#include "queues/wire/framing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queues/base/rng.hpp"

namespace gangway::wire {
namespace {

using testing::HasSubstr;

const Frame kFrame{.type = FrameType::Request, .stream = 0x01020304, .payload = "abc"};

Result<std::optional<Frame>> read(std::string_view bytes, std::size_t max = kMaxPayloadBytes) {
  FrameReader reader(max);
  reader.feed(bytes);
  return reader.next();
}

TEST(Framing, HeaderIsTwelveBytesInNetworkOrder) {
  const std::string expected("\0\0\0\3\0\x10\0\0\1\2\3\4abc", 15);
  EXPECT_EQ(encode(kFrame), expected);
  EXPECT_EQ(read(expected).value(), kFrame);
}

TEST(Framing, NothingComesBeforeTheLastByte) {
  const std::string bytes = encode(kFrame);
  FrameReader reader;
  for (std::size_t i = 0; i + 1 < bytes.size(); ++i) {
    reader.feed(bytes.substr(i, 1));
    ASSERT_EQ(reader.next().value(), std::nullopt);
  }
  reader.feed(bytes.substr(bytes.size() - 1));
  EXPECT_EQ(reader.next().value(), kFrame);
  EXPECT_EQ(reader.next().value(), std::nullopt);
}

TEST(Framing, AnySplitGivesTheSameFrames) {
  Rng rng(8);
  std::string bytes;
  std::vector<Frame> sent;
  for (int i = 0; i < 200; ++i) {
    sent.push_back({.type = i % 2 == 0 ? FrameType::Ping : FrameType::Peer,
                    .stream = static_cast<std::uint32_t>(rng.next()),
                    .payload = std::string(static_cast<std::size_t>(rng.between(0, 300)), 'x')});
    encode_to(sent.back(), bytes);
  }
  for (int round = 0; round < 50; ++round) {
    FrameReader reader;
    std::vector<Frame> received;
    for (std::size_t at = 0; at < bytes.size();) {
      const auto size = static_cast<std::size_t>(rng.between(0, 500));
      reader.feed(std::string_view(bytes).substr(at, size));
      at += size;
      // Sometimes several reads come before anybody looks.
      if (rng.chance(300) && at < bytes.size()) continue;
      while (auto frame = reader.next().value()) received.push_back(*std::move(frame));
    }
    ASSERT_EQ(received, sent);
  }
}

TEST(Framing, TooLongFrameIsRefusedByItsHeaderAlone) {
  const std::string header("\1\0\0\1\0\x10\0\0\0\0\0\0", 12);
  const auto next = read(header);
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().kind(), ErrorKind::Corrupt);
  EXPECT_THAT(next.error().message(), HasSubstr("16777217"));
  EXPECT_FALSE(read(encode(kFrame), 2));
  EXPECT_TRUE(read(encode(kFrame), 3));
}

TEST(Framing, UnknownTypeOrFlagBreaksTheStreamForGood) {
  for (const std::size_t place : {4U, 5U, 6U, 7U}) {
    std::string bytes = encode(kFrame);
    bytes[place] = '\x7f';
    FrameReader reader;
    reader.feed(bytes);
    EXPECT_FALSE(reader.next());
    reader.feed(encode(kFrame));
    EXPECT_EQ(reader.next().error().kind(), ErrorKind::Corrupt);
  }
}

TEST(FramingDeathTest, PayloadAboveTheBoundIsTheSendersBug) {
  EXPECT_DEATH(static_cast<void>(encode({.payload = std::string(kMaxPayloadBytes + 1, 'x')})),
               "CHECK failed");
}

}  // namespace
}  // namespace gangway::wire
