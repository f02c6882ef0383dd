// Files written beside the work that makes them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace switchyard::io {

// Runs jobs on a thread of its own, in order. What waits is bounded, so that memory is; the first job that throws is
// the last one that runs, and add() and finish() throw what it threw.
class WriteQueue {
 public:
  explicit WriteQueue(std::size_t most_waiting = 32);
  ~WriteQueue();  // waits for the jobs that were added
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  void add(std::function<void()> job);  // waits while too many do
  void finish();                        // waits until all are done

 private:
  void work();
  void rethrow();  // with the lock held

  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool busy_ = false, closing_ = false;
  std::exception_ptr failure_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace switchyard::io
