// The scheduler: blocks one after the other, their threads as fibers, each running until it waits.
#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "emulator.h"
#include "fiber.h"
#include "shared_memory.h"
#include "tsan.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace switchyard::emulator {
namespace {

using Order = Schedule::Order;

struct Copy {
  void* to;
  const void* from;
  int bytes, source_bytes;
  unsigned group;
  bool done;
};

struct Thread {
  enum class State { ready, at_barrier, at_warp_operation, ended };

  Fiber fiber;
  int number = 0;  // in its block
  uint3 index = {};
  State state = State::ready;
  Place place;  // of the barrier or warp operation that it is in or came to last
  unsigned mask = 0;
  WarpOperation operation = nullptr;
  Lane lane = {};
  unsigned warp_syncs = 0;
  unsigned groups_committed = 0;
  std::vector<Copy> copies;
};

// Tokens for ThreadSanitizer: whoever releases one comes before whoever acquires it. Consecutive barriers use
// different ones, so that a thread that runs ahead is not ordered before those that have not yet left the
// last barrier.
using Tokens = std::array<char, 2>;

class Machine {
 public:
  void run(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(void*), void* arguments);
  void set_schedule(const Schedule& schedule) { schedule_ = schedule; }

  [[noreturn]] void fail(const std::string& message);
  int barrier(int contribution, const Place& place);
  void warp_operation(unsigned mask, WarpOperation operation, Lane lane, std::size_t size, bool orders_memory,
                      const Place& place);
  void copy_async(const Copy& copy);
  void wait_copies(int groups_left);

  Thread& self() { return *running_; }
  SharedMemory& shared() { return shared_; }
  void thread_main();

 private:
  void resize(std::size_t threads);
  void run_block(uint3 index);
  void prepare_threads();
  void shuffle_ranks();
  void wake(int number) {
    threads_[static_cast<std::size_t>(number)]->state = Thread::State::ready;
    ready_.push_back(number);
  }
  void wake_all();
  Thread* next();
  void switch_to_next(bool ends = false);
  void switch_to(Thread* to, bool ends = false);
  std::string who_waits() const;
  void abandon();
  std::uint64_t draw(std::uint64_t below) { return random_() % below; }

  std::mutex one_launch_;
  Schedule schedule_ = kSchedules[0];
  std::mt19937_64 random_;
  void (*kernel_)(void*) = nullptr;
  void* arguments_ = nullptr;

  Thread host_;
  Thread* running_ = &host_;
  std::vector<std::unique_ptr<Thread>> threads_;
  char* stacks_ = nullptr;  // two per thread: see set_
  std::size_t stacks_for_ = 0;
  int thread_count_ = 0, alive_ = 0;
  std::vector<int> rank_;   // thread numbers in the order in which they start and leave barriers
  std::vector<int> ready_;  // a stack: the next to run is the last
  std::string error_;
  SharedMemory shared_;

  int at_barrier_ = 0, contributions_ = 0, barrier_result_ = 0;
  unsigned barriers_ = 0;
  std::vector<unsigned> arrived_;  // lanes of each warp that wait at a warp operation

