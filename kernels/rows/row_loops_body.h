// The passes of row_loops.h, compiled once per instruction set by the files that include this and define
// SWITCHYARD_ROW_LOOPS(TYPE), the name of their table.
#include <algorithm>
#include <cmath>

#include "kernels/rows/row_lanes.h"

namespace switchyard::kernels {
namespace {

template <class T>
void swiglu(const T* gate_up, T* h, int64_t rows, int64_t hidden) {
  for (int64_t row = 0; row < rows; ++row) {
    const T *gate = gate_up + row * 2 * hidden, *up = gate + hidden;
    for_lanes(hidden, [&](int64_t i, int64_t n) {
      const Lanes g = load(gate + i, n);
      store(h + row * hidden + i, g * sigmoid(g) * load(up + i, n), n);
    });
  }
}

template <class T>
void swiglu_backward(const T* gate_up, const T* dh, T* d_gate_up, int64_t rows, int64_t hidden) {
  for (int64_t row = 0; row < rows; ++row) {
    const T *gate = gate_up + row * 2 * hidden, *up = gate + hidden, *d = dh + row * hidden;
    T *d_gate = d_gate_up + row * 2 * hidden, *d_up = d_gate + hidden;
    for_lanes(hidden, [&](int64_t i, int64_t n) {
      const Lanes g = load(gate + i, n), u = load(up + i, n), dy = load(d + i, n), s = sigmoid(g);
      store(d_gate + i, dy * u * (s + g * s * (1.0f - s)), n);
      store(d_up + i, dy * g * s, n);
    });
  }
}

template <class T>
void norm_modulate(const T* x, const T* shift, const T* scale, double eps, T* y, float* mean, float* rstd,
                   int64_t tokens, int64_t width) {
  for (int64_t t = 0; t < tokens; ++t) {
    const T* row = x + t * width;
    Lanes total{};
    for_lanes(width, [&](int64_t i, int64_t n) { total += load(row + i, n); });
    const float m = sum(total) / static_cast<float>(width);
    Lanes squares{};
    for_lanes(width, [&](int64_t i, int64_t n) {
      const Lanes d = keep_first(load(row + i, n) - m, n);
      squares += d * d;
    });
    const float variance = sum(squares) / static_cast<float>(width);
    const float r = 1.0f / std::sqrt(variance + static_cast<float>(eps));
    for_lanes(width, [&](int64_t i, int64_t n) {
      const Lanes norm = (load(row + i, n) - m) * r;
      store(y + t * width + i, norm * (1.0f + load(scale + i, n)) + load(shift + i, n), n);
    });
    if (mean != nullptr) {
      mean[t] = m;
      rstd[t] = r;
    }
  }
}

template <class T>
void norm_modulate_backward(const T* x, const T* scale, const float* mean, const float* rstd, const T* dy,
                            T* dx, T* d_shift, T* d_scale, float* sums, int64_t tokens, int64_t width) {
  float *sum_shift = sums, *sum_scale = sums + width;
  std::fill_n(sums, 2 * width, 0.0f);
  const float inverse_width = 1.0f / static_cast<float>(width);
  for (int64_t t = 0; t < tokens; ++t) {
    const T *x_row = x + t * width, *dy_row = dy + t * width;
    const float m = mean[t], r = rstd[t];
    Lanes sum_d{}, sum_d_norm{};  // of d = dy (1 + scale), which is zero above the width
    for_lanes(width, [&](int64_t i, int64_t n) {
      const Lanes g = load(dy_row + i, n), norm = (load(x_row + i, n) - m) * r,
                  d = g * (1.0f + load(scale + i, n));
      sum_d += d;
      sum_d_norm += d * norm;
      store(sum_shift + i, load(sum_shift + i, n) + g, n);
      store(sum_scale + i, load(sum_scale + i, n) + g * norm, n);
    });
    const float mean_d = sum(sum_d) * inverse_width, mean_d_norm = sum(sum_d_norm) * inverse_width;
    for_lanes(width, [&](int64_t i, int64_t n) {
      const Lanes norm = (load(x_row + i, n) - m) * r, d = load(dy_row + i, n) * (1.0f + load(scale + i, n));
      store(dx + t * width + i, (d - mean_d - norm * mean_d_norm) * r, n);
    });
  }
  for_lanes(width, [&](int64_t i, int64_t n) {
    store(d_shift + i, load(sum_shift + i, n), n);
    store(d_scale + i, load(sum_scale + i, n), n);
  });
}

template <class T>
void gate_backward(const T* branch, const T* gate, const T* dy, T* d_branch, T* d_gate, float* sums,
                   int64_t tokens, int64_t width) {
  std::fill_n(sums, width, 0.0f);
  for (int64_t t = 0; t < tokens; ++t) {
    const int64_t row = t * width;
    for_lanes(width, [&](int64_t i, int64_t n) {
      const Lanes g = load(dy + row + i, n);
      store(d_branch + row + i, g * load(gate + i, n), n);
      store(sums + i, load(sums + i, n) + g * load(branch + row + i, n), n);
    });
  }
  for_lanes(width, [&](int64_t i, int64_t n) { store(d_gate + i, load(sums + i, n), n); });
}

template <class T>
void combine(const T* rows, const int64_t* position, const float* weights, T* y, int64_t tokens, int64_t k,
             int64_t width) {
  for (int64_t t = 0; t < tokens; ++t) {
    for_lanes(width, [&](int64_t i, int64_t n) {
      Lanes total{};
      for (int64_t slot = t * k; slot < (t + 1) * k; ++slot) {
        if (position[slot] < 0) continue;
        total += (weights != nullptr ? weights[slot] : 1.0f) * load(rows + position[slot] * width + i, n);
      }
      store(y + t * width + i, total, n);
    });
  }
}

template <class T>
void combine_backward(const T* rows, const int64_t* position, const float* weights, const T* dy, T* d_rows,
                      float* d_weights, int64_t tokens, int64_t k, int64_t width) {
  for (int64_t t = 0; t < tokens; ++t) {
    const T* dy_row = dy + t * width;
    for (int64_t slot = t * k; slot < (t + 1) * k; ++slot) {
      d_weights[slot] = 0;
      if (position[slot] < 0) continue;
      const int64_t row = position[slot] * width;
      const float weight = weights[slot];
      Lanes product{};
      for_lanes(width, [&](int64_t i, int64_t n) {
        const Lanes g = load(dy_row + i, n);
        product += g * load(rows + row + i, n);
        store(d_rows + row + i, weight * g, n);
      });
      d_weights[slot] = sum(product);
    }
  }
}

template <class T>
void silu(const T* x, T* y, int64_t n) {
  for_lanes(n, [&](int64_t i, int64_t lanes) {
    const Lanes a = load(x + i, lanes);
    store(y + i, a * sigmoid(a), lanes);
  });
}

// x / 2 (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
void gelu(const T* x, T* y, int64_t n) {
  for_lanes(n, [&](int64_t i, int64_t lanes) {
    const Lanes a = load(x + i, lanes);
    store(y + i, a * sigmoid(1.5957691216f * (a + 0.044715f * (a * a * a))), lanes);
  });
}

// A row that holds something that is not a number gets a scale that is none: so does all that it becomes.
template <class T>
void quantise(const T* x, uint8_t* q, float* s, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = x + r * width;
    Lanes largest{};
    for_lanes(width, [&](int64_t i, int64_t n) { largest = larger(largest, magnitude(load(row + i, n))); });
    const float most = maximum(largest);
    s[r] = most / 127.0f;
    const float inverse = most > 0 ? 127.0f / most : 0.0f;
    for_lanes(width, [&](int64_t i, int64_t n) {
      store_offset_128(q + r * width + i, load(row + i, n) * inverse, n);
    });
  }
}

template <class T>
void dequantise(const float* product, const float* s, const float* bias, T* y, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) {
    for_lanes(width, [&](int64_t i, int64_t n) {
      const Lanes scaled = load(product + r * width + i, n) * s[r];
      store(y + r * width + i, bias != nullptr ? scaled + load(bias + i, n) : scaled, n);
    });
  }
}

