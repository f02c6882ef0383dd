#include "app/gui/studio/thumbnails.h"

#include <ATen/ATen.h>

#include <chrono>
#include <semaphore>
#include <thread>

#include "../../io/scratch.h"
#include "io/png.h"

namespace switchyard::studio {
namespace {

class ThumbnailsOf : public io::Scratch {
 protected:
  ::testing::AssertionResult until(Thumbnails& thumbnails, const std::function<bool()>& holds) {
    for (int i = 0; i < 3000; ++i) {
      thumbnails.poll();
      if (holds()) return ::testing::AssertionSuccess();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return ::testing::AssertionFailure() << "nothing came in 30 s; " << thumbnails.problem();
  }
  ::testing::AssertionResult listed(Thumbnails& thumbnails) {
    return until(thumbnails, [&] { return !thumbnails.listing(); });
  }
  ::testing::AssertionResult made(Thumbnails& thumbnails, size_t i) {
    return until(thumbnails,
                 [&] { return thumbnails.of(i).rgba.defined() || !thumbnails.of(i).problem.empty(); });
  }

  void picture(const std::string& name, int64_t height, int64_t width, int hours_old = 0) {
    io::write_png(file(name), at::full({height, width, 3}, 90, at::kByte));
    std::filesystem::last_write_time(
        file(name), std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours_old));
  }
};

TEST_F(ThumbnailsOf, FolderAreItsPngsTheNewestFirst) {
  picture("old.png", 4, 4, 2), picture("new.png", 4, 4), picture("between.png", 4, 4, 1);
  put("notes.txt", "no picture");
  std::filesystem::create_directory(file("folder.png"));
  Thumbnails thumbnails(file("."), {});
  ASSERT_TRUE(listed(thumbnails));
  std::vector<std::string> names;
  for (const auto& path : thumbnails.files()) names.push_back(path.filename());
  EXPECT_EQ(names, (std::vector<std::string>{"new.png", "between.png", "old.png"}));
}

TEST_F(ThumbnailsOf, LargePictureIsMadeSmallerInItsShape) {
  picture("wide.png", 100, 640);
  Thumbnails thumbnails(file("."), {});
  ASSERT_TRUE(listed(thumbnails));
  ASSERT_TRUE(made(thumbnails, 0));
  const auto& rgba = thumbnails.of(0).rgba;
  EXPECT_EQ(rgba.sizes(), (at::IntArrayRef{25, 160, 4}));
  EXPECT_EQ(rgba.select(2, 0).min().item<int>(), 90);
  EXPECT_EQ(rgba.select(2, 0).max().item<int>(), 90);
  EXPECT_EQ(rgba.select(2, 3).min().item<int>(), 255);
}

TEST_F(ThumbnailsOf, SmallPictureIsLeftAsItIs) {
  const auto pixels = at::randint(0, 256, {7, 5, 3}, at::kByte);
  io::write_png(file("small.png"), pixels);
  Thumbnails thumbnails(file("."), {});
  ASSERT_TRUE(listed(thumbnails));
  ASSERT_TRUE(made(thumbnails, 0));
  EXPECT_TRUE(at::equal(thumbnails.of(0).rgba.slice(2, 0, 3), pixels));
}

TEST_F(ThumbnailsOf, BrokenPictureSaysWhy) {
  put("broken.png", "nothing of the kind");
  Thumbnails thumbnails(file("."), {});
  ASSERT_TRUE(listed(thumbnails));
  ASSERT_TRUE(made(thumbnails, 0));
  EXPECT_FALSE(thumbnails.of(0).rgba.defined());
  EXPECT_NE(thumbnails.of(0).problem.find("broken.png"), std::string::npos) << thumbnails.of(0).problem;
}

TEST_F(ThumbnailsOf, MissingFolderIsAProblem) {
  Thumbnails thumbnails(file("nowhere"), {});
  ASSERT_TRUE(listed(thumbnails));
  EXPECT_TRUE(thumbnails.files().empty());
  EXPECT_FALSE(thumbnails.problem().empty());
}

// As somebody who scrolls through thousands: what is in sight at the end comes, though the others were asked for first.
TEST_F(ThumbnailsOf, ThousandsAreScrolledThrough) {
  picture("first.png", 8, 8);
  for (int i = 0; i < 2500; ++i)
    std::filesystem::create_hard_link(file("first.png"), file(std::to_string(i) + ".png"));
  Thumbnails thumbnails(file("."), {});
  ASSERT_TRUE(listed(thumbnails));
  ASSERT_EQ(thumbnails.files().size(), 2501u);
  for (size_t i = 0; i < 2501; ++i) thumbnails.of(i);
  for (size_t i = 2490; i < 2501; ++i) EXPECT_TRUE(made(thumbnails, i));
  EXPECT_TRUE(made(thumbnails, 3)) << "and back again";
}

// The first is asked for, passed over in favour of a thousand later ones, and let go of meanwhile; when it comes into
// sight again it is the one whose wish has waited longest of as many as may.
TEST_F(ThumbnailsOf, WishThatWaitedLongestMayBeTheOneThatIsRepeated) {
  constexpr size_t kKept = 1000, kWanted = 250;
  for (size_t i = 0; i < kKept + kWanted; ++i) put(std::to_string(i) + ".png", "");
  std::counting_semaphore<> woken(0), go(0);
  Thumbnails thumbnails(file("."), [&] { woken.release(), go.acquire(); });
  woken.acquire();
  thumbnails.poll();
  ASSERT_EQ(thumbnails.files().size(), kKept + kWanted);
  thumbnails.of(0);
  for (size_t i = 1; i <= kKept; ++i) {
    thumbnails.of(i);
    go.release(), woken.acquire();  // it is made
    thumbnails.poll();
  }
  for (size_t i = 1; i < kWanted; ++i) thumbnails.of(kKept + i);
  EXPECT_NO_THROW(thumbnails.of(0));
  go.release(kKept);  // whatever else it tells
}

}  // namespace
}  // namespace switchyard::studio
