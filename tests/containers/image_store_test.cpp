// The store's housekeeping: what stays while it is used, what goes for whom, what verify sees.
#include "containers/image_store.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "containers/image_ensure.hpp"
#include "containers/image_gc.hpp"
#include "containers/tree_listing.hpp"
#include "queues/base/process.hpp"
#include "queues/base/small_file.hpp"
#include "queues/base/text.hpp"
#include "tests/containers/image_builder.hpp"
#include "tests/containers/temporary_directory.hpp"

namespace gangway::containers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Store : public testing::Test {
 protected:
  Store() : store_(*ImageStore::open(place_ / "store")) { chmod(place_.path().c_str(), 0755); }

  // An image with one file of `bytes` bytes.
  [[nodiscard]] ImageKey add(const std::string& name, std::size_t bytes, bool durable = true) {
    const std::string path = place_ / name;
    const ImageTexts image =
        make_image({plain_layer({dir("etc/"), file(cat("etc/", name), std::string(bytes, 'x'))})});
    ImageKey key{write_oci_layout(path, image), false};
    const Result<ImageReport> report = ensure_image(store_, {.kind = ImageSourceKind::OciLayout,
                                                             .path = path,
                                                             .digest = key.digest,
                                                             .user = {geteuid(), getegid(), {}}});
    EXPECT_TRUE(report) << report.error().message();
    if (durable) {
      EXPECT_TRUE(store_.make_durable(key));
    }
    return key;
  }
  void last_used(const ImageKey& key, Duration ago) {
    const Time then = SystemClock().now().wall - ago;
    const timespec at{then.ns / 1'000'000'000, then.ns % 1'000'000'000};
    const timespec times[2] = {at, at};
    EXPECT_EQ(utimensat(AT_FDCWD, (tree(key) + "/pin").c_str(), times, 0), 0);
  }
  [[nodiscard]] std::string tree(const ImageKey& key) const {
    return place_ / cat("store/trees/sha256/", key.name());
  }
  [[nodiscard]] std::vector<ImageKey> keys() const {
    std::vector<ImageKey> keys;
    for (const StoredImage& image : store_.list()) keys.push_back(image.key);
    return keys;
  }
  [[nodiscard]] GcResult collect(const GcPolicy& policy) const {
    Result<GcResult> result = collect_garbage(store_, policy, SystemClock().now().wall);
    EXPECT_TRUE(result) << result.error().message();
    return result ? *std::move(result) : GcResult{};
  }

  TemporaryDirectory place_{geteuid(), fast_directory()};
  ImageStore store_;
};

TEST_F(Store, APinnedImageStaysUntilThePinIsGone) {
  const ImageKey key = add("a", 100);
  Result<Fd> pin = store_.pin(key);
  ASSERT_TRUE(pin) << pin.error().message();
  EXPECT_TRUE(store_.list().front().in_use);
  EXPECT_EQ(store_.remove(key).error().kind(), ErrorKind::Conflict);
  EXPECT_THAT(collect({.unused_for = Duration{}, .quota = Bytes{0}}).removed, IsEmpty());
  EXPECT_TRUE(store_.find(key));
  *pin = Fd();
  EXPECT_FALSE(store_.list().front().in_use);
  EXPECT_TRUE(store_.remove(key));
  EXPECT_FALSE(store_.find(key));
}

TEST_F(Store, AnImageThatIsGoneCannotBePinned) {
  const ImageKey key = add("a", 100);
  ASSERT_TRUE(store_.remove(key));
  EXPECT_EQ(store_.pin(key).error().kind(), ErrorKind::NotFound);
}

TEST_F(Store, APinIsAUseAndALookIsNone) {
  const ImageKey key = add("a", 100);
  last_used(key, hours(48));
  const Time before = store_.list().front().last_used;
  ASSERT_TRUE(store_.verify(key));
  EXPECT_EQ(store_.list().front().last_used, before);
  ASSERT_TRUE(store_.pin(key));
  EXPECT_GT(store_.list().front().last_used, before + hours(47));
}

