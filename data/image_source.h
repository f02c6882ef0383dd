// Sets of images, read one at a time: the one form in which folders, archives, batches and rendered data
// reach metrics and training.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/png.h"

namespace switchyard::data {

struct SourceImage {
  at::Tensor pixels;   // [H, W, 3] uint8, of its own memory; sizes may differ within a source
  int64_t label = -1;  // class, -1 where unknown
  std::string name;    // for messages: path within the source, or number
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual int64_t size() const = 0;
  /// Image i from 0 to size() - 1; from any thread, several at once. io::InputError names the image;
  /// std::out_of_range.
  virtual SourceImage read(int64_t i) const = 0;
  /// What this is, for people: the path, or "solids, held out".
  virtual std::string name() const = 0;
  /// What read(i) would say, mostly without decoding it.
  virtual int64_t label_of(int64_t i) const { return read(i).label; }
  virtual std::string name_of(int64_t i) const { return read(i).name; }
  /// By label; empty where classes have numbers alone, or there are none.
  virtual std::vector<std::string> class_names() const { return {}; }
};

/// Opens what lies at `path`; nothing is decoded yet.
///
/// - A folder, with all below it, sorted by path as bytes: PNG and JPEG files. Hidden files and files of other
///   kinds are passed over, but images of kinds that cannot be read (.webp, .gif, ...) are members whose
///   read() fails. Where every image lies in a sub-folder, that is its class: numbered in sorted order, or
///   itself the number where all of them are numbers. Folders that hold everything do not count for this.
/// - A .zip of images, by the same rules.
/// - An .npz in ADM's layout: arr_0 uint8 [N, H, W, 3] or [N, H, W, 1], arr_1 labels [N] where there are any;
///   other arrays are not looked at. Stored arrays stay in the file, deflated ones are held in memory (up to
///   4 GiB). A .npy: the same array alone.
/// - An IDX file of images (MNIST and its likes), *-images-idx3-ubyte, labels in *-labels-idx1-ubyte beside
///   it; either with .gz, held in memory. Grey becomes RGB.
///
/// io::InputError: nothing there, none of these, no images in it, damaged.
std::unique_ptr<ImageSource> open_images(const std::filesystem::path& path,
                                         io::Alpha alpha = io::Alpha::drop);

/// `count` of the solids (solids.h) from number `first` of the validation split where held out, else of the
/// training split; [size, size, 3].
std::unique_ptr<ImageSource> solids(bool held_out, int64_t count, int64_t size, int64_t first = 0);

/// Images `indices` of `source`, in that order. std::out_of_range.
std::unique_ptr<ImageSource> subset(std::shared_ptr<const ImageSource> source, std::vector<int64_t> indices);

/// The first n, or all where there are fewer.
std::unique_ptr<ImageSource> first_n(std::shared_ptr<const ImageSource> source, int64_t n);

}  // namespace switchyard::data
