#include "data/resize.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace switchyard::data {
namespace {

constexpr int64_t kMaxSide = 32'768;
constexpr int kWeightBits = 22;   // 32 - 8 of the pixel - 2 for sums beyond it
constexpr int64_t kBlock = 1024;  // sums kept at once, in the first cache

double support_of(Filter filter) {
  switch (filter) {
    case Filter::box:
      return 0.5;
    case Filter::bilinear:
      return 1;
    case Filter::bicubic:
      return 2;
    case Filter::lanczos:
      return 3;
  }
  throw std::invalid_argument("resized: unknown filter");
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double weight_at(Filter filter, double x) {
  constexpr double a = -0.5;
  const double d = std::abs(x);
  switch (filter) {
    case Filter::box:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::bilinear:
      return d < 1 ? 1 - d : 0;
    case Filter::bicubic:
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    case Filter::lanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  return 0;
}

// What one output is the weighted sum of: inputs first .. first + weights.size() - 1.
template <class Weight>
struct Output {
  int64_t first;
  std::vector<Weight> weights;
};

template <class Weight>
std::vector<Output<Weight>> outputs_of(int64_t in, int64_t out, Filter filter) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0), support = support_of(filter) * stretch;
  std::vector<Output<Weight>> outputs(static_cast<size_t>(out));
  std::vector<double> weights;
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const auto last = std::min(in, static_cast<int64_t>(centre + support + 0.5));
    weights.clear();
    double sum = 0;
    for (int64_t j = first; j < last; ++j) {
      weights.push_back(weight_at(filter, (static_cast<double>(j) - centre + 0.5) * (1 / stretch)));
      sum += weights.back();
    }
    auto& output = outputs[static_cast<size_t>(i)];
    output.first = first;
    for (double w : weights) {
      if (sum != 0) w /= sum;
      if constexpr (std::is_integral_v<Weight>)
        output.weights.push_back(static_cast<Weight>(w * (1 << kWeightBits) + (w < 0 ? -0.5 : 0.5)));
      else
        output.weights.push_back(w);
    }
  }
  return outputs;
}

// Four rows at once, in their order: a sum is loaded and stored once for all of them.
template <class In, class Weight>
void add_rows(const In* rows, int64_t m, const Weight* weights, int64_t count, Weight* sums) {
  const Weight w0 = weights[0], w1 = weights[1], w2 = weights[2], w3 = weights[3];
  for (int64_t x = 0; x < count; ++x) {
    Weight sum = sums[x];
    sum += w0 * static_cast<Weight>(rows[x]);
    sum += w1 * static_cast<Weight>(rows[m + x]);
    sum += w2 * static_cast<Weight>(rows[2 * m + x]);
    sum += w3 * static_cast<Weight>(rows[3 * m + x]);
    sums[x] = sum;
  }
}

// in: [n, m] -> out: [outputs.size(), m], each row a weighted sum of rows. Integer weights give uint8, rounded
// and clipped, and double ones fp32.
template <class In, class Weight, class Out>
void weigh_rows(const In* in, int64_t m, const std::vector<Output<Weight>>& outputs, Out* out) {
  Weight sums[kBlock];
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [first, weights] = outputs[i];
    for (int64_t begin = 0; begin < m; begin += kBlock) {
      const int64_t count = std::min(kBlock, m - begin);
      const In* row = in + first * m + begin;
      Out* to = out + static_cast<int64_t>(i) * m + begin;
      std::fill_n(sums, count, std::is_integral_v<Weight> ? Weight{1 << (kWeightBits - 1)} : Weight{0});
      size_t j = 0;
      for (; j + 4 <= weights.size(); j += 4, row += 4 * m) add_rows(row, m, weights.data() + j, count, sums);
      for (; j < weights.size(); ++j, row += m)
        for (int64_t x = 0; x < count; ++x) sums[x] += weights[j] * static_cast<Weight>(row[x]);
      for (int64_t x = 0; x < count; ++x) {
        if constexpr (std::is_integral_v<Weight>)
          to[x] = static_cast<Out>(std::clamp(sums[x] >> kWeightBits, 0, 255));
        else
          to[x] = static_cast<Out>(sums[x]);
      }
    }
  }
}

// in: [rows, columns, C] -> out: [columns, rows, C], in tiles that stay in the first cache.
template <int C, class T>
void transpose(const T* in, int64_t rows, int64_t columns, T* out) {
  constexpr int64_t kTile = 16;
  for (int64_t top = 0; top < rows; top += kTile)
    for (int64_t left = 0; left < columns; left += kTile)
      for (int64_t x = left; x < std::min(left + kTile, columns); ++x)
        for (int64_t y = top; y < std::min(top + kTile, rows); ++y)
          for (int c = 0; c < C; ++c) out[(x * rows + y) * C + c] = in[(y * columns + x) * C + c];
}

