#include "pipeline/fill_set.h"

#include <stdexcept>
#include <vector>

#include "io/png.h"
#include "io/write_queue.h"

namespace switchyard::pipeline {

PlanDrawn fill(Session& session, const ImagePlan& plan, const ImageSet& set, const FillOptions& options,
               const PlanObserver& observer) {
  const auto [index, of] = options.shard;
  if (of < 1 || index < 0 || index >= of) {
    throw std::invalid_argument("shard: expected one of 1 .. " + std::to_string(of) + ", got " +
                                std::to_string(index + 1));
  }
  std::vector<size_t> missing;
  int64_t there = 0;
  for (size_t i = 0; i < plan.size(); ++i) {
    if (!options.shard.has(i)) continue;
    if (set.has(i)) {
      ++there;
    } else {
      missing.push_back(i);
    }
  }
  io::WriteQueue writer;
  const auto write = [&](size_t image, const at::Tensor& pixels, const auto& text) {
    writer.add([file = set.file(image), pixels, entries = text()] { io::write_png(file, pixels, entries); });
  };
  const auto drawn = draw_plan(session, plan, missing, there, options.batch_size, write, observer);
  writer.finish();
  return drawn;
}

}  // namespace switchyard::pipeline
