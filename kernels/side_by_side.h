// Independent pieces of work side by side on the CPU's cores, each with few threads of its own.
//
// Two threads inside every small product meet at a barrier thousands of times per step, and on a busy machine
// each meeting waits for the scheduler: one image of a model of 64 tokens took 40 s beside another job, 0.6 s
// this way.
//
// Each calling thread has workers of its own. They are started at its first call, sleep between calls and end
// with it; so callers on several threads know nothing of each other, and a piece may call side_by_side again.
// A worker's number of threads is its own too: that of the caller, and of the process, never changes.
#pragma once

#include <cstdint>
#include <functional>

namespace switchyard::kernels {

/// Calls piece(0) .. piece(pieces - 1), each once, on up to at::get_num_threads() threads that share the
/// cores evenly, and waits for all. The first exception is thrown again here. Gradient mode is the caller's.
/// No result may depend on the order.
void side_by_side(int64_t pieces, const std::function<void(int64_t)>& piece);

}  // namespace switchyard::kernels
