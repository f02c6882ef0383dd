#include "data/image_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "../io/hostile.h"
#include "../io/scratch.h"
#include "../io/torch_builder.h"
#include "data/open_images.h"
#include "data/training_images.h"
#include "io/error.h"
#include "io/npz.h"
#include "io/png.h"

namespace switchyard::data {
namespace {

using io::contains, io::InputError, io::message_of, io::build::ZipPart;

// Pixels that differ along every axis and from seed to seed.
at::Tensor pattern(std::vector<int64_t> shape, int64_t seed = 0) {
  const int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  return at::arange(count, at::kLong).add(seed).mul(37).remainder(251).to(at::kByte).view(shape);
}

std::string raw_bytes(const at::Tensor& image) {
  return {static_cast<const char*>(image.const_data_ptr()), image.nbytes()};
}

// The bare stream of zip entries.
std::string deflated(const std::string& bytes) {
  const std::string packed = io::gzip(bytes);  // 10 bytes before it, 8 behind it
  return packed.substr(10, packed.size() - 18);
}

class ImageSourceTest : public io::Scratch {
 protected:
  void put_image(const std::string& path, int64_t seed = 0) const {
    std::filesystem::create_directories(file(path).parent_path());
    io::write_png(file(path), pattern({5, 4, 3}, seed));
  }
  std::string png(int64_t seed) const {
    put_image("one.png", seed);
    return bytes_of("one.png");
  }
};

std::vector<std::string> names_of(const ImageSource& source) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < source.size(); ++i) names.push_back(source.read(i).name);
  return names;
}

TEST_F(ImageSourceTest, FolderHasAllImagesBelowItSortedByPath) {
  for (const char* path :
       {"set/b.png", "set/a/z.png", "set/a/B.PNG", "set/c/d/e.png", "set/.hidden.png", "set/.git/x.png"})
    put_image(path);
  put("set/notes.txt", "not an image");
  const auto source = open_images(file("set"));
  EXPECT_EQ(names_of(*source), (std::vector<std::string>{"a/B.PNG", "a/z.png", "b.png", "c/d/e.png"}));
  EXPECT_EQ(source->name(), file("set").string());
  EXPECT_TRUE(at::equal(source->read(2).pixels, pattern({5, 4, 3})));
  EXPECT_EQ(source->read(2).label, -1);
}

TEST_F(ImageSourceTest, LinksAreFollowed) {
  put_image("elsewhere/x.png");
  std::filesystem::create_directories(file("set"));
  std::filesystem::create_symlink("../elsewhere", file("set/folder"));
  std::filesystem::create_symlink("../elsewhere/x.png", file("set/image.png"));
  EXPECT_EQ(names_of(*open_images(file("set"))), (std::vector<std::string>{"folder/x.png", "image.png"}));
}

TEST_F(ImageSourceTest, FoldersThatLinkInACircleAreRefused) {
  put_image("set/a.png");
  std::filesystem::create_directory_symlink(".", file("set/again"));
  EXPECT_THROW(open_images(file("set")), InputError);
}

TEST_F(ImageSourceTest, WhatCannotBeReadIsAMemberThatSaysSo) {
  put_image("set/a.png");
  put("set/b.webp", "RIFF1234WEBP");
  put("set/c.png", "");
  put("set/d.jpg", bytes_of("set/a.png").substr(0, 40));
  std::filesystem::create_symlink("nowhere.png", file("set/e.png"));
  const auto source = open_images(file("set"));
  ASSERT_EQ(source->size(), 5);
  EXPECT_NO_THROW(source->read(0));
  const char* messages[] = {"b.webp: expected a PNG or JPEG image, found a file that begins with \"RIFF",
                            "c.png: expected a PNG or JPEG image, found an empty file",
                            "d.jpg: ", "e.png: cannot be opened"};
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(contains(message_of<InputError>([&] { source->read(i + 1); }), messages[i]));
}

