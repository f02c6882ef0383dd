// CUDA graphs with libtorch: its allocator has to know of a recording, so that memory that the recorded work
// allocates and frees stays the graph's own.
#include "kernels/cuda/graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/util/Exception.h>

#include <mutex>
#include <string_view>

namespace switchyard::kernels::cuda {
namespace {

class RecordedGraph : public Graph {
 public:
  void replay() override { graph_.replay(); }

  void record(const std::function<void()>& work) {
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);  // other threads may do what they like
    try {
      work();
    } catch (...) {
      try {
        graph_.capture_end();  // the stream leaves the recording; that it holds nothing useful is known
      } catch (const std::exception&) {
      }
      throw;
    }
    graph_.capture_end();
  }

 private:
  at::cuda::CUDAGraph graph_;
};

// While it lives, operations of libtorch that wait for the GPU throw. The setting is the process's own.
class RefuseToWait {
 public:
  RefuseToWait() { c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR); }
  ~RefuseToWait() { c10::cuda::warning_state().set_sync_debug_mode(before_); }
  RefuseToWait(const RefuseToWait&) = delete;
  RefuseToWait& operator=(const RefuseToWait&) = delete;

 private:
  c10::cuda::SyncDebugMode before_ = c10::cuda::warning_state().get_sync_debug_mode();
};

}  // namespace

bool can_refuse_to_wait() { return true; }

bool runs_without_waiting(const std::function<void()>& work) {
  const RefuseToWait refuse;
  try {
    work();
  } catch (const c10::Error& error) {
    constexpr std::string_view kRefused = "synchronizing CUDA operation";  // warn_or_error_on_sync() of c10
    if (std::string_view(error.what_without_backtrace()).find(kRefused) == std::string_view::npos) throw;
    return false;
  }
  return true;
}

std::unique_ptr<Graph> record(c10::Device device, const std::function<void()>& work) {
  if (!device.is_cuda()) return nullptr;
  static std::mutex one_at_a_time;  // the refusal is a setting of the process
  const std::lock_guard lock(one_at_a_time);
  const c10::cuda::CUDAGuard on_device(device);
  c10::cuda::device_synchronize();  // what the work reads was queued on another stream
  const c10::cuda::CUDAStreamGuard on_stream(c10::cuda::getStreamFromPool(false, device.index()));
  work();  // libraries make their handles and choose their algorithms now, and may wait for that
  if (!runs_without_waiting(work)) {
    c10::cuda::device_synchronize();
    return nullptr;
  }
  c10::cuda::device_synchronize();
  auto graph = std::make_unique<RecordedGraph>();
  try {
    graph->record(work);
  } catch (const std::exception& error) {  // our own launches throw others than c10::Error
    TORCH_WARN("a step could not be recorded as a CUDA graph and goes on without: ", error.what());
    return nullptr;
  }
  c10::cuda::device_synchronize();
  return graph;
}

}  // namespace switchyard::kernels::cuda
