// In the place of graph.cc where libtorch's CUDA libraries are not linked.
#include "kernels/cuda/graph.h"

namespace switchyard::kernels::cuda {

std::unique_ptr<Graph> record(c10::Device, const std::function<void()>&) { return nullptr; }

bool can_refuse_to_wait() { return false; }

bool runs_without_waiting(const std::function<void()>& work) {
  work();
  return true;
}

}  // namespace switchyard::kernels::cuda
