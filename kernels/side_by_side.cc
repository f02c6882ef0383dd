#include "kernels/side_by_side.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <future>
#include <vector>

namespace switchyard::kernels {

void side_by_side(int64_t pieces, const std::function<void(int64_t)>& piece) {
  const int cores = at::get_num_threads();
  const int64_t workers = std::min<int64_t>(pieces, cores);
  if (workers <= 1) {
    for (int64_t i = 0; i < pieces; ++i) piece(i);
    return;
  }
  const bool gradient = at::GradMode::is_enabled();
  std::vector<std::future<void>> running;
  for (int64_t worker = 0; worker < workers; ++worker) {
    running.push_back(std::async(std::launch::async, [&, worker] {
      at::set_num_threads(static_cast<int>(std::max<int64_t>(1, cores / workers)));
      at::GradMode::set_enabled(gradient);
      for (int64_t i = worker; i < pieces; i += workers) piece(i);
    }));
  }
  for (auto& worker : running) worker.wait();
  at::set_num_threads(cores);  // the count is kept per thread, but some libraries share it
  for (auto& worker : running) worker.get();
}

}  // namespace switchyard::kernels
