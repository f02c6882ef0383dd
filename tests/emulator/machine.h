// The emulator's inner interface: what the built-ins of cuda.h are made of. All of it is called from kernel
// threads, except run_grid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// Set for the thread that runs.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace switchyard::emulator {

using Place = std::source_location;

/// Runs kernel(arguments) for every thread of the grid. Throws Error.
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, void (*kernel)(void*), void* arguments);

/// Abandons the launch: run_grid throws Error(message).
[[noreturn]] void fail(const std::string& message);

/// Waits for all threads of the block. Returns the sum of their contributions.
int block_barrier(int contribution, const Place& place);

/// One lane's part in a warp operation.
struct Lane {
  const void* in;
  void* out;
  long parameter;  // of the lane (a source lane, a predicate)
};

/// Computes the outputs of the lanes in `mask`; `size` is that of the value.
using WarpOperation = void (*)(Lane* const* lanes, unsigned mask, std::size_t size);

/// Waits for the lanes of `mask`; the last to arrive computes for all. `orders_memory`: __syncwarp does,
/// shuffles do not.
void warp_operation(unsigned mask, WarpOperation operation, Lane lane, std::size_t size, bool orders_memory,
                    const Place& place);

int lane_index();

/// The block's array with this key, made by the first thread that asks: its own heap block of exactly this
/// size, filled with 0xFF (NaN).
void* shared_array(const void* key, std::size_t bytes);

/// The number-th piece of dynamic shared memory; `end` is where it would end in one contiguous array.
void* dynamic_shared(int number, std::size_t bytes, std::size_t end);

/// Fails unless [address, address + bytes) lies in one shared array of the block, aligned to `bytes`.
void check_shared(const void* address, std::size_t bytes, const char* what, const Place& place);

/// cp.async: `source_bytes` (0 or `bytes`) are copied, the rest is zero.
void copy_async(void* to, const void* from, int bytes, int source_bytes, const Place& place);
void commit_copies();
void wait_copies(int groups_left);

// warp_operations.cc
void warp_sync(Lane* const* lanes, unsigned mask, std::size_t);
void warp_shuffle(Lane* const* lanes, unsigned mask, std::size_t size);
void warp_ballot(Lane* const* lanes, unsigned mask, std::size_t);
template <int kMatrices>
void warp_load_matrices(Lane* const* lanes, unsigned mask, std::size_t);
void warp_load_matrices_transposed(Lane* const* lanes, unsigned mask, std::size_t);
void warp_mma_bf16_m16n8k16(Lane* const* lanes, unsigned mask, std::size_t);

}  // namespace switchyard::emulator
