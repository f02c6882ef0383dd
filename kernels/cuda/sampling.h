// The element-wise kernels around the transformer.
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

/// Sinusoidal timestep embedding (DiT): y[n] = [cos(t_n w_i), sin(t_n w_i)], w_i = 10000^(-i / half), i <
/// half.
struct TimestepEmbedding {
  std::int64_t count;
  int half;
  const float* t;  // [count]
  float* y;        // [count, 2 * half]
  std::int64_t y_stride;
};

void timestep_embedding(const TimestepEmbedding& arguments, Stream stream);

/// Classifier-free guidance and one Euler step of the rectified flow, in fp32:
///   v = v_u + scale (v_c - v_u);   z_next = z + dt v,   dt = t_next - t < 0
/// All arrays are [count], contiguous; z_next may be z.
struct GuidedEuler {
  DType dtype;  // of the velocities
  std::int64_t count;
  const void* conditional;
  const void* unconditional;  // null: no guidance, v = v_c
  float scale, dt;
  const float* z;
  float* z_next;
};

void guided_euler(const GuidedEuler& arguments, Stream stream);

/// Switch-DiT's split of a block's input by the mask that its timestep's experts fold into, W_t and b:
///   m = x W_t + b;   task = x * m;   shared = x * (1 - m)
/// `product` is x W_t from the matrix library; bias has one row per image.
struct FoldedMask {
  DType dtype;  // of all arrays
  std::int64_t rows, rows_per_image;
  int width;
  const void *x, *product, *bias;  // [rows, width], [rows, width], [images, width]
  std::int64_t x_stride, product_stride, bias_stride;
  void *task, *shared;  // [rows, width]
  std::int64_t task_stride, shared_stride;
};

void folded_mask(const FoldedMask& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda
