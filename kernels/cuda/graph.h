// GPU work recorded once and replayed by one launch: a CUDA graph.
//
// graph.cc does it with libtorch's at::cuda::CUDAGraph, where libtorch's CUDA libraries are linked; elsewhere
// no_graph.cc, which records nothing.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace switchyard::kernels::cuda {

class Graph {
 public:
  virtual ~Graph() = default;

  /// Queues everything that was recorded on the current stream, and does not wait for it. It reads and writes
  /// the same memory each time: the tensors that the work used must still be there.
  virtual void replay() = 0;
};

/// Calls `work` three times on a stream of its own: to warm up, to see whether it waits for the GPU anywhere
/// inside, and to record it. Memory that it allocates while being recorded belongs to the graph. Waits for
/// the device before and after. While it looks whether `work` waits, other threads of the process must not
/// wait for a GPU: libtorch would refuse it to them too. One recording is made at a time. Null where nothing can be recorded: no GPU in this build, another device, or
/// work that waits. What `work` throws the first time is thrown on.
std::unique_ptr<Graph> record(c10::Device device, const std::function<void()>& work);

/// Calls `work`; false: an operation of libtorch inside it would have waited for the GPU, and was refused.
/// Always true where there is no GPU to wait for (can_refuse_to_wait() is false). Other errors are thrown on.
/// The refusal is the whole process's: see record().
bool runs_without_waiting(const std::function<void()>& work);

/// Whether this build has a way to refuse: libtorch's CUDA libraries are linked.
bool can_refuse_to_wait();

}  // namespace switchyard::kernels::cuda