TEST(ImageLabels, AreTheFoldersWhereEveryImageLiesInOne) {
  struct Case {
    const char* what;
    std::vector<std::string> paths;
    std::vector<int64_t> labels;
  };
  const Case cases[] = {
      {"none", {}, {}},
      {"no folders", {"a.png", "b.png"}, {-1, -1}},
      {"one without a folder", {"a.png", "cat/b.png"}, {-1, -1}},
      {"names", {"cat/a.png", "dog/a.png", "dog/deep/b.png"}, {0, 1, 1}},
      {"numbers", {"10/a.png", "2/a.png", "2/b.png"}, {10, 2, 2}},
      {"numbers with zeros", {"007/a.png", "012/a.png"}, {7, 12}},
      {"numbers and a name", {"10/a.png", "2/a.png", "x/b.png"}, {0, 1, 2}},
      {"numbers too long", {"1234567890/a.png", "2/a.png"}, {0, 1}},
      {"negative", {"-1/a.png", "2/a.png"}, {0, 1}},
      {"within a folder", {"set/train/cat/a.png", "set/train/dog/a.png"}, {0, 1}},
      {"one folder", {"cat/a.png", "cat/b.png"}, {-1, -1}},
  };
  for (const Case& c : cases) EXPECT_EQ(classes_of(c.paths).labels, c.labels) << c.what;
}

TEST_F(ImageSourceTest, TransparencyIsDroppedOrOverWhite) {
  std::filesystem::create_directories(file("set"));
  const auto png =
      io::png_of({2, 1, 8, 6}, std::string("\0abc\0ABC\xff", 9));  // RGBA: "abc" unseen, "ABC" opaque
  put("set/a.png", png);
  put("set.zip", io::build::zip({{.name = "a.png", .data = png, .alignment = 1}}, /*zip64=*/false));
  for (const char* set : {"set", "set.zip"}) {
    EXPECT_EQ(raw_bytes(open_images(file(set))->read(0).pixels), "abcABC") << set;
    EXPECT_EQ(raw_bytes(open_images(file(set), io::Alpha::over_white)->read(0).pixels),
              "\xff\xff\xff"
              "ABC")
        << set;
  }
}

TEST(ImageLabels, HaveTheFoldersNames) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(classes_of({"cat/a.png", "dog/a.png", "dog/deep/b.png"}).names, (Names{"cat", "dog"}));
  EXPECT_EQ(classes_of({"10/a.png", "2/a.png"}).names, Names());
  EXPECT_EQ(classes_of({"a.png", "cat/b.png"}).names, Names());
}

TEST_F(ImageSourceTest, ZipIsReadAsTheFolderIs) {
  const std::string first = png(1), second = png(2);
  put("set.zip", io::build::zip({{.name = "set/dog/b.png", .data = first, .alignment = 1},
                                 {.name = "set/cat/", .data = "", .alignment = 1},
                                 {.name = "set/readme.txt", .data = "x", .alignment = 1},
                                 {.name = "__MACOSX/set/cat/._a.png", .data = "x", .alignment = 1},
                                 {.name = "set/cat/a.png", .data = second, .alignment = 1}},
                                /*zip64=*/false));
  const auto source = open_images(file("set.zip"));
  EXPECT_EQ(names_of(*source), (std::vector<std::string>{"set/cat/a.png", "set/dog/b.png"}));
  EXPECT_TRUE(at::equal(source->read(0).pixels, pattern({5, 4, 3}, 2)));
  EXPECT_TRUE(at::equal(source->read(1).pixels, pattern({5, 4, 3}, 1)));
  EXPECT_EQ(source->read(0).label, 0);
  EXPECT_EQ(source->read(1).label, 1);
}

