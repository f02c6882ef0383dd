#include "io/idx.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "hostile.h"
#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

using IdxTest = Scratch;

at::Tensor parse(const std::string& bytes) { return parse_idx(std::as_bytes(std::span(bytes)), "file.idx"); }

TEST_F(IdxTest, ReadsEveryNumberOfDimensionsPackedOrNot) {
  std::vector<std::uint32_t> sizes;
  std::vector<std::int64_t> shape;
  std::int64_t count = 1;
  for (const int size : {3, 1, 5, 2, 7, 1, 3, 31}) {
    sizes.push_back(static_cast<std::uint32_t>(size));
    shape.push_back(size);
    count *= size;
    const at::Tensor expected = at::arange(count).remainder(256).to(at::kByte).view(shape);
    const std::string data(static_cast<const char*>(expected.const_data_ptr()), expected.nbytes());
    for (const std::string& bytes : {idx_of(sizes, data), gzip(idx_of(sizes, data))}) {
      EXPECT_TRUE(at::equal(parse(bytes), expected)) << shape.size();
      EXPECT_TRUE(at::equal(read_idx(put("a", bytes)), expected)) << shape.size();
    }
  }
}

TEST_F(IdxTest, HostileFilesAreRefusedWithAReason) {
  for (const Hostile& hostile : hostile_idx_files()) {
    SCOPED_TRACE(hostile.what);
    const std::string message = message_of<InputError>([&] { parse(hostile.bytes); });
    EXPECT_TRUE(message.starts_with("file.idx: ")) << message;
    EXPECT_TRUE(contains(message, hostile.message));
  }
}

TEST_F(IdxTest, EveryTruncationIsRefused) {
  for (const std::string& whole : {idx_of({2, 3}, "abcdef"), gzip(idx_of({2, 3}, "abcdef"))})
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_THROW(parse(whole.substr(0, size)), InputError) << size;
}

TEST_F(IdxTest, FilesAreNamed) {
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_idx(put("a.idx", "x")); }), "a.idx: "));
  EXPECT_THROW(read_idx(file("missing")), InputError);
}

}  // namespace
}  // namespace switchyard::io