template <class T>
void transpose(const T* in, int64_t rows, int64_t columns, int64_t channels, T* out) {
  switch (channels) {
    case 1:
      return transpose<1>(in, rows, columns, out);
    case 2:
      return transpose<2>(in, rows, columns, out);
    case 3:
      return transpose<3>(in, rows, columns, out);
    default:
      return transpose<4>(in, rows, columns, out);
  }
}

// in: [h, w, c] -> [h, width, c]. Weighs rows of the transposed image, since they are long enough for vector
// units; a band at a time, since fresh memory for all of it costs more than the arithmetic.
template <class In, class Weight, class Out>
std::unique_ptr<Out[]> weigh_columns(const In* in, int64_t h, int64_t w, int64_t c, int64_t width,
                                     Filter filter) {
  constexpr int64_t kBand = 32;
  const auto outputs = outputs_of<Weight>(w, width, filter);
  std::vector<In> turned(static_cast<size_t>(kBand * w * c));
  std::vector<Out> weighed(static_cast<size_t>(kBand * width * c));
  auto out = std::make_unique_for_overwrite<Out[]>(static_cast<size_t>(h * width * c));
  for (int64_t top = 0; top < h; top += kBand) {
    const int64_t rows = std::min(kBand, h - top);
    transpose(in + top * w * c, rows, w, c, turned.data());
    weigh_rows(turned.data(), rows * c, outputs, weighed.data());
    transpose(weighed.data(), width, rows, c, out.get() + top * width * c);
  }
  return out;
}

void check(const char* what, const at::Tensor& image, bool float_too, int64_t height, int64_t width) {
  const auto fits = [](int64_t side) { return side >= 1 && side <= kMaxSide; };
  if (!image.defined() || image.dim() != 3 || !image.device().is_cpu() ||
      !(image.scalar_type() == at::kByte || (float_too && image.scalar_type() == at::kFloat)) ||
      image.size(2) < 1 || image.size(2) > 4 || !fits(image.size(0)) || !fits(image.size(1)))
    throw std::invalid_argument(c10::str(
        what, ": expected a ", float_too ? "uint8 or fp32" : "uint8",
        " image [H, W, 1 to 4] with sides of 1 to ", kMaxSide, " on the CPU, found ",
        image.defined()
            ? c10::str(image.sizes(), " ", c10::toString(image.scalar_type()), " on ", image.device())
            : "an undefined tensor"));
  if (!fits(height) || !fits(width))
    throw std::invalid_argument(
        c10::str(what, ": expected sides of 1 to ", kMaxSide, ", found ", height, " x ", width));
}

// Both passes; the one whose size does not change is left out.
template <class In, class Weight, class Out>
at::Tensor in_two_passes(const at::Tensor& image, int64_t height, int64_t width, Filter filter) {
  const int64_t h = image.size(0), w = image.size(1), c = image.size(2);
  const at::Tensor out =
      at::empty({height, width, c}, image.options().dtype(c10::CppTypeToScalarType<Out>::value));
  const In* in = image.const_data_ptr<In>();
  Out* to = out.mutable_data_ptr<Out>();
  const auto rows = [&](const auto* from) {
    if (h == height)
      std::copy_n(from, h * width * c, to);
    else
      weigh_rows(from, width * c, outputs_of<Weight>(h, height, filter), to);
  };
  if (w == width)
    rows(in);
  else
    rows(weigh_columns<In, Weight, Out>(in, h, w, c, width, filter).get());
  return out;
}

}  // namespace

at::Tensor resized(const at::Tensor& image, int64_t height, int64_t width, Filter filter) {
  check("resized", image, /*float_too=*/false, height, width);
  return in_two_passes<uint8_t, int32_t, uint8_t>(image.contiguous(), height, width, filter);
}

at::Tensor resized_float(const at::Tensor& image, int64_t height, int64_t width, Filter filter) {
  check("resized_float", image, /*float_too=*/true, height, width);
  if (image.scalar_type() == at::kFloat)
    return in_two_passes<float, double, float>(image.contiguous(), height, width, filter);
  return in_two_passes<uint8_t, double, float>(image.contiguous(), height, width, filter);
}

at::Tensor center_crop(const at::Tensor& image, int64_t size) {
  check("center_crop", image, /*float_too=*/false, size, size);
  at::Tensor scaled = image;
  while (std::min(scaled.size(0), scaled.size(1)) >= 2 * size)
    scaled = resized(scaled, scaled.size(0) / 2, scaled.size(1) / 2, Filter::box);
  const int64_t h = scaled.size(0), w = scaled.size(1);
  const double scale = static_cast<double>(size) / static_cast<double>(std::min(h, w));
  // Half to even, in the default rounding mode.
  const auto side = [&](int64_t n) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(n) * scale));
  };
  scaled = resized(scaled, side(h), side(w), Filter::bicubic);
  return scaled.narrow(0, (scaled.size(0) - size) / 2, size)
      .narrow(1, (scaled.size(1) - size) / 2, size)
      .contiguous();
}

}  // namespace switchyard::data
