#include "app/gui/clipboard.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "pasted.h"

namespace switchyard::gui {
namespace {

TEST(Clipboard, GivesTheBytesAsPngAndAsNothingElse) {
  Clipboard clipboard;
  std::string bytes;
  for (int i = 0; i < 70'001; ++i) bytes += static_cast<char>(i * 31);  // zeros among them
  clipboard.copy_png(bytes);
  EXPECT_EQ(pasted("image/png"), bytes);
  EXPECT_EQ(pasted("UTF8_STRING"), std::nullopt);
  EXPECT_EQ(pasted_targets(), (std::vector<std::string>{"TARGETS", "image/png"}));
}

TEST(Clipboard, TheLastCopyCounts) {
  Clipboard clipboard;
  clipboard.copy_png("first");
  EXPECT_EQ(pasted("image/png"), "first");
  clipboard.copy_png("second");
  EXPECT_EQ(pasted("image/png"), "second");
}

TEST(Clipboard, MoreThanFitsIsRefused) {
  Clipboard clipboard;
  EXPECT_THROW(clipboard.copy_png(std::string(size_t{1} << 28, 'x')), std::runtime_error);
}

}  // namespace
}  // namespace switchyard::gui