// An archive of one deflated entry, whose sizes its own header and the directory tell.
std::string zip_of_deflated(const std::string& name, const std::string& bytes) {
  const std::string packed = deflated(bytes);
  std::string file = io::build::zip(
      {{.name = name, .data = packed, .size = bytes.size(), .method = 8, .alignment = 1}}, false);
  const auto crc = ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
  file.replace(14, 4, io::build::le(crc, 4));
  file.replace(22, 4, io::build::le(bytes.size(), 4));
  file.replace(file.rfind("PK\x01\x02") + 16, 4, io::build::le(crc, 4));
  return file;
}

TEST_F(ImageSourceTest, DeflatedZipIsInflated) {
  put("set.zip", zip_of_deflated("a.png", png(3)));
  EXPECT_TRUE(at::equal(open_images(file("set.zip"))->read(0).pixels, pattern({5, 4, 3}, 3)));
}

TEST_F(ImageSourceTest, DamagedEntryOfAZipIsNamed) {
  std::string zip = io::build::zip({{.name = "a.png", .data = png(1), .alignment = 1},
                                    {.name = "b\x1b.png", .data = png(2), .alignment = 1}},
                                   /*zip64=*/false);
  zip[zip.rfind("IDAT") + 6] ^= 1;
  put("set.zip", zip);
  const auto source = open_images(file("set.zip"));
  EXPECT_NO_THROW(source->read(0));
  EXPECT_TRUE(contains(message_of<InputError>([&] { source->read(1); }), "set.zip: \"b\\u2190.png\": "));
}

TEST_F(ImageSourceTest, ZipIsReadByManyThreads) {
  std::vector<ZipPart> parts;
  for (int i = 0; i < 40; ++i)
    parts.push_back({.name = c10::str(100 + i, ".png"), .data = png(i), .alignment = 1});
  put("set.zip", io::build::zip(parts, false));
  const auto source = open_images(file("set.zip"));
  std::vector<std::thread> threads;
  std::vector<int> equal(4, 0);
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 40; ++i) equal[t] += at::equal(source->read(i).pixels, pattern({5, 4, 3}, i));
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, (std::vector<int>{40, 40, 40, 40}));
}

// What numpy.savez writes, but for the alignment.
std::string stored_npz(const at::Tensor& images, const std::string& shape, const std::string& labels = "",
                       const std::string& label_shape = "") {
  std::vector<ZipPart> parts = {{.name = "arr_0.npy",
                                 .data = io::npy_of(io::npy_header("|u1", shape), raw_bytes(images)),
                                 .alignment = 1}};
  if (!labels.empty())
    parts.push_back({.name = "arr_1.npy",
                     .data = io::npy_of(io::npy_header("<i8", label_shape), labels),
                     .alignment = 1});
  parts.push_back({.name = "names.npy", .data = "of a dtype that is not looked at", .alignment = 1});
  return io::build::zip(parts, /*zip64=*/false);
}

TEST_F(ImageSourceTest, AdmBatchStaysInItsFileWhereItIsStored) {
  const auto images = pattern({3, 5, 7, 3});
  put("batch.npz", stored_npz(images, "3, 5, 7, 3",
                              io::build::le(4, 8) + io::build::le(0, 8) + io::build::le(9, 8), "3,"));
  const auto source = open_images(file("batch.npz"));
  ASSERT_EQ(source->size(), 3);
  EXPECT_EQ(source->read(1).name, "image 1");
  EXPECT_EQ(source->read(0).label, 4);
  EXPECT_EQ(source->read(2).label, 9);
  for (int64_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(source->read(i).pixels, images[i])) << i;

  // A pixel that is changed in the file is changed in the source: it was not in memory.
  const size_t at = bytes_of("batch.npz").find(raw_bytes(images));
  std::fstream(file("batch.npz"), std::ios::in | std::ios::out | std::ios::binary)
      .seekp(static_cast<int64_t>(at))
      .put(77);
  EXPECT_EQ(source->read(0).pixels[0][0][0].item<int>(), 77);
}

