#include "app/gui/studio/album.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace switchyard::studio {
namespace {

std::vector<AlbumPatch> patches_of(const Run& run, const ExpertOf& whom, size_t count) {
  const auto* record = run.record(whom.router);
  pipeline::Span span{.half = whom.half};
  for (size_t i = 0; i < run.images.size(); ++i)
    if (run.images[i].finished()) span.images.push_back(static_cast<int64_t>(i));
  if (record == nullptr || span.images.empty()) return {};
  std::vector<AlbumPatch> found;
  for (const auto& patch :
       pipeline::strongest_patches(*record, span, whom.layer, whom.expert, static_cast<int64_t>(count)))
    found.push_back({run.id, patch});
  return found;
}

}  // namespace

std::vector<AlbumPatch> Album::of(const std::list<Run>& runs, const ExpertOf& whom, size_t count) {
  if (!(whom == whom_) || count != count_) seen_.clear();
  whom_ = whom, count_ = count;
  std::erase_if(
      seen_, [&](const auto& seen) { return std::ranges::find(runs, seen.first, &Run::id) == runs.end(); });
  std::vector<AlbumPatch> all;
  if (whom.half == pipeline::Half::difference) return all;
  for (const auto& run : runs) {
    if (run.model != whom.model) continue;
    auto [seen, fresh] = seen_.try_emplace(run.id);
    if (fresh || seen->second.version != run.version)
      seen->second = {run.version, patches_of(run, whom, count)};
    all.insert(all.end(), seen->second.patches.begin(), seen->second.patches.end());
  }
  std::ranges::stable_sort(all, std::greater(), [](const AlbumPatch& one) { return one.patch.weight; });
  if (all.size() > count) all.resize(count);
  return all;
}

Crop crop_of(const at::Tensor& image, int64_t patch, int64_t side, int64_t around) {
  const int64_t size = image.size(1) / side, shown = std::min(side, 1 + 2 * around);
  const auto first = [&](int64_t index) { return std::clamp<int64_t>(index - around, 0, side - shown); };
  const int64_t row = patch / side, column = patch % side, top = first(row), left = first(column);
  return {image.narrow(0, top * size, shown * size).narrow(1, left * size, shown * size),
          (column - left) * size, (row - top) * size, size};
}

}  // namespace switchyard::studio