TEST_F(Store, ImagesThatNobodyUsedForLongGo) {
  const ImageKey old = add("old", 100);
  const ImageKey young = add("young", 100);
  last_used(old, hours(50));
  last_used(young, hours(40));
  EXPECT_THAT(collect({.unused_for = hours(45), .quota = {}}).removed, SizeIs(1));
  EXPECT_THAT(keys(), ElementsAre(young));
}

TEST_F(Store, OverTheQuotaTheOneUsedLongestAgoGoesFirst) {
  const ImageKey a = add("a", 3000);
  const ImageKey b = add("b", 2000);
  const ImageKey c = add("c", 1000);
  last_used(a, hours(1));
  last_used(b, hours(3));
  last_used(c, hours(2));
  EXPECT_THAT(collect({.unused_for = {}, .quota = Bytes{4000}}).removed, SizeIs(1));
  EXPECT_FALSE(store_.find(b));
  // What is used counts, but stays.
  const Result<Fd> pin = store_.pin(c);
  EXPECT_THAT(collect({.unused_for = {}, .quota = Bytes{1000}}).removed, SizeIs(1));
  EXPECT_THAT(keys(), ElementsAre(c));
}

TEST_F(Store, VerifyNamesWhatIsNotAsUnpacked) {
  const ImageKey key = add("a", 100);
  Result<ImageCheck> check = store_.verify(key);
  ASSERT_TRUE(check) << check.error().message();
  EXPECT_TRUE(check->recorded);
  EXPECT_THAT(check->differences, IsEmpty());

  const std::string etc = tree(key) + "/rootfs/etc";
  write_file(etc + "/a", std::string(100, 'y'));
  write_file(etc + "/new", "");
  check = store_.verify(key);
  ASSERT_TRUE(check);
  EXPECT_THAT(check->differences, ElementsAre("etc/a has other contents", "etc/new was not there"));
  unlink((etc + "/a").c_str());
  ASSERT_EQ(symlink("/etc/passwd", (etc + "/a").c_str()), 0);
  unlink((etc + "/new").c_str());
  EXPECT_THAT(store_.verify(key)->differences, ElementsAre("etc/a is of another kind"));
  unlink((etc + "/a").c_str());
  chmod(etc.c_str(), 0700);
  EXPECT_THAT(store_.verify(key)->differences,
              ElementsAre("etc has another mode", "etc/a is missing"));
}

TEST_F(Store, VerifySaysWhenThereIsNoRecordYet) {
  const ImageKey key = add("a", 100, /*durable=*/false);
  const Result<ImageCheck> check = store_.verify(key);
  ASSERT_TRUE(check) << check.error().message();
  EXPECT_FALSE(check->recorded);
}

TEST_F(Store, GarbageIsWhatKilledUnpacksAndPowerFailuresLeft) {
  const ImageKey whole = add("a", 100);
  const ImageKey lost = add("b", 100, /*durable=*/false);
  write_file(tree(lost) + "/boot", "another boot");
  ASSERT_EQ(mkdir((place_ / cat("store/tmp/", lost.name(), ".0123456789abcdef")).c_str(), 0700), 0);
  EXPECT_EQ(collect({}).leftovers, 2);
  EXPECT_THAT(keys(), ElementsAre(whole));
  EXPECT_FALSE(std::filesystem::exists(tree(lost)));
  EXPECT_TRUE(std::filesystem::is_empty(place_ / "store/tmp"));
}

