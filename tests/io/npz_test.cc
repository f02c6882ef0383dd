#include "io/npz.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "hostile.h"
#include "io/error.h"
#include "io/npy.h"
#include "scratch.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

using NpzTest = Scratch;

const std::vector<at::ScalarType> kDtypes = {at::kBool, at::kByte, at::kChar,  at::kShort, at::kInt,
                                             at::kLong, at::kHalf, at::kFloat, at::kDouble};

at::Tensor counting(at::IntArrayRef shape, at::ScalarType dtype) {
  return at::arange(c10::multiply_integers(shape), at::kLong)
      .remainder(dtype == at::kBool ? 2 : 100)
      .to(dtype)
      .view(shape);
}

void expect_same(const at::Tensor& found, const at::Tensor& expected, const std::string& name) {
  EXPECT_EQ(found.scalar_type(), expected.scalar_type()) << name;
  EXPECT_EQ(found.sizes(), expected.sizes()) << name;
  EXPECT_TRUE(at::equal(found, expected)) << name;
}

TEST_F(NpzTest, RoundTripOfEveryDtypeAndSize) {
  const std::vector<std::vector<std::int64_t>> shapes = {
      {}, {0}, {1}, {31}, {33, 3}, {2, 0, 5}, {1, 2, 3, 4, 5}};
  std::map<std::string, at::Tensor> arrays;
  for (const at::ScalarType dtype : kDtypes)
    for (const auto& shape : shapes) arrays[c10::str(dtype, at::IntArrayRef(shape))] = counting(shape, dtype);
  write_npz(file("a.npz"), arrays);
  const auto found = read_npz(file("a.npz"));
  ASSERT_EQ(found.size(), arrays.size());
  for (const auto& [name, array] : arrays) expect_same(found.at(name), array, name);
}

TEST_F(NpzTest, Bfloat16IsWrittenAsFloat32) {
  write_npz(file("a.npz"), {{"w", counting({31}, at::kBFloat16)}});
  expect_same(read_npz(file("a.npz")).at("w"), counting({31}, at::kFloat), "w");
}

TEST_F(NpzTest, StridedArraysAreWrittenRowMajor) {
  const at::Tensor array = counting({3, 5}, at::kInt).t();
  write_npz(file("a.npz"), {{"w", array}});
  expect_same(read_npz(file("a.npz")).at("w"), array, "w");
}

TEST_F(NpzTest, RowsMakeTheArraysThatTheyAreOf) {
  for (const at::ScalarType dtype : kDtypes) {
    const auto images = counting({31, 3, 5}, dtype), labels = counting({33}, dtype);
    std::int64_t told = 0;
    EXPECT_TRUE(write_npz_by_rows(file("a.npz"),
                                  {{"images", dtype, {31, 3, 5}, [&](std::int64_t i) { return images[i]; }},
                                   {"labels", dtype, {33}, [&](std::int64_t i) { return labels[i]; }}},
                                  [&](const std::string&, std::int64_t) { return ++told > 0; }));
    EXPECT_EQ(told, 31 + 33);
    const auto found = read_npz(file("a.npz"));
    ASSERT_EQ(found.size(), 2u);
    expect_same(found.at("images"), images, "images");
    expect_same(found.at("labels"), labels, "labels");
  }
}

TEST_F(NpzTest, RowsThatFailLeaveTheFileThatWasThere) {
  put("a.npz", "before");
  const auto write = [&](const std::function<at::Tensor(std::int64_t)>& row, std::int64_t most = 100) {
    return write_npz_by_rows(file("a.npz"), {{"w", at::kByte, {9, 4}, row}},
                             [&](const std::string&, std::int64_t rows) { return rows < most; });
  };
  EXPECT_THROW(write([](std::int64_t i) -> at::Tensor {
                 if (i == 5) throw InputError("image 5");
                 return at::zeros({4}, at::kByte);
               }),
               InputError);
  EXPECT_THROW(write([](std::int64_t) { return at::zeros({5}, at::kByte); }), std::invalid_argument);
  EXPECT_THROW(write([](std::int64_t) { return at::zeros({4}); }), std::invalid_argument);
  EXPECT_FALSE(write([](std::int64_t) { return at::zeros({4}, at::kByte); }, 3));
  EXPECT_EQ(bytes_of("a.npz"), "before");
  EXPECT_EQ(names().size(), 1u) << "no temporary file is left";
  EXPECT_THROW(write_npz_by_rows(file("none/a.npz"), {{"w", at::kByte, {1}, {}}}), OutputError);
}

