#include "app/gui/studio/exports.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <charconv>
#include <cmath>
#include <sstream>
#include <stdexcept>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

#include "figures/canvas.h"
#include "io/atomic_file.h"
#include "io/error.h"
#include "pipeline/classes.h"

namespace switchyard::studio {
namespace {

namespace fs = std::filesystem;

bool holds(const fs::path& file, const io::TextEntries& text) {
  try {
    return io::read_png(file).text == text;
  } catch (const io::InputError&) {
    return false;  // whatever it is, it is not this image
  }
}

// Where an image goes: saving it twice leaves one file, and another image of the same class and seed (drawn with other
// settings) is left alone.
fs::path free_place(const fs::path& folder, const std::string& name, const io::TextEntries& text) {
  const fs::path wanted(name);
  auto file = folder / wanted;
  for (int number = 2; fs::exists(file) && !holds(file, text); ++number)
    file = folder / c10::str(wanted.stem().string(), "-", number, wanted.extension().string());
  return file;
}

// As short as it reads back exactly.
std::string text_of(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

std::vector<fs::path> save_images(const Run& run, const fs::path& folder, int64_t image) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw io::OutputError(folder.string() + ": cannot be made: " + failed.message());
  std::vector<fs::path> files;
  for (size_t i = 0; i < run.images.size(); ++i) {
    const auto& picture = run.images[i];
    if (!picture.finished() || (image >= 0 && static_cast<size_t>(image) != i)) continue;
    const auto& [label, seed] = run.request.images[i];
    files.push_back(free_place(folder, pipeline::image_file_name(run.config, label, seed), picture.text));
    io::write_png(files.back(), picture.pixels, picture.text);
  }
  return files;
}

std::string png_bytes(const at::Tensor& image) {
  std::string bytes;
  const auto add = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(size));
  };
  const auto whole = image.contiguous();
  const auto height = static_cast<int>(image.size(0)), width = static_cast<int>(image.size(1)),
             channels = static_cast<int>(image.size(2));
  stbi_write_png_to_func(add, &bytes, width, height, channels, whole.data_ptr<uint8_t>(), width * channels);
  return bytes;
}

void save_run_routing(const Run& run, const fs::path& file) {
  if (run.records.empty()) {
    throw std::invalid_argument(run.message.empty() ? "no routing was recorded" : run.message);
  }
  pipeline::save_routing(file, run.records.front(), run.records.size() > 1 ? &run.records.back() : nullptr);
}

void save_csv(const fs::path& file, const at::Tensor& matrix, const std::string& row,
              const std::string& column) {
  const auto values = (matrix.dim() == 1 ? matrix.unsqueeze(0) : matrix).to(at::kFloat).contiguous();
  const auto value = values.accessor<float, 2>();
  std::ostringstream text;
  text << row;
  for (int64_t c = 0; c < values.size(1); ++c) text << ',' << column << ' ' << c;
  for (int64_t r = 0; r < values.size(0); ++r) {
    text << '\n' << r;
    for (int64_t c = 0; c < values.size(1); ++c)
      text << ',' << (std::isnan(value[r][c]) ? "" : text_of(value[r][c]));
  }
  text << '\n';
  io::write_file(file, text.str());
}

void save_picture(const fs::path& file, const at::Tensor& rgba, int64_t zoom) {
  const auto opacity = rgba.narrow(2, 3, 1).to(at::kFloat) / 255;
  const auto rgb =
      (rgba.narrow(2, 0, 3).to(at::kFloat) * opacity + 255 * (1 - opacity)).round().to(at::kByte);
  io::write_png(file, figures::resized(rgb.contiguous(), rgb.size(0) * zoom, rgb.size(1) * zoom));
}

}  // namespace switchyard::studio
