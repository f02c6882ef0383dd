// Every PyTorch file among the fixtures, truncated and with flipped bits: each gives an error that says why,
// or loads, and never does reading allocate beyond twice the file's size.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "allocation_counter.h"
#include "io/error.h"
#include "io/torch_file.h"

namespace switchyard::io {
namespace {

std::vector<std::filesystem::path> corpus() {
  std::vector<std::filesystem::path> files;
  std::error_code no_folder;
  const auto folder = std::filesystem::path(SWITCHYARD_FIXTURE_DIR) / "checkpoints";
  for (const auto& entry : std::filesystem::directory_iterator(folder, no_folder))
    if (entry.is_regular_file() && is_torch_file(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

constexpr int kMostViews = 4;  // so many tensors of one file may show the same element

// Names, values and shapes in order, as text; and the tensors.
struct Content {
  std::string structure;
  std::vector<at::Tensor> tensors;

  void add(const TorchValue& value) {
    structure += std::to_string(static_cast<int>(value.kind));
    if (value.kind == TorchValue::Kind::tensor) {
      tensors.push_back(value.tensor().contiguous());
      structure += c10::toString(value.tensor().scalar_type());
      for (const std::int64_t size : value.tensor().sizes()) structure += "," + std::to_string(size);
    } else if (value.kind == TorchValue::Kind::string) {
      structure += value.string();
    } else if (value.has_elements()) {
      for (const TorchValue& element : value.elements()) add(element);
    } else if (value.has_items()) {
      for (const TorchItem& item : value.items()) {
        add(item.key);
        add(item.value);
      }
    } else {
      structure += to_json(value).dump();
    }
    structure += ';';
  }
};

const unsigned char* bytes_of(const at::Tensor& tensor) {
  return static_cast<const unsigned char*>(tensor.const_data_ptr());
}

// Of tensors of the same shapes.
int different_bits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  int different = 0;
  for (std::size_t t = 0; t < a.size(); ++t) {
    const std::size_t size = a[t].nbytes();
    if (size == 0 || std::memcmp(bytes_of(a[t]), bytes_of(b[t]), size) == 0) continue;
    for (std::size_t i = 0; i < size; ++i)
      different += __builtin_popcount(bytes_of(a[t])[i] ^ bytes_of(b[t])[i]);
  }
  return different;
}

// Touches every byte, which AddressSanitizer checks.
void read_all(const std::vector<at::Tensor>& tensors) {
  unsigned sum = 0;
  for (const at::Tensor& tensor : tensors)
    for (std::size_t i = 0; i < tensor.nbytes(); ++i) sum += bytes_of(tensor)[i];
  volatile unsigned keep = sum;
  static_cast<void>(keep);
}

class TorchCorpusTest : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  void SetUp() override {
    std::ifstream stream(GetParam(), std::ios::binary);
    *bytes_ = {std::istreambuf_iterator<char>(stream), {}};
    whole_ = parse(bytes_->size());
    ASSERT_FALSE(whole_.tensors.empty());
    for (at::Tensor& tensor : whole_.tensors) tensor = tensor.clone();  // the bytes will change
  }

  // The first `size` bytes, as they are now. Throws InputError.
  Content parse(std::size_t size) const {
    const auto span = std::as_writable_bytes(std::span(*bytes_)).first(size);
    Content content;
    std::size_t peak = 0;
    const auto check_peak = [&] {
      EXPECT_LE(peak, std::max(2 * size, std::size_t{1} << 20)) << "of " << size << " bytes";
    };
    try {
      const AllocationCounter counter;
      try {
        const TorchValue file = parse_torch_file(span, bytes_, "file.pt");
        peak = counter.peak();
        content.add(file);
      } catch (...) {
        peak = counter.peak();
        throw;
      }
    } catch (const InputError& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with("file.pt: ")) << message;
      EXPECT_LT(message.size(), 600u) << message;
      check_peak();
      throw;
    }
    check_peak();
    return content;
  }

  std::shared_ptr<std::string> bytes_ = std::make_shared<std::string>();
  Content whole_;
};

INSTANTIATE_TEST_SUITE_P(Checkpoints, TorchCorpusTest, ::testing::ValuesIn(corpus()),
                         [](const auto& instance) { return instance.param.stem().string(); });

TEST_P(TorchCorpusTest, TruncatedAnywhereIsRefused) {
  constexpr int kPlaces = 256;
  for (int i = 0; i < kPlaces; ++i) {
    // Half of the places in the first kilobytes, where the pickles are, half anywhere.
    const std::size_t reach = i % 2 == 0 ? bytes_->size() : std::min<std::size_t>(bytes_->size(), 20'000);
    const std::size_t size = reach * static_cast<std::size_t>(i) / kPlaces;
    EXPECT_THROW(parse(size), InputError) << size;
  }
  EXPECT_THROW(parse(bytes_->size() - 1), InputError);
}

TEST_P(TorchCorpusTest, FlippedBitIsRefusedOrLoadsTheRest) {
  const bool is_zip = bytes_->starts_with("PK");
  int refused = 0, same = 0, one_bit = 0, other = 0;
  std::mt19937 random(0);
  for (int i = 0; i < 2000; ++i) {
    // Half of the bits anywhere, half where the structure is: in the first and last kilobytes.
    const std::size_t edge = std::min<std::size_t>(bytes_->size(), 20'000);
    const std::size_t at = i % 2 == 0   ? random() % bytes_->size()
                           : i % 4 == 1 ? random() % edge
                                        : bytes_->size() - 1 - random() % edge;
    const char flipped = static_cast<char>((*bytes_)[at] ^ 1 << random() % 8);
    const char before = std::exchange((*bytes_)[at], flipped);
    try {
      const Content content = parse(bytes_->size());
      const bool same_structure = content.structure == whole_.structure;
      const int bits = same_structure ? different_bits(content.tensors, whole_.tensors) : 0;
      ++(!same_structure || bits > kMostViews ? other : bits > 0 ? one_bit : same);
      // A zip archive's checksum protects the names, numbers and shapes; the legacy format has none.
      EXPECT_TRUE(!is_zip || (same_structure && bits <= kMostViews)) << "byte " << at;
      if (!same_structure) read_all(content.tensors);
    } catch (const InputError&) {
      ++refused;
    }
    (*bytes_)[at] = before;
  }
  std::printf("%s: %d flips refused, %d without effect, %d changed one element, %d changed more\n",
              GetParam().filename().c_str(), refused, same, one_bit, other);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace switchyard::io