TEST_F(ImageSourceTest, DeflatedAdmBatchAndGreyOnes) {
  const auto images = pattern({4, 5, 7, 1});
  io::write_npz(file("batch.npz"), {{"arr_0", images}, {"arr_1", at::tensor({1, 2, 3, 4}, at::kInt)}});
  const auto source = open_images(file("batch.npz"));
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(at::equal(source->read(i).pixels, images[i].expand({5, 7, 3}))) << i;
    EXPECT_EQ(source->read(i).label, i + 1);
  }
}

TEST_F(ImageSourceTest, NpyIsABatchWithoutLabels) {
  const auto images = pattern({2, 5, 7, 3});
  put("batch.npy", io::npy_of(io::npy_header("|u1", "2, 5, 7, 3"), raw_bytes(images)));
  const auto source = open_images(file("batch.npy"));
  ASSERT_EQ(source->size(), 2);
  EXPECT_TRUE(at::equal(source->read(1).pixels, images[1]));
  EXPECT_EQ(source->read(1).label, -1);
}

TEST_F(ImageSourceTest, ArraysOfOtherKindsAreRefused) {
  struct Case {
    std::map<std::string, at::Tensor> arrays;
    const char* message;
  };
  const auto images = pattern({2, 5, 7, 3});
  const Case cases[] = {
      {{{"images", images}}, "expected images in the array \"arr_0\""},
      {{{"arr_0", images.to(at::kFloat)}},
       "expected images uint8 [N, H, W, 3 or 1], found Float [2, 5, 7, 3]"},
      {{{"arr_0", pattern({5, 7, 3})}}, "found Byte [5, 7, 3]"},
      {{{"arr_0", pattern({2, 3, 5, 7})}}, "found Byte [2, 3, 5, 7]"},
      {{{"arr_0", pattern({0, 5, 7, 3})}}, "found Byte [0, 5, 7, 3]"},
      {{{"arr_0", images}, {"arr_1", at::zeros({3}, at::kLong)}},
       "expected integer labels [2], found Long [3]"},
      {{{"arr_0", images}, {"arr_1", at::zeros({2})}}, "expected integer labels [2], found Float [2]"},
  };
  for (const Case& c : cases) {
    io::write_npz(file("batch.npz"), c.arrays);
    EXPECT_TRUE(contains(message_of<InputError>([&] { open_images(file("batch.npz")); }), c.message));
  }
}

TEST_F(ImageSourceTest, IdxHasItsLabelsBesideIt) {
  const auto images = pattern({3, 5, 7});
  const std::string plain = io::idx_of({3, 5, 7}, raw_bytes(images)),
                    labels = io::idx_of({3}, std::string("\7\2\5"));
  struct Case {
    const char *images, *labels;
  };
  for (const Case& c :
       {Case{"t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"},
        Case{"a-images-idx3-ubyte", "a-labels-idx1-ubyte"},
        Case{"b-images-idx3-ubyte", "b-labels-idx1-ubyte.gz"},
        Case{"c-images.idx3-ubyte.gz", "c-labels.idx1-ubyte"}, Case{"d-images-idx3-ubyte", "unrelated"}}) {
    const auto pack = [](const std::string& name, const std::string& bytes) {
      return name.ends_with(".gz") ? io::gzip(bytes) : bytes;
    };
    put(c.images, pack(c.images, plain));
    put(c.labels, pack(c.labels, labels));
    const auto source = open_images(file(c.images));
    ASSERT_EQ(source->size(), 3) << c.images;
    EXPECT_TRUE(at::equal(source->read(2).pixels, images[2].unsqueeze(2).expand({5, 7, 3}))) << c.images;
    EXPECT_EQ(source->read(2).label, std::string(c.labels) == "unrelated" ? -1 : 5) << c.images;
  }
  put("t10k-labels-idx1-ubyte.gz", io::gzip(io::idx_of({2}, "ab")));
  EXPECT_TRUE(contains(message_of<InputError>([&] { open_images(file("t10k-images-idx3-ubyte.gz")); }),
                       "expected integer labels [3], found Byte [2]"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { open_images(file("a-labels-idx1-ubyte")); }),
                       "name the file of images"));
}