TEST(TreeListing, NamesAndTargetsMayHoldAnything) {
  const TemporaryDirectory place(geteuid(), fast_directory());
  write_file(place / "a b\nc\\d", "text");
  ASSERT_EQ(symlink("x y", (place / "link").c_str()), 0);
  ASSERT_EQ(mkfifo((place / "fifo").c_str(), 0600), 0);
  const Fd root(open(place.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Result<std::string> listing = list_tree(root.get());
  ASSERT_TRUE(listing) << listing.error().message();
  EXPECT_THAT(*listing, HasSubstr(" a\\040b\\012c\\134d\n"));
  EXPECT_THAT(*listing, HasSubstr("l x\\040y link\n"));
  EXPECT_THAT(*listing, HasSubstr("s 600 fifo\n"));
  EXPECT_THAT(compare_listings(*listing, *listing), IsEmpty());
  EXPECT_THAT(
      compare_listings(*listing, "l x link\n"),
      ElementsAre("a\\040b\\012c\\134d is missing", "fifo is missing", "link points elsewhere"));
}

TEST(ImageGc, NothingGoesWithoutABound) {
  const ImageKey key{Digest::of_hex(std::string(64, 'a')), false};
  const std::vector<StoredImage> images{{key, {}, Time{1}, false}};
  EXPECT_THAT(choose_images_to_remove(images, {}, Time{hours(10000).ns}), IsEmpty());
}

// Programs of people.
class ImageTool : public Store {
 protected:
  struct Ran {
    int exit_code = -1;
    std::string out;
    std::string err;
  };
  [[nodiscard]] Ran jimage(const std::vector<std::string>& arguments) const {
    std::string line = GANGWAY_BINARY_DIR "/bin/jimage";
    for (const std::string& argument : arguments) line += cat(" '", argument, "'");
    const int status = std::system(cat(line, " >", place_ / "out", " 2>", place_ / "err").c_str());
    return {WEXITSTATUS(status), read_small_file(place_ / "out").value_or(""),
            read_small_file(place_ / "err").value_or("")};
  }
};

TEST_F(ImageTool, VerifySaysWhichImageIsDamagedAndHow) {
  const ImageKey good = add("good", 10);
  const ImageKey bad = add("bad", 10);
  const std::string store = place_ / "store";
  EXPECT_EQ(jimage({"verify", "--store", store}).exit_code, 0);
  write_file(tree(bad) + "/rootfs/etc/bad", "other");
  const Ran ran = jimage({"verify", "--store", store});
  EXPECT_EQ(ran.exit_code, 65);
  EXPECT_THAT(ran.out, HasSubstr(cat("ok       ", good.digest.text(), "\n")));
  EXPECT_THAT(ran.out, HasSubstr(cat("damaged  ", bad.digest.text(),
                                     "\n         etc/bad has other contents\n")));
  EXPECT_EQ(ran.err,
            "jimage: 1 image is not as unpacked; 'jimage rm' removes, the next job unpacks anew\n");
  EXPECT_EQ(jimage({"verify", "--store", store, good.digest.text()}).exit_code, 0);
}

TEST_F(ImageTool, GcTellsFirstAndThenDoes) {
  const ImageKey key = add("a", 4096);
  last_used(key, hours(960));
  const std::string store = place_ / "store";
  const Ran said = jimage({"gc", "--store", store, "--unused-for", "30d", "--dry-run"});
  EXPECT_EQ(said.exit_code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("1 image would be removed, 4K\n"));
  EXPECT_THAT(keys(), SizeIs(1));
  const Ran done = jimage({"gc", "--store", store, "--unused-for", "30d"});
  EXPECT_THAT(done.out, HasSubstr("1 image removed, 4K\n"));
  EXPECT_THAT(keys(), IsEmpty());
}

TEST_F(ImageTool, AnImageInUseIsNotRemovedAndListSaysSo) {
  const ImageKey key = add("a", 10);
  const Result<Fd> pin = store_.pin(key);
  const std::string store = place_ / "store";
  EXPECT_THAT(jimage({"list", "--store", store}).out,
              HasSubstr(cat("in use  ", key.digest.text())));
  const Ran ran = jimage({"rm", "--store", store, key.digest.text()});
  EXPECT_EQ(ran.exit_code, 75);
  EXPECT_EQ(ran.err, cat("jimage: image ", key.digest.text(), " is in use\n"));
}

TEST_F(ImageTool, OptionsOfOtherCommandsAreRefused) {
  const std::string store = place_ / "store";
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"rm", "--store", store, "--quota", "1G"},
        {"list", "--store", store, "--dry-run"},
        {"gc", "--store", store, "--quota", "much"},
        {"gc", "--store", store, "--unused-for", "soon"},
        {"gc"},
        {"verify"}}) {
    const Ran ran = jimage(wrong);
    EXPECT_EQ(ran.exit_code, 64) << wrong[0];
    EXPECT_THAT(ran.err, testing::EndsWith("(see --help)\n"));
  }
}

}  // namespace
}  // namespace gangway::containers
