#include "app/cli/sample_outputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "app/cli/usage.h"
#include "figures/image_grid.h"
#include "figures/routing_picture.h"
#include "io/png.h"
#include "pipeline/classes.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxGridSide = 32'768;  // of a PNG file
constexpr int64_t kGridGap = 2;

// One row per class when there are several images of each, else about twice as wide as high.
int64_t columns_of(const SampleOptions& options, size_t images) {
  const auto wide = static_cast<int64_t>(std::ceil(std::sqrt(2.0 * static_cast<double>(images))));
  return options.columns.value_or(options.count > 1 ? options.count : wide);
}

// Files that need not be there yet: "grid.png" is "./grid.png".
bool same_place(const fs::path& a, const fs::path& b) {
  return !a.empty() && !b.empty() &&
         fs::weakly_canonical(fs::absolute(a)) == fs::weakly_canonical(fs::absolute(b));
}

// A record of each kind of router that the model has, the tokens' first.
std::vector<pipeline::RoutingRecord> records_of(const SampleOptions& options, const dit::ModelConfig& config,
                                                const pipeline::Request& request) {
  std::vector<pipeline::RoutingRecord> records;
  if (options.map.empty() && options.routing.empty()) return records;
  records.emplace_back(config, request);
  if (config.routes_tokens() && config.routes_timesteps() && !options.routing.empty())
    records.emplace_back(config, request, pipeline::Router::timesteps);
  return records;
}

}  // namespace

SampleOutputs::SampleOutputs(const SampleOptions& options, const pipeline::Session& session,
                             const pipeline::Request& request)
    : options_(options),
      request_(request),
      config_(session.config()),
      columns_(columns_of(options, request.images.size())) {
  if (options.no_images && options.grid.empty() && options.map.empty() && options.routing.empty())
    throw std::invalid_argument("--no-images leaves nothing to write: add --grid, --map or --routing");
  require_range("--zoom", options.zoom, 1, 64);
  if (options.columns) require_range("--columns", *options.columns, 1, kMaxGridSide);
  if (!options.grid.empty()) require_fitting_grid(session.image_size());
  records_ = records_of(options, config_, request);
  require_writable_outputs();
}

std::function<bool(const pipeline::StepRouting&)> SampleOutputs::recorder() {
  if (records_.empty()) return {};
  return [this](const pipeline::StepRouting& routing) {
    for (auto& record : records_) record.add(routing);
    return true;
  };
}

void SampleOutputs::add(const pipeline::ImageFinished& finished, pipeline::Session& session, Progress& progress) {
  if (!options_.no_images) {
    const auto index = static_cast<size_t>(finished.image);
    const auto file = file_of(request_.images[index]);
    io::write_png(file, finished.pixels, session.text_of(request_, index));
    progress.result(file.string());
  }
  if (!options_.grid.empty() || !options_.map.empty()) kept_.push_back(finished.pixels);
}

void SampleOutputs::finish(Progress& progress) {
  if (!options_.grid.empty()) {
    io::write_png(options_.grid, figures::image_grid(kept_, columns_, kGridGap, options_.zoom));
    progress.result(options_.grid.string());
  }
  if (!options_.map.empty()) {
    io::write_png(options_.map, figures::routing_picture(records_.front(), kept_));
    progress.result(options_.map.string());
  }
  if (!options_.routing.empty()) {
    pipeline::save_routing(options_.routing, records_.front(), records_.size() > 1 ? &records_.back() : nullptr);
    progress.result(options_.routing.string());
  }
}

fs::path SampleOutputs::file_of(const pipeline::Image& image) const {
  return options_.out / pipeline::image_file_name(config_, image.label, image.seed);
}

void SampleOutputs::require_fitting_grid(int64_t image_side) const {
  const auto images = static_cast<int64_t>(request_.images.size());
  const int64_t columns = std::min(columns_, images);
  const int64_t longest = std::max(columns, (images + columns - 1) / columns);
  const int64_t side = longest * image_side * options_.zoom + (longest - 1) * kGridGap;
  if (side <= kMaxGridSide) return;
  throw std::invalid_argument("--grid: " + std::to_string(images) + " images in " + std::to_string(columns) +
                              " columns make a side of " + std::to_string(side) + " pixels, more than " +
                              std::to_string(kMaxGridSide) + ": set --columns, --zoom or --count");
}

void SampleOutputs::require_writable_outputs() const {
  const auto require_not_the_source = [&](const fs::path& file) {
    std::error_code missing;
    if (options_.from.empty() || !fs::equivalent(file, options_.from, missing)) return;
    throw std::invalid_argument("this would overwrite the image of --from, " + options_.from.string() +
                                ": choose another name");
  };
  const auto &grid = options_.grid, &map = options_.map, &routing = options_.routing;
  require_not_the_source(grid);
  require_not_the_source(map);
  if (same_place(grid, map))
    throw std::invalid_argument("--grid and --map name the same file, " + grid.string());
  if (!options_.no_images) {
    const bool pictures = !grid.empty() || !map.empty();
    for (size_t i = 0; pictures && i < request_.images.size(); ++i) {
      const auto file = file_of(request_.images[i]);
      if (same_place(file, grid) || same_place(file, map))
        throw std::invalid_argument("--grid or --map would overwrite an image of this run, " + file.string());
    }
    create_folder(options_.out);  // first: the others may lie in it
  }
  if (!grid.empty()) require_writable("--grid", grid, ".png");
  if (!map.empty()) require_writable("--map", map, ".png");
  if (!routing.empty()) require_writable("--routing", routing, ".npz");
  if (options_.no_images) return;
  if (!options_.from.empty()) {
    for (const auto& image : request_.images) require_not_the_source(file_of(image));
  }
  require_writable("--out", file_of(request_.images.front()), ".png");
}

}  // namespace switchyard::app
