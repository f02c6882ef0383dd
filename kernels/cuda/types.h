// What the headers of the CUDA kernels are written in: plain C++, without CUDA's or libtorch's headers.
//
// Each kernel has a header with a struct of its arguments (pointers into device memory, sizes, row strides in
// elements) and a launcher that takes it. Launchers return at once; the work is ordered by the stream. They
// throw std::invalid_argument for sizes that the kernel does not take, and std::runtime_error when CUDA
// refuses the launch.
#pragma once

#include <cstdint>

struct CUstream_st;  // CUDA's own name for what a cudaStream_t points to

namespace switchyard::kernels::cuda {

enum class DType { f32, bf16 };

#ifdef SWITCHYARD_EMULATED
// The tests' build of the same sources: a type of its own gives its launchers names of their own, beside
// nvcc's in one program.
struct EmulatedStream;
using Stream = EmulatedStream*;
#else
using Stream = CUstream_st*;
#endif

}  // namespace switchyard::kernels::cuda