template <class T>
void swiglu_quantise(const float* product, const float* s, uint8_t* q, float* s_out, float* h, int64_t rows,
                     int64_t hidden) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *gate = product + r * 2 * hidden, *up = gate + hidden;
    for_lanes(hidden, [&](int64_t i, int64_t n) {
      const Lanes g = load(gate + i, n) * s[r];
      store(h + i, g * sigmoid(g) * (load(up + i, n) * s[r]), n);
    });
    quantise(h, q + r * hidden, s_out + r, 1, hidden);
  }
}

template <class T>
constexpr RowLoops<T> kTable = {
    .swiglu = swiglu<T>,
    .swiglu_backward = swiglu_backward<T>,
    .norm_modulate = norm_modulate<T>,
    .norm_modulate_backward = norm_modulate_backward<T>,
    .gate_backward = gate_backward<T>,
    .combine = combine<T>,
    .combine_backward = combine_backward<T>,
    .silu = silu<T>,
    .gelu = gelu<T>,
    .quantise = quantise<T>,
    .dequantise = dequantise<T>,
    .swiglu_quantise = swiglu_quantise<T>,
};

}  // namespace

extern const RowLoops<float> SWITCHYARD_ROW_LOOPS(Float);
extern const RowLoops<Bf16> SWITCHYARD_ROW_LOOPS(Bf16);
const RowLoops<float> SWITCHYARD_ROW_LOOPS(Float) = kTable<float>;
const RowLoops<Bf16> SWITCHYARD_ROW_LOOPS(Bf16) = kTable<Bf16>;

}  // namespace switchyard::kernels