TEST_F(NpzTest, LargeArraysAreDeflated) {
  const at::Tensor array = counting({1000, 1001}, at::kInt);
  write_npz(file("a.npz"), {{"w", array}});
  EXPECT_LT(std::filesystem::file_size(file("a.npz")), array.nbytes() / 10);
  expect_same(read_npz(file("a.npz")).at("w"), array, "w");
}

TEST_F(NpzTest, SameArraysGiveTheSameBytes) {
  write_npz(file("a.npz"), {{"a", counting({31}, at::kInt)}, {"b", counting({3}, at::kHalf)}});
  write_npz(file("b.npz"), {{"a", counting({31}, at::kInt)}, {"b", counting({3}, at::kHalf)}});
  EXPECT_EQ(bytes_of("a.npz"), bytes_of("b.npz"));
}

TEST_F(NpzTest, WriteRefusesWhatNumpyLacks) {
  const std::vector<std::pair<std::string, at::Tensor>> cases = {{"", at::zeros({1})},
                                                                 {"a/b", at::zeros({1})},
                                                                 {"a\\b", at::zeros({1})},
                                                                 {"w", at::Tensor()},
                                                                 {"w", at::zeros({1}, at::kFloat8_e5m2)},
                                                                 {"w", at::zeros({2, 2}).to_sparse()}};
  for (const auto& [name, array] : cases)
    EXPECT_THROW(write_npz(file("a.npz"), {{name, array}}), std::invalid_argument) << name;
  EXPECT_THROW(write_npz(file("a.npz"), {}), std::invalid_argument);
  EXPECT_TRUE(names().empty());
}

TEST_F(NpzTest, WriteIntoAMissingFolderIsAnOutputError) {
  EXPECT_THROW(write_npz(file("missing/a.npz"), {{"w", at::zeros({1})}}), OutputError);
}

TEST_F(NpzTest, EveryTruncationIsRefused) {
  write_npz(file("a.npz"), {{"w", counting({31}, at::kInt)}});
  const std::string bytes = bytes_of("a.npz");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(read_npz(put("b.npz", bytes.substr(0, size))), InputError) << size;
}

