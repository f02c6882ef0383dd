// Element-wise passes of a transformer block over rows on the CPU, each fused into one walk over memory where
// ATen's operators make three to eight: SwiGLU's activation, adaLN, the gated residual, the experts' weighted
// sum, and the numbers of 8 bits around an int8 product.
//
// Plain pointers and contiguous rows; float and bf16 storage, all arithmetic in float; sums are taken in 16
// lanes and then lane by lane, so that every instruction set (the source is compiled for SSE2, AVX2 and
// AVX512) gives the same bits and no row depends on another.
//
// The operations in modulate.h and experts.h say what is computed; nobody else calls this.
#pragma once

#include <cstdint>

namespace switchyard::kernels {

/// The passes for one storage type; every pointer is to that type unless it says otherwise.
template <class T>
struct RowLoops {
  // gate_up [rows, 2H] -> h [rows, H] = silu(gate) * up
  void (*swiglu)(const T* gate_up, T* h, int64_t rows, int64_t hidden);
  // gate_up, dh [rows, H] -> d_gate_up [rows, 2H]
  void (*swiglu_backward)(const T* gate_up, const T* dh, T* d_gate_up, int64_t rows, int64_t hidden);

  // One image: x [T, D], shift, scale [D] -> y [T, D]; mean, rstd [T] float, or both null
  void (*norm_modulate)(const T* x, const T* shift, const T* scale, double eps, T* y, float* mean,
                        float* rstd, int64_t tokens, int64_t width);
  // One image: x, dy [T, D], scale [D], mean, rstd [T] float -> dx [T, D], d_shift, d_scale [D];
  // sums: room for 2 D floats
  void (*norm_modulate_backward)(const T* x, const T* scale, const float* mean, const float* rstd,
                                 const T* dy, T* dx, T* d_shift, T* d_scale, float* sums, int64_t tokens,
                                 int64_t width);

  // One image: branch, dy [T, D], gate [D] -> d_branch [T, D], d_gate [D]; sums: room for D floats
  void (*gate_backward)(const T* branch, const T* gate, const T* dy, T* d_branch, T* d_gate, float* sums,
                        int64_t tokens, int64_t width);

  // rows [R, D], position [tokens, k] int64 -> y [tokens, D] = sum_j weights[t, j] rows[position[t, j]], in
  // the order of the slots; weights [tokens, k] float, or null for ones; a position of -1 is an empty slot
  void (*combine)(const T* rows, const int64_t* position, const float* weights, T* y, int64_t tokens,
                  int64_t k, int64_t width);
  // dy [tokens, D] -> d_rows [R, D] at the positions, the others untouched; d_weights [tokens, k] float, 0 in
  // empty slots
  void (*combine_backward)(const T* rows, const int64_t* position, const float* weights, const T* dy,
                           T* d_rows, float* d_weights, int64_t tokens, int64_t k, int64_t width);

  // x [n] -> y [n] = silu(x), and the tanh form of gelu(x)
  void (*silu)(const T* x, T* y, int64_t n);
  void (*gelu)(const T* x, T* y, int64_t n);

  // x [rows, D] -> q [rows, D] = 128 + round(x / s), s [rows] = max |x| / 127 of the row
  void (*quantise)(const T* x, uint8_t* q, float* s, int64_t rows, int64_t width);
  // product [rows, D] float, s [rows], bias [D] float or null -> y [rows, D] = s product + bias
  void (*dequantise)(const float* product, const float* s, const float* bias, T* y, int64_t rows,
                     int64_t width);
  // product [rows, 2H] float, s [rows] -> h = silu(s gate) * (s up), quantised as above: q [rows, H],
  // s_out [rows]; h: room for H floats
  void (*swiglu_quantise)(const float* product, const float* s, uint8_t* q, float* s_out, float* h,
                          int64_t rows, int64_t hidden);
};

/// bf16 as it is stored: the upper half of a float.
struct Bf16 {
  uint16_t bits;
};

enum class InstructionSet { sse2, avx2, avx512 };

/// Whether this processor has it.
bool has_instruction_set(InstructionSet set);

/// The passes for the widest instruction set of this processor, or for a given one (which it must have).
template <class T>
const RowLoops<T>& row_loops();
template <class T>
const RowLoops<T>& row_loops(InstructionSet set);

}  // namespace switchyard::kernels
