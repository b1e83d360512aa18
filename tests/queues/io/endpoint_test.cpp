// Texts of endpoints, and what is found at a unix socket's path.
#include "queues/io/endpoint.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "queues/base/check.hpp"
#include "queues/io/resolve.hpp"

namespace gangway::io {
namespace {

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/gangway_endpoint_XXXXXX";
    CHECK(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST(Endpoint, IsWrittenAsItIsRead) {
  for (const char* text : {"/run/x.sock", "10.0.0.1:6810", "0.0.0.0:0", "[fe80::1]:6810"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint.has_value()) << text;
    EXPECT_EQ(to_string(*endpoint), text);
  }
}

TEST(Endpoint, RefusesWhatIsNeitherPathNorAddress) {
  for (const char* text : {"", "x.sock", "host:1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", ":1",
                           "1.2.3:1", "::1:6810", "1.2.3.4:-1"}) {
    EXPECT_FALSE(parse_endpoint(text).has_value()) << text;
  }
}

TEST(Endpoint, SocketFileHasItsModeWhateverTheUmask) {
  const Directory directory;
  const std::string path = directory / "made/for/it/s.sock";
  const mode_t before = ::umask(077);
  const auto listener = open_listener(*parse_endpoint(path), 0666, 4);
  ::umask(before);
  ASSERT_TRUE(listener.has_value()) << listener.error().message();
  struct stat there {};
  ASSERT_EQ(::stat(path.c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 07777, 0666u);
}

TEST(Endpoint, StaleSocketFileIsReplaced) {
  const Directory directory;
  const Endpoint endpoint = *parse_endpoint(directory / "s.sock");
  { ASSERT_TRUE(open_listener(endpoint, 0600, 4).has_value()); }  // its file stays
  ASSERT_TRUE(std::filesystem::exists(endpoint.path));
  EXPECT_TRUE(open_listener(endpoint, 0600, 4).has_value());
}

TEST(Endpoint, SocketThatSomebodyListensOnIsLeftAlone) {
  const Directory directory;
  const Endpoint endpoint = *parse_endpoint(directory / "s.sock");
  const auto first = open_listener(endpoint, 0600, 4);
  ASSERT_TRUE(first.has_value());
  const auto second = open_listener(endpoint, 0600, 4);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), ErrorKind::Conflict);
  EXPECT_TRUE(begin_connect(endpoint).has_value());
}

TEST(Endpoint, FileThatIsNoSocketIsLeftAlone) {
  const Directory directory;
  const std::string path = directory / "precious";
  std::ofstream(path) << "text";
  EXPECT_EQ(open_listener(*parse_endpoint(path), 0600, 4).error().kind(), ErrorKind::Conflict);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(Endpoint, PathMayBeLongerThanASocketAddress) {
  const Directory directory;
  const Endpoint endpoint = *parse_endpoint(directory / (std::string(150, 'd') + "/s.sock"));
  const auto listener = open_listener(endpoint, 0600, 4);
  ASSERT_TRUE(listener.has_value()) << listener.error().message();
  EXPECT_TRUE(begin_connect(endpoint).has_value());
}

TEST(Endpoint, TcpPortInUseIsAConflict) {
  const auto first = open_listener(*parse_endpoint("127.0.0.1:0"), 0, 4);
  ASSERT_TRUE(first.has_value());
  const auto port = port_of(first->get());
  ASSERT_TRUE(port.has_value());
  EXPECT_GT(*port, 0);
  const auto second = open_listener({.path = {}, .address = "127.0.0.1", .port = *port}, 0, 4);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().kind(), ErrorKind::Conflict);
}

TEST(Endpoint, NobodyListeningIsUnavailableAndNoFileIsNotFound) {
  const Directory directory;
  const auto absent = begin_connect(*parse_endpoint(directory / "none.sock"));
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().kind(), ErrorKind::NotFound);
}

TEST(ResolveEndpoint, NumbersAndPathsAreGivenBackAndNonsenseIsRefused) {
  EXPECT_EQ(*resolve_endpoint("10.0.0.1:6810"), "10.0.0.1:6810");
  EXPECT_EQ(*resolve_endpoint("/run/x.sock"), "/run/x.sock");
  EXPECT_EQ(resolve_endpoint("host").error().kind(), ErrorKind::Invalid);
  EXPECT_EQ(resolve_endpoint("host:port").error().kind(), ErrorKind::Invalid);
}

TEST(ResolveEndpoint, NameIsLookedUp) {
  const auto local = resolve_endpoint("localhost:6810");
  if (!local) GTEST_SKIP() << local.error().message();
  EXPECT_TRUE(parse_endpoint(*local).has_value()) << *local;
}

}  // namespace
}  // namespace gangway::io
