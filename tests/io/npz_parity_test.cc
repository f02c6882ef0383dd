// NumPy's files of the fixture folder against the same arrays in safetensors, bit for bit.
//
// FIXTURES/metrics (or FIXTURES itself; FIXTURES is the environment's SWITCHYARD_FIXTURES, by default the folder in this
// repository) holds npz/*.npz and npz/*.npy, npz_expected.safetensors, and expected.json, whose "npz" lists dtype and shape
// of each array of each archive, or says that it must be refused.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "io/error.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/safetensors.h"

namespace switchyard::io {
namespace {

namespace fs = std::filesystem;

fs::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const fs::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  return fs::is_directory(fixtures / "metrics") ? fixtures / "metrics" : fixtures;
}

std::map<std::string, at::Tensor> expected_arrays() {
  return read_safetensors(parity_folder() / "npz_expected.safetensors").tensors;
}

// What the fixtures hold for an array: under its own name, as other numbers that hold the same values, or nothing.
std::optional<at::Tensor> expected_of(const std::string& file, const std::string& name,
                                      const at::Tensor& array) {
  const auto arrays = expected_arrays();
  const std::string stem = fs::path(file).stem();
  for (const std::string& prefix : {std::string(), stem + "."})
    for (const std::string suffix : {"", "_f32", "_upper_f32", "_as_f32"}) {
      const auto found = arrays.find(prefix + name + suffix);
      if (found != arrays.end() &&
          (found->second.scalar_type() == array.scalar_type() || suffix == "_as_f32"))
        return found->second;
    }
  return std::nullopt;
}

std::string descr_of(const nlohmann::json& member) {
  std::string dtype = member.at("dtype");
  if (dtype.front() == '>') dtype.front() = '<';
  return dtype;
}

const std::map<std::string, at::ScalarType> kDtypes = {
    {"|b1", at::kBool}, {"|u1", at::kByte},  {"<i4", at::kInt},   {"<i8", at::kLong},
    {"<f2", at::kHalf}, {"<f4", at::kFloat}, {"<f8", at::kDouble}};

TEST(NpzParity, EveryArchive) {
  std::ifstream stream(parity_folder() / "expected.json");
  ASSERT_TRUE(stream) << "no expected.json in " << parity_folder();
  const auto archives = nlohmann::json::parse(stream).at("npz");
  int arrays = 0, compared = 0, refused = 0;
  for (const auto& [file, members] : archives.items()) {
    SCOPED_TRACE(file);
    const fs::path path = parity_folder() / "npz" / file;
    if (members.is_string()) {
      EXPECT_THROW(read_npz(path), InputError);
      EXPECT_THROW(read_npz(path, {"mu", "sigma"}), InputError);
      ++refused;
      continue;
    }
    const auto found = read_npz(path);
    EXPECT_EQ(found.size(), members.size());
    for (const auto& [name, array] : read_npz(path, npz_names(path))) {
      SCOPED_TRACE(name);
      EXPECT_TRUE(at::equal(array, found.at(name)));
    }
    for (const auto& [member, facts] : members.items()) {
      SCOPED_TRACE(member);
      const std::string name = fs::path(member).stem();
      ASSERT_TRUE(found.contains(name));
      const at::Tensor& array = found.at(name);
      EXPECT_EQ(array.scalar_type(), kDtypes.at(descr_of(facts)));
      EXPECT_EQ(array.sizes().vec(), facts.at("shape").get<std::vector<int64_t>>());
      EXPECT_TRUE(array.is_contiguous());
      ++arrays;
      if (const auto expected = expected_of(file, name, array)) {
        EXPECT_TRUE(at::equal(array.to(expected->scalar_type()), *expected));
        ++compared;
      }
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(compared, arrays / 2);
  std::printf("npz: %d arrays, values compared exactly for %d, %d archives refused\n", arrays, compared,
              refused);
}

TEST(NpyParity, EveryFileHoldsAnArrayOfTheFixtures) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(parity_folder() / "npz")) {
    if (entry.path().extension() != ".npy") continue;
    const at::Tensor found = read_npy(entry.path());
    bool known = false;
    for (const auto& [name, array] : expected_arrays())
      known = known || (array.scalar_type() == found.scalar_type() && at::equal(array, found));
    EXPECT_TRUE(known) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace switchyard::io