// Debian's dataset-fashion-mnist: 1,000 images of each of ten classes, and 6,000 of each to train on.
TEST(FashionMnist, HasItsImagesAndLabels) {
  const std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";
  ASSERT_TRUE(std::filesystem::exists(folder)) << "run tools/setup.sh evaluate, which installs it";
  const auto source = open_images(folder / "t10k-images-idx3-ubyte.gz");
  ASSERT_EQ(source->size(), 10'000);
  EXPECT_EQ(open_images(folder / "train-images-idx3-ubyte.gz")->size(), 60'000);
  std::vector<int> per_class(10, 0);
  for (int64_t i = 0; i < source->size(); ++i) {
    const SourceImage image = source->read(i);
    ASSERT_EQ(image.pixels.sizes(), (at::IntArrayRef{28, 28, 3}));
    ++per_class.at(static_cast<size_t>(image.label));
  }
  EXPECT_EQ(per_class, std::vector<int>(10, 1000));
}

TEST_F(ImageSourceTest, WhatIsNoSetOfImagesIsRefused) {
  put("text.txt", "hello");
  put("one.jpg", "\xff\xd8\xff");
  put("empty", "");
  put("set.zip", io::build::zip({{.name = "a.txt", .data = "x", .alignment = 1}}, false));
  put("cut.zip", bytes_of("set.zip").substr(0, 40));
  std::filesystem::create_directory(file("folder"));
  const std::pair<const char*, const char*> cases[] = {
      {"missing", "missing: cannot be opened: No such file"},
      {"text.txt", "expected a set of images (a folder, .zip, .npz, .npy or IDX file), found another kind"},
      {"one.jpg", "found a single image"},
      {"empty", "found another kind of file"},
      {"set.zip", "expected PNG or JPEG images, found none"},
      {"cut.zip", "cannot be read as zip"},
      {"folder", "expected PNG or JPEG images, found none"}};
  for (const auto& [name, message] : cases)
    EXPECT_TRUE(contains(message_of<InputError>([&] { open_images(file(name)); }), message));
}

TEST(SolidsSource, HasTheImagesThatTrainingSees) {
  const auto source = solids(/*held_out=*/false, 10, 32, 20), held_out = solids(true, 10, 32, 20);
  const auto batch = solids_to_learn(32)->batch(/*step=*/2, 10);
  for (int64_t i = 0; i < 10; ++i) {
    const SourceImage image = source->read(i);
    EXPECT_TRUE(at::equal(image.pixels.permute({2, 0, 1}), batch.images[i])) << i;
    EXPECT_EQ(image.label, batch.labels[i].item<int64_t>()) << i;
    EXPECT_EQ(image.name, std::to_string(20 + i));
    EXPECT_FALSE(at::equal(image.pixels, held_out->read(i).pixels)) << i;
  }
  EXPECT_THROW(source->read(10), std::out_of_range);
  EXPECT_THROW(source->read(-1), std::out_of_range);
  EXPECT_THROW(solids(false, 1, 8), std::invalid_argument);
  EXPECT_THROW(solids(false, -1, 64), std::invalid_argument);
}

TEST(SubsetSource, PicksImagesInItsOrder) {
  const std::shared_ptr<const ImageSource> all = solids(true, 7, 16);
  const auto some = subset(all, {5, 0, 5}), first = first_n(all, 3), more = first_n(all, 9);
  EXPECT_EQ(names_of(*some), (std::vector<std::string>{"5", "0", "5"}));
  EXPECT_EQ(names_of(*first), (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(more->size(), 7);
  EXPECT_EQ(some->name(), "solids, held out, 3 of it");
  EXPECT_THROW(subset(all, {7}), std::out_of_range);
  EXPECT_THROW(some->read(3), std::out_of_range);
  EXPECT_THROW(some->read(-1), std::out_of_range);
}

}  // namespace
}  // namespace switchyard::data
