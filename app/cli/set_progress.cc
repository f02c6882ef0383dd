#include "app/cli/set_progress.h"

#include "app/cli/interrupt.h"

namespace switchyard::app {

pipeline::PlanObserver plan_observer(Progress& progress) {
  pipeline::PlanObserver observer;
  observer.stop = interrupted;
  observer.smaller_batches = [&progress](int64_t batch) {
    progress.warn("out of memory: going on with batches of " + std::to_string(batch));
  };
  return observer;
}

void pack(const std::vector<std::filesystem::path>& files,
          const std::vector<pipeline::ImageSet::Entry>& entries, const std::filesystem::path& npz,
          Progress& progress) {
  const auto packed = [&](int64_t count) {
    progress.show(static_cast<double>(count) / static_cast<double>(files.size()), "packing", 0);
    return !interrupted();
  };
  if (!pipeline::pack(files, entries, npz, packed)) throw Cancelled();
}

}  // namespace switchyard::app