  // For ThreadSanitizer, blocks use two sets of fibers in turn: blocks of different sets are not ordered, so
  // that races between neighbouring blocks show; those of one set are, so that stacks and shared memory can
  // be used again.
  int set_ = 0;
  std::array<unsigned, 2> set_uses_ = {};
  std::array<std::vector<void*>, 2> tsan_fibers_;
  char launch_begins_ = 0, launch_ends_ = 0;
  std::array<Tokens, 2> set_tokens_ = {}, barrier_tokens_ = {};
  std::vector<std::array<Tokens, 2>> warp_tokens_;
};

Machine machine;

std::string text(const Place& place) {
  return std::string(place.file_name()) + ":" + std::to_string(place.line());
}

std::string text(const uint3& i) {
  std::string all("(");
  for (const unsigned part : {i.x, i.y, i.z}) all.append(std::to_string(part)).append(",");
  all.back() = ')';
  return all;
}

bool same(const Place& a, const Place& b) {
  return a.line() == b.line() && std::strcmp(a.file_name(), b.file_name()) == 0;
}

void Machine::run(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(void*), void* arguments) {
  constexpr std::size_t kMaxThreads = 1024, kMaxSharedBytes = 227 * 1024;
  const std::scoped_lock lock(one_launch_);
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  const std::size_t blocks = std::size_t{grid.x} * grid.y * grid.z;
  if (blocks == 0 || grid.y > 65535 || grid.z > 65535) throw Error("launch: the grid is empty or too large");
  if (threads == 0 || threads > kMaxThreads || block.z > 64)
    throw Error("launch: the block is empty or too large");
  if (shared_bytes > kMaxSharedBytes) throw Error("launch: too much dynamic shared memory");

  thread_count_ = static_cast<int>(threads);
  blockDim = block;
  gridDim = grid;
  kernel_ = kernel;
  arguments_ = arguments;
  random_.seed(schedule_.seed);
  resize(threads);
  std::iota(rank_.begin(), rank_.end(), 0);
  if (schedule_.order == Order::reverse) std::reverse(rank_.begin(), rank_.end());
  std::vector<std::size_t> order(blocks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (schedule_.order == Order::reverse) std::reverse(order.begin(), order.end());
  if (schedule_.order == Order::random) std::shuffle(order.begin(), order.end(), random_);

  host_.fiber.tsan_fiber = tsan::current();
  tsan::release(&launch_begins_);
  for (const std::size_t i : order) {
    shared_.start_block(shared_bytes, set_ ^ 1);
    run_block({static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
               static_cast<unsigned>(i / (std::size_t{grid.x} * grid.y))});
    shared_.end_block();
    if (!error_.empty()) {
      abandon();
      throw Error(error_);
    }
  }
  tsan::acquire(&launch_ends_);
}

void Machine::resize(std::size_t threads) {
  while (threads_.size() < threads) {
    threads_.push_back(std::make_unique<Thread>());
    threads_.back()->number = static_cast<int>(threads_.size()) - 1;
  }
  if (stacks_for_ < threads) {
    if (stacks_) munmap(stacks_, 2 * stacks_for_ * kStackBytes);
    stacks_for_ = threads;
    void* stacks = mmap(nullptr, 2 * threads * kStackBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) throw Error("launch: no memory for the threads' stacks");
    stacks_ = static_cast<char*>(stacks);
  }
  rank_.resize(threads);
  warp_tokens_.resize((threads + 31) / 32);
}

void Machine::run_block(uint3 index) {
  set_ ^= 1;
  ++set_uses_[static_cast<std::size_t>(set_)];
  blockIdx = index;
  error_.clear();
  ready_.clear();
  alive_ = thread_count_;
  at_barrier_ = 0;
  arrived_.assign((static_cast<std::size_t>(thread_count_) + 31) / 32, 0);
  if (schedule_.order == Order::random) shuffle_ranks();
  prepare_threads();
  wake_all();
  switch_to_next();
  if (error_.empty() && alive_ > 0) error_ = "block " + text(index) + " cannot go on: " + who_waits();
}

void Machine::prepare_threads() {
  auto& tsan_fibers = tsan_fibers_[static_cast<std::size_t>(set_)];
  for (int i = 0; i < thread_count_; ++i) {
    const auto number = static_cast<unsigned>(i);
    Thread& thread = *threads_[number];
    thread.index = {number % blockDim.x, number / blockDim.x % blockDim.y,
                    number / (blockDim.x * blockDim.y)};
    thread.warp_syncs = 0;
    thread.groups_committed = 0;
    thread.copies.clear();
    thread.fiber.stack = stacks_ + (2 * std::size_t{number} + static_cast<std::size_t>(set_)) * kStackBytes;
    if (tsan_fibers.size() <= number) tsan_fibers.push_back(tsan::create());
    thread.fiber.tsan_fiber = tsan_fibers[number];
    prepare(thread.fiber, [] { machine.thread_main(); });
  }
}

// Warps in random order, lanes in random order within each.
void Machine::shuffle_ranks() {
  std::vector<int> warps((rank_.size() + 31) / 32);
  std::iota(warps.begin(), warps.end(), 0);
  std::shuffle(warps.begin(), warps.end(), random_);
  auto next = rank_.begin();
  for (const int warp : warps) {
    const auto first = next;
    for (int number = warp * 32; number < std::min(warp * 32 + 32, thread_count_); ++number) *next++ = number;
    std::shuffle(first, next, random_);
  }
}

void Machine::thread_main() {
  arrived_first(self().fiber);
  const auto set = static_cast<std::size_t>(set_);
  tsan::acquire(&launch_begins_);
  tsan::acquire(&set_tokens_[set][set_uses_[set] & 1]);
  kernel_(arguments_);
  if (!self().copies.empty()) fail("a thread ends with asynchronous copies that it did not wait for");
  tsan::release(&launch_ends_);
  tsan::release(&set_tokens_[set][(set_uses_[set] + 1) & 1]);
  self().state = Thread::State::ended;
  --alive_;
  switch_to_next(/*ends=*/true);
  std::abort();  // not reached: nobody continues an ended thread
}

void Machine::wake_all() {
  for (auto number = rank_.rbegin(); number != rank_.rend(); ++number) wake(*number);
}

Thread* Machine::next() {
  if (ready_.empty()) return &host_;  // all have ended, or none can go on
  if (schedule_.order == Order::random && draw(64) == 0)
    std::swap(ready_[draw(ready_.size())], ready_.back());
  const int number = ready_.back();
  ready_.pop_back();
  return threads_[static_cast<std::size_t>(number)].get();
}

void Machine::switch_to_next(bool ends) { switch_to(next(), ends); }

void Machine::switch_to(Thread* to, bool ends) {
  Thread* from = running_;
  if (to == from) return;
  running_ = to;
  threadIdx = to->index;
  switch_fiber(from->fiber, to->fiber, ends);
}

std::string Machine::who_waits() const {
  std::map<std::string, int> places;
  for (int i = 0; i < thread_count_; ++i) {
    const Thread& thread = *threads_[static_cast<std::size_t>(i)];
    switch (thread.state) {
      case Thread::State::ended:
        ++places["ended"];
        break;
      case Thread::State::at_barrier:
        ++places["wait at the barrier " + text(thread.place)];
        break;
      default:
        ++places["wait at the warp operation " + text(thread.place)];
        break;
    }
  }
  std::string all;
  for (const auto& [place, count] : places)
    all += (all.empty() ? "" : ", ") + std::to_string(count) + " threads " + place;
  return all;
}

// The threads of an abandoned block never end: what comes next is ordered after them here.
void Machine::abandon() {
  if (!tsan::kEnabled) return;
  const auto set = static_cast<std::size_t>(set_);
  for (int i = 0; i < thread_count_; ++i) {
    tsan::switch_to(threads_[static_cast<std::size_t>(i)]->fiber.tsan_fiber);
    tsan::release(&launch_ends_);
    tsan::release(&set_tokens_[set][(set_uses_[set] + 1) & 1]);
  }
  tsan::switch_to(host_.fiber.tsan_fiber);
  tsan::acquire(&launch_ends_);
}

void Machine::fail(const std::string& message) {
  if (running_ == &host_) throw Error(message);
  error_ = message + "; thread " + text(self().index) + " of block " + text(blockIdx);
  if (self().place.line()) error_ += ", last seen at " + text(self().place);
  switch_to(&host_);
  std::abort();  // not reached
}

int Machine::barrier(int contribution, const Place& place) {
  Thread& thread = self();
  thread.state = Thread::State::at_barrier;
  thread.place = place;
  char* token = &barrier_tokens_[static_cast<std::size_t>(set_)][barriers_ & 1];
  tsan::release(token);
  if (at_barrier_++ == 0) contributions_ = 0;
  contributions_ += contribution;
  if (at_barrier_ == thread_count_) {
    for (int i = 0; i < thread_count_; ++i) {
      const Thread& other = *threads_[static_cast<std::size_t>(i)];
      if (!same(other.place, place))
        fail("divergent barrier: thread " + text(other.index) + " waits at " + text(other.place));
    }
    at_barrier_ = 0;
    barrier_result_ = contributions_;
    ++barriers_;
    wake_all();
  }
  switch_to_next();
  const int result = barrier_result_;
  tsan::acquire(token);
  return result;
}

void Machine::warp_operation(unsigned mask, WarpOperation operation, Lane lane, std::size_t size,
                             bool orders_memory, const Place& place) {
  Thread& thread = self();
  const int warp = thread.number / 32, first = warp * 32, own = thread.number % 32;
  const int lanes_left = thread_count_ - first;
  thread.place = place;
  if (!(mask >> own & 1)) fail("a lane takes part in a warp operation whose mask does not name it");
  if (lanes_left < 32 && mask >> lanes_left)
    fail("the mask of a warp operation names lanes that the block does not have");

  thread.state = Thread::State::at_warp_operation;
  thread.mask = mask;
  thread.operation = operation;
  thread.lane = lane;
  char* token =
      &warp_tokens_[static_cast<std::size_t>(warp)][static_cast<std::size_t>(set_)][thread.warp_syncs & 1];
  if (orders_memory) {
    ++thread.warp_syncs;
    tsan::release(token);
  }
  unsigned& arrived = arrived_[static_cast<std::size_t>(warp)];
  arrived |= 1U << own;
  if ((arrived & mask) != mask) {
    switch_to_next();
  } else {
    Lane* lanes[32] = {};
    for (unsigned left = mask; left; left &= left - 1) {
      const int l = std::countr_zero(left);
      Thread& other = *threads_[static_cast<std::size_t>(first + l)];
      lanes[l] = &other.lane;
      if (other.operation != operation || other.mask != mask || !same(other.place, place))
        fail("divergent warp operation: thread " + text(other.index) + " waits at " + text(other.place));
    }
    operation(lanes, mask, size);
    arrived &= ~mask;
    for (int i = 0; i < 32; ++i) {  // the last to be woken runs first
      const int l = schedule_.order == Order::reverse ? i : 31 - i;
      if ((mask >> l & 1) && l != own) wake(first + l);
    }
    thread.state = Thread::State::ready;
    if (schedule_.order == Order::random && draw(8) == 0) {
      wake(thread.number);
      switch_to_next();
    }
  }
  if (orders_memory) tsan::acquire(token);
}

// 16 bytes at a time: a library call would be seen by ThreadSanitizer as an access of whoever waits.
void do_copy(Copy& copy) {
  if (copy.source_bytes)
    __builtin_memcpy(copy.to, copy.from, 16);
  else
    __builtin_memset(copy.to, 0, 16);
  copy.done = true;
}

void Machine::copy_async(const Copy& copy) {
  Copy own = copy;
  own.group = self().groups_committed;
  const bool at_issue =
      schedule_.order == Order::forward || (schedule_.order == Order::random && draw(2) == 0);
  if (at_issue) do_copy(own);
  self().copies.push_back(own);
}

void Machine::wait_copies(int groups_left) {
  auto& copies = self().copies;
  const unsigned committed = self().groups_committed;
  std::erase_if(copies, [&](Copy& copy) {
    if (copy.group + static_cast<unsigned>(groups_left) >= committed) return false;
    if (!copy.done) do_copy(copy);
    return true;
  });
}

}  // namespace

ScopedSchedule::ScopedSchedule(const Schedule& schedule) { machine.set_schedule(schedule); }
ScopedSchedule::~ScopedSchedule() { machine.set_schedule(kSchedules[0]); }

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(void*), void* arguments) {
  machine.run(grid, block, shared_bytes, kernel, arguments);
}

