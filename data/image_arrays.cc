// Image sets of one array: ADM's .npz batches, .npy and IDX files.
#include <ATen/ATen.h>

#include <stdexcept>

#include "data/open_images.h"
#include "io/error.h"
#include "io/idx.h"
#include "io/npy.h"
#include "io/npz.h"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;

class ImageArray : public ImageSource {
 public:
  // images: uint8 [N, H, W, 3 or 1]; labels: integers [N], or undefined.
  ImageArray(const fs::path& path, at::Tensor images, at::Tensor labels)
      : path_(path.string()), images_(std::move(images)), labels_(std::move(labels)) {
    if (images_.scalar_type() != at::kByte || images_.dim() != 4 || images_.numel() == 0 ||
        (images_.size(3) != 3 && images_.size(3) != 1))
      throw io::InputError(c10::str(path_, ": expected images uint8 [N, H, W, 3 or 1], found ",
                                    c10::toString(images_.scalar_type()), " ", images_.sizes()));
    if (!labels_.defined()) return;
    if (!at::isIntegralType(labels_.scalar_type(), /*includeBool=*/false) || labels_.dim() != 1 ||
        labels_.size(0) != images_.size(0))
      throw io::InputError(c10::str(path_, ": expected integer labels [", images_.size(0), "], found ",
                                    c10::toString(labels_.scalar_type()), " ", labels_.sizes()));
    labels_ = labels_.to(at::kLong).contiguous();
  }
  int64_t size() const override { return images_.size(0); }
  std::string name() const override { return path_; }
  SourceImage read(int64_t i) const override {
    if (i < 0 || i >= size()) throw std::out_of_range(c10::str(path_, ": no image ", i, " of ", size()));
    const at::Tensor image = images_.select(0, i);
    return {image.size(2) == 3 ? image.clone() : image.expand({-1, -1, 3}).contiguous(), label_of(i),
            name_of(i)};
  }
  int64_t label_of(int64_t i) const override {
    return labels_.defined() ? labels_.const_data_ptr<int64_t>()[i] : -1;
  }
  std::string name_of(int64_t i) const override { return "image " + std::to_string(i); }

 private:
  std::string path_;
  at::Tensor images_, labels_;
};

// The file of labels beside a file of images: the name says so, and .gz may be there or not.
fs::path labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  for (const char* separator : {"-", "."}) {
    const std::string kind = std::string("images") + separator + "idx3";
    const size_t at = name.rfind(kind);
    if (at == name.npos) continue;
    name.replace(at, kind.size(), std::string("labels") + separator + "idx1");
    const std::string other = name.ends_with(".gz") ? name.substr(0, name.size() - 3) : name + ".gz";
    for (const std::string& candidate : {name, other})
      if (fs::exists(images.parent_path() / candidate)) return images.parent_path() / candidate;
  }
  return {};
}

}  // namespace

std::unique_ptr<ImageSource> open_npz(const fs::path& path) {
  auto arrays = io::read_npz(path, {"arr_0", "arr_1"});
  if (!arrays.contains("arr_0"))
    throw io::InputError(path.string() + ": expected images in the array \"arr_0\", found no such array");
  return std::make_unique<ImageArray>(path, arrays["arr_0"], arrays["arr_1"]);
}

std::unique_ptr<ImageSource> open_npy(const fs::path& path) {
  return std::make_unique<ImageArray>(path, io::read_npy(path), at::Tensor());
}

std::unique_ptr<ImageSource> open_idx(const fs::path& path) {
  const at::Tensor images = io::read_idx(path);
  if (images.dim() != 3)
    throw io::InputError(c10::str(path.string(), ": expected images [N, H, W], found ", images.sizes(),
                                  images.dim() == 1 ? " (labels? name the file of images)" : ""));
  const fs::path labels = labels_beside(path);
  return std::make_unique<ImageArray>(path, images.unsqueeze(3),
                                      labels.empty() ? at::Tensor() : io::read_idx(labels));
}

}  // namespace switchyard::data
