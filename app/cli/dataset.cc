// switchyard dataset: shows and exports the images that models are trained on.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>

#include "app/cli/commands.h"
#include "app/cli/interrupt.h"
#include "app/cli/progress.h"
#include "app/cli/usage.h"
#include "data/solids.h"
#include "figures/image_grid.h"
#include "io/near_misses.h"
#include "io/png.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using data::kSolidNames;
using data::Split;

constexpr int64_t kClasses = kSolidNames.size();

struct Options {
  fs::path sheet, folder;
  std::string split = "train";
  int64_t first = 0, per_class = 12, size = 64, zoom = 2, count = 100;
  bool quiet = false;
};

Split split_of(const std::string& name) {
  constexpr std::array<std::string_view, 2> known = {"train", "validation"};
  if (name == known[0]) return Split::train;
  if (name == known[1]) return Split::validation;
  throw std::invalid_argument("unknown split \"" + name + "\": " + io::near_misses(name, known));
}

// Images first .. first + n - 1, each [size, size, 3] uint8; on all cores.
std::vector<at::Tensor> render(Split split, uint64_t first, int64_t n, int64_t size) {
  std::vector<at::Tensor> images(static_cast<size_t>(n));
  for (auto& image : images) image = at::empty({size, size, 3}, at::kByte);
  at::parallel_for(0, n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      auto& image = images[static_cast<size_t>(i)];
      data::render_solid(split, first + static_cast<uint64_t>(i), static_cast<int>(size),
                         {image.mutable_data_ptr<uint8_t>(), static_cast<size_t>(image.numel())});
    }
  });
  return images;
}

// One row per class. Any ten images in a row hold every class once.
void write_sheet(const Options& options, Split split, Progress& progress) {
  constexpr int64_t kAtATime = 10 * kClasses;
  const int64_t n = kClasses * options.per_class;
  std::array<std::vector<at::Tensor>, kClasses> rows;
  for (int64_t done = 0; done < n; done += kAtATime) {
    stop_if_interrupted();
    const uint64_t first = static_cast<uint64_t>(options.first) + static_cast<uint64_t>(done);
    const auto images = render(split, first, std::min(kAtATime, n - done), options.size);
    for (size_t i = 0; i < images.size(); ++i)
      rows[static_cast<size_t>(data::solid_class(split, first + i))].push_back(images[i]);
  }
  stop_if_interrupted();
  std::vector<at::Tensor> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  io::write_png(options.sheet, figures::image_grid(all, options.per_class, 2, options.zoom));
  progress.result(options.sheet.string());
}

void export_images(const Options& options, Split split, Progress& progress) {
  constexpr int64_t kAtATime = 64;
  create_folder(options.folder);
  const auto start = std::chrono::steady_clock::now();
  for (int64_t done = 0; done < options.count; done += kAtATime) {
    const uint64_t first = static_cast<uint64_t>(options.first) + static_cast<uint64_t>(done);
    const auto images = render(split, first, std::min(kAtATime, options.count - done), options.size);
    for (size_t i = 0; i < images.size(); ++i) {
      stop_if_interrupted();
      std::string name(kSolidNames[static_cast<size_t>(data::solid_class(split, first + i))]);
      std::ranges::replace(name, ' ', '-');
      char index[32];
      std::snprintf(index, sizeof index, "%06llu-", static_cast<unsigned long long>(first + i));
      const auto file = options.folder / (index + name + ".png");
      io::write_png(file, images[i]);
      progress.result(file.string());
    }
    const auto written = done + static_cast<int64_t>(images.size());
    const double share = static_cast<double>(written) / static_cast<double>(options.count);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    progress.show(share, "image " + std::to_string(written) + "/" + std::to_string(options.count),
                  seconds * (1 - share) / share);
  }
}

void dataset(const Options& options) {
  const auto split = split_of(options.split);
  require_range("--size", options.size, 16, 512);
  require_range("--per-class", options.per_class, 1, 400);
  require_range("--zoom", options.zoom, 1, 64);
  require_range("--count", options.count, 1, 10'000'000);
  require_range("--first", options.first, 0, INT64_MAX / 2);
  if (options.sheet.empty() && options.folder.empty())
    throw std::invalid_argument("nothing to write: add --sheet or --export");
  if (!options.sheet.empty()) {
    const int64_t side = std::max(options.per_class, kClasses) * (options.size * options.zoom + 2);
    if (side > 32'768)
      throw std::invalid_argument(
          "--sheet: more than 32768 pixels wide or high: lower --per-class, --size or --zoom");
    require_writable("--sheet", options.sheet, ".png");
  }
  Progress progress(options.quiet);
  if (!options.sheet.empty()) write_sheet(options, split, progress);
  if (!options.folder.empty()) export_images(options, split, progress);
}

}  // namespace

void add_dataset_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command = *program.add_subcommand("dataset", "Show or export the images that models are trained on");
  command.add_option("--sheet", options->sheet, "One picture of many images, one row per class")
      ->type_name("FILE.png");
  command
      .add_option("--export", options->folder,
                  "Folder for images as files, named like 000123-sphere.png (index, class)")
      ->type_name("DIR");
  command.add_option("--split", options->split, "train or validation; default: train")->type_name("NAME");
  command.add_option("--first", options->first, "Index of the first image; default: 0")->type_name("I");
  command.add_option("--size", options->size, "Side of an image in pixels, 16 to 512; default: 64")
      ->type_name("N");
  command.add_option("--per-class", options->per_class, "Images of each class on the sheet; default: 12")
      ->type_name("N");
  command.add_option("--zoom", options->zoom, "Size of a pixel on the sheet; default: 2")->type_name("N");
  command.add_option("--count", options->count, "Images to export; default: 100")->type_name("N");
  command.add_flag("--quiet", options->quiet, "No progress on stderr");
  command.footer(
      "Example: what the embedded model learned from\n"
      "  switchyard dataset --sheet sheet.png");
  command.callback([options] { dataset(*options); });
}

}  // namespace switchyard::app