void fail(const std::string& message) { machine.fail(message); }

int block_barrier(int contribution, const Place& place) { return machine.barrier(contribution, place); }

void warp_operation(unsigned mask, WarpOperation operation, Lane lane, std::size_t size, bool orders_memory,
                    const Place& place) {
  machine.warp_operation(mask, operation, lane, size, orders_memory, place);
}

int lane_index() { return machine.self().number % 32; }

void* shared_array(const void* key, std::size_t bytes) { return machine.shared().array(key, bytes); }

void* dynamic_shared(int number, std::size_t bytes, std::size_t end) {
  return machine.shared().dynamic(static_cast<std::size_t>(number), bytes, end);
}

void check_shared(const void* address, std::size_t bytes, const char* what, const Place& place) {
  machine.self().place = place;
  if (reinterpret_cast<std::uintptr_t>(address) % bytes)
    fail(std::string(what) + " at a misaligned shared address");
  if (!machine.shared().contains(address, bytes))
    fail(std::string(what) + " at an address outside the block's shared arrays");
}

void copy_async(void* to, const void* from, int bytes, int source_bytes, const Place& place) {
  check_shared(to, static_cast<std::size_t>(bytes), "cp.async", place);
  if (reinterpret_cast<std::uintptr_t>(from) % static_cast<unsigned>(bytes))
    fail("cp.async from a misaligned address");
  tsan::read(from, static_cast<std::size_t>(source_bytes));
  tsan::write(to, static_cast<std::size_t>(bytes));
  machine.copy_async({to, from, bytes, source_bytes, 0, false});
}

void commit_copies() { ++machine.self().groups_committed; }

void wait_copies(int groups_left) { machine.wait_copies(groups_left); }

}  // namespace switchyard::emulator