TEST_F(NpzTest, EveryFlippedBitIsRefusedOrGivesTheSameArray) {
  const at::Tensor array = counting({31}, at::kInt);
  write_npz(file("a.npz"), {{"w", array}});
  const std::string bytes = bytes_of("a.npz");
  int refused = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    try {
      for (const auto& [name, found] : read_npz(put("b.npz", flipped)))
        expect_same(found, array, c10::str("bit ", bit));
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST_F(NpzTest, ReadsWhatNumpyStores) {
  const auto found =
      read_npz(put("a.npz", npz_of("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1), }  \n", "ab")));
  expect_same(found.at("a"), at::tensor({'a', 'b'}, at::kByte).view({2, 1}), "a");
}

TEST_F(NpzTest, ArraysThatNobodyWantsAreNotRead) {
  const auto good = put("good.npz", npz_of(npy_header("|u1", "2,"), "ab"));
  EXPECT_EQ(read_npz(good, {"a", "b"}).size(), 1u);
  EXPECT_TRUE(read_npz(good, {"b"}).empty());
  const auto bad = put("bad.npz", npz_of(npy_header("|O", ""), "abcdefgh"));
  EXPECT_TRUE(read_npz(bad, {"b"}).empty());
  EXPECT_EQ(npz_names(bad), std::set<std::string>{"a"});
}

TEST_F(NpzTest, NamedArraysAreReadAlone) {
  const std::string bytes = npy_of(npy_header("|u1", "2, 3"), "abcdef");
  const std::string stored =
      build::zip({{.name = "a.npy", .data = bytes, .alignment = 1},
                  {.name = "long.npy", .data = npy_of(npy_header("<i8", "1,"), "12345678")},
                  {.name = "text.npy", .data = npy_of(npy_header("<U1", ""), "abcd")},
                  {.name = "b.txt", .data = "x"}},
                 /*zip64=*/false);
  put("stored.npz", stored);
  const auto arrays = read_npz(file("stored.npz"), {"a", "long", "missing"});
  ASSERT_EQ(arrays.size(), 2u);
  expect_same(arrays.at("a"), at::arange('a', 'g', at::kByte).view({2, 3}), "a");
  expect_same(arrays.at("long"), at::full({1}, 0x3837363534333231, at::kLong), "long");
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npz(file("stored.npz"), {"text"}); }),
                       "stored.npz: array \"text\": unsupported dtype"));

  write_npz(file("deflated.npz"), {{"a", at::ones({40})}, {"b", at::zeros({2})}});
  const auto inflated = read_npz(file("deflated.npz"), {"b", "missing"});
  ASSERT_EQ(inflated.size(), 1u);
  expect_same(inflated.at("b"), at::zeros({2}), "b");
}

TEST_F(NpzTest, FlippedBitsOfStoredArraysAreSeen) {
  std::string bytes = npz_of(npy_header("|u1", "64,"), std::string(64, 'a'));
  bytes[bytes.find("aaaa") + 20] ^= 4;
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npz(put("a.npz", bytes), {"a"}); }), "a.npz"));
}

TEST_F(NpzTest, HostileFilesAreRefusedWhereOneArrayIsRead) {
  for (const Hostile& hostile : hostile_npz_files()) {
    if (hostile.message == "expected a name that ends with .npy") continue;  // there is no "a" then
    SCOPED_TRACE(hostile.what);
    EXPECT_THROW(read_npz(put("a.npz", hostile.bytes), {"a"}), InputError);
  }
}

TEST_F(NpzTest, NpyFileIsRead) {
  const std::string good = npy_of(npy_header("<f4", "2,"), std::string("\0\0\x80\x3f\0\0\0\x40", 8));
  expect_same(read_npy(put("a.npy", good)), at::tensor({1.f, 2.f}), "a");
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_TRUE(
        contains(message_of<InputError>([&] { read_npy(put("b.npy", good.substr(0, size))); }), "b.npy"))
        << size;
  EXPECT_THROW(read_npy(put("c.npy", good + "x")), InputError);
  EXPECT_THROW(read_npy(put("d.npy", npy_of(npy_header("|u1", "4611686018427387904,"), "x"))), InputError);
}

TEST_F(NpzTest, HostileFilesAreRefusedWithAReason) {
  for (const Hostile& hostile : hostile_npz_files()) {
    SCOPED_TRACE(hostile.what);
    const std::string message =
        message_of<InputError>([&] { parse_npz(std::as_bytes(std::span(hostile.bytes)), "file.npz"); });
    EXPECT_TRUE(message.starts_with("file.npz: ")) << message;
    EXPECT_TRUE(contains(message, hostile.message));
    EXPECT_LT(message.size(), 600u);
  }
}

TEST_F(NpzTest, OtherFilesAreNamed) {
  EXPECT_TRUE(contains(message_of<InputError>([&] { read_npz(put("a.npz", "not a zip file")); }), "a.npz"));
  EXPECT_THROW(read_npz(file("missing.npz")), InputError);
}

}  // namespace
}  // namespace switchyard::io
