#include "kernels/side_by_side.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <dlfcn.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace switchyard::kernels {
namespace {

// How many threads libtorch uses on behalf of this one. at::set_num_threads also sets it for every thread to come;
// OpenMP and MKL, which do the work, have a count per thread. Which OpenMP that is, libtorch knows; MKL is inside it,
// or is not.
void set_threads_of_this_thread(int count) {
  static const auto openmp = reinterpret_cast<void (*)(int)>(::dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  static const auto mkl = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_DEFAULT, "MKL_Set_Num_Threads_Local"));
  if (at::get_num_threads() == count)
    return;  // asked first: it sets what at::set_num_threads said, once per thread
  if (openmp != nullptr) openmp(count);
  if (mkl != nullptr) mkl(count);
}

// Threads that sleep until their one owner has work for them.
class Workers {
 public:
  // job(0) .. job(count - 1), each on its own thread; must not throw.
  void run(int64_t count, const std::function<void(int64_t)>& job) {
    while (std::ssize(threads_) < count)
      threads_.emplace_back(
          [this, index = std::ssize(threads_)](const std::stop_token& stop) { work(index, stop); });
    std::unique_lock lock(mutex_);
    job_ = &job;
    wanted_ = running_ = count;
    ++round_;
    wake_.notify_all();
    done_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  void work(int64_t index, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    uint64_t seen = 0;
    while (wake_.wait(lock, stop, [&] { return round_ != seen && index < wanted_; })) {
      seen = round_;
      lock.unlock();
      (*job_)(index);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable done_;
  const std::function<void(int64_t)>* job_ = nullptr;
  int64_t wanted_ = 0, running_ = 0;
  uint64_t round_ = 0;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace

void side_by_side(int64_t pieces, const std::function<void(int64_t)>& piece) {
  const int cores = at::get_num_threads();
  const int64_t workers = std::min<int64_t>(pieces, cores);
  if (workers <= 1) {
    for (int64_t i = 0; i < pieces; ++i) piece(i);
    return;
  }
  thread_local Workers own;
  const bool gradient = at::GradMode::is_enabled();
  std::vector<std::exception_ptr> failures(workers);
  own.run(workers, [&](int64_t worker) {
    set_threads_of_this_thread(static_cast<int>(cores / workers));
    const at::AutoGradMode mode(gradient);
    try {
      for (int64_t i = worker; i < pieces; i += workers) piece(i);
    } catch (...) {
      failures[worker] = std::current_exception();
    }
  });
  for (const auto& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace switchyard::kernels
