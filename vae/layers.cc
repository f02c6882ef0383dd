#include "vae/layers.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace switchyard::vae {
namespace {

constexpr double kEps = 1e-6;  // of every group normalisation

int64_t rows_per_band(const Pass& pass, int64_t channels, int64_t width, size_t element_size) {
  const int64_t row_bytes = channels * width * static_cast<int64_t>(element_size);
  return std::max<int64_t>(1, pass.band_bytes / row_bytes);
}

// A picture of `height` rows, made band by band by make(begin, end) -> [1, C, end - begin, W].
template <class Make>
Bands each_band(int64_t height, int64_t rows, const Make& make) {
  Bands picture;
  for (int64_t begin = 0; begin < height; begin += rows)
    picture.append(make(begin, std::min(begin + rows, height)));
  return picture;
}

at::Tensor convolve(const Convolution& c, const at::Tensor& x, int64_t stride, at::IntArrayRef padding,
                    const Pass& pass) {
  auto y = at::conv2d(x, c.weight, c.bias, stride, padding);
  // Two operations per weight and position of the output.
  if (pass.worked) pass.worked(2.0 * static_cast<double>(c.weight.numel() * y.size(2) * y.size(3)));
  return y;
}

// Rows [begin, end) of a 3x3 convolution of a picture of `height` rows, zero outside. rows(b, e) gives the
// input's rows.
template <class Rows>
at::Tensor convolve_3x3(const Convolution& c, int64_t begin, int64_t end, int64_t height, const Rows& rows,
                        const Pass& pass) {
  const int64_t above = begin == 0 ? 1 : 0, below = end == height ? 1 : 0;
  auto x = rows(begin - 1 + above, end + 1 - below);
  if (above != below) x = at::constant_pad_nd(x, {0, 0, above, below});
  return convolve(c, x, 1, {above && below ? 1 : 0, 1}, pass);
}

// Group normalisation with the statistics of a whole picture, whichever rows of it come.
class Normalization {
 public:
  Normalization(const GroupNorm& norm, const Bands& x, const Pass& pass) : norm_(norm) {
    if (pass.banded()) collect(x);
  }

  // Without collected statistics, `rows` are the whole picture.
  at::Tensor operator()(const at::Tensor& rows) const {
    if (!factor_.defined()) return at::group_norm(rows, norm_.groups, norm_.weight, norm_.bias, kEps);
    return at::addcmul(offset_, rows, factor_).to(rows.scalar_type());  // computed in fp32
  }

 private:
  void collect(const Bands& x);

  const GroupNorm& norm_;
  at::Tensor factor_, offset_;  // [1, C, 1, 1] fp32
};

// libtorch's kernel gives each band's mean and 1 / sqrt(var + eps) per group; the bands' variances and the
// variance of their means add up.
void Normalization::collect(const Bands& x) {
  const int64_t channels = x.channels(), groups = norm_.groups;
  std::vector<at::Tensor> means, variances;
  std::vector<double> shares;
  for (const auto& band : x.bands()) {
    const auto [ignored, mean, rstd] =
        at::native_group_norm(band.contiguous(band.suggest_memory_format()), norm_.weight, norm_.bias, 1,
                              channels, band.size(2) * band.size(3), groups, kEps);
    means.push_back(mean.to(at::kDouble).view({groups}));
    variances.push_back(rstd.to(at::kDouble).view({groups}).pow(-2));
    shares.push_back(static_cast<double>(band.size(2)) / static_cast<double>(x.height()));
  }
  const auto share = at::tensor(shares, at::kDouble).unsqueeze(1);  // [bands, 1]
  const auto band_means = at::stack(means);
  const auto mean = (band_means * share).sum(0, /*keepdim=*/true);  // [1, groups]
  const auto variance = ((at::stack(variances) + (band_means - mean).square()) * share).sum(0, true);
  const auto per_channel = [&](const at::Tensor& t) {
    return t.view({groups, 1}).expand({groups, channels / groups}).reshape({1, channels, 1, 1});
  };
  const auto factor = per_channel(variance.rsqrt()) * norm_.weight.view({1, channels, 1, 1});
  factor_ = factor.to(at::kFloat);
  offset_ = (norm_.bias.view({1, channels, 1, 1}) - per_channel(mean) * factor).to(at::kFloat);
}

void observe(const Pass& pass, const std::string& module, const Bands& x) {
  if (pass.observer && *pass.observer) (*pass.observer)(module, x.rows(0, x.height()));
}

// conv(silu(norm(x))), 3x3.
at::Tensor normalized_convolution(const Convolution& c, const Normalization& norm, const Bands& x,
                                  int64_t begin, int64_t end, const Pass& pass) {
  const auto rows = [&](int64_t b, int64_t e) {
    auto normalized = norm(x.rows(b, e));
    at::silu_(normalized);
    return normalized;
  };
  return convolve_3x3(c, begin, end, x.height(), rows, pass);
}

int64_t rows_of(const Convolution& c, const Bands& in, int64_t width, const Pass& pass) {
  if (!pass.banded()) return std::max<int64_t>(1, in.height() * 2);  // the whole, upsampled or not
  const int64_t widest = std::max(c.weight.size(0), c.weight.size(1));
  return rows_per_band(pass, widest, width, c.weight.element_size());
}

Bands plain_convolution(const Convolution& c, Bands x, const Pass& pass) {
  return each_band(x.height(), rows_of(c, x, x.width(), pass), [&](int64_t begin, int64_t end) {
    auto y = convolve_3x3(
        c, begin, end, x.height(), [&](int64_t b, int64_t e) { return x.rows(b, e); }, pass);
    x.release_above(end - 1);
    return y;
  });
}

Bands run(const Resnet& r, Bands x, const Pass& pass) {
  Bands h;
  {
    Normalization norm(r.norm1, x, pass);
    h = each_band(x.height(), rows_of(r.conv1, x, x.width(), pass), [&](int64_t begin, int64_t end) {
      return normalized_convolution(r.conv1, norm, x, begin, end, pass);
    });
  }
  if (r.shortcut.weight.defined()) x = convolve_1x1(r.shortcut, std::move(x), pass);
  Normalization norm(r.norm2, h, pass);
  return each_band(h.height(), rows_of(r.conv2, h, h.width(), pass), [&](int64_t begin, int64_t end) {
    auto y = normalized_convolution(r.conv2, norm, h, begin, end, pass);
    y.add_(x.rows(begin, end));
    h.release_above(end - 1);
    x.release_above(end);
    return y;
  });
}

// One head over all positions; needs memory in proportion to their number, not its square.
Bands run(const Attention& a, const Bands& picture, const Pass& pass) {
  const auto x = picture.rows(0, picture.height());
  const int64_t channels = x.size(1), height = x.size(2), width = x.size(3), tokens = height * width;
  const auto normalized = at::group_norm(x, a.norm.groups, a.norm.weight, a.norm.bias, kEps)
                              .permute({0, 2, 3, 1})
                              .reshape({1, 1, tokens, channels});
  const auto project = [&](const Linear& l) { return at::linear(normalized, l.weight, l.bias); };
  const auto mixed = at::scaled_dot_product_attention(project(a.query), project(a.key), project(a.value));
  auto y =
      at::linear(mixed, a.out.weight, a.out.bias).view({1, height, width, channels}).permute({0, 3, 1, 2});
  if (pass.worked) {
    const auto t = static_cast<double>(tokens), c = static_cast<double>(channels);
    pass.worked(8 * t * c * c + 4 * t * t * c);
  }
  return Bands(x + y);
}

Bands run_middle(const Network& network, Bands x, const Pass& pass) {
  x = run(network.mid_first, std::move(x), pass);
  for (const auto& attention : network.mid_attention) {
    x = run(attention, x, pass);
    observe(pass, network.name + ".mid_block.attentions.0", x);
  }
  x = run(network.mid_last, std::move(x), pass);
  observe(pass, network.name + ".mid_block", x);
  return x;
}

Bands run_end(const Network& network, Bands x, const Pass& pass) {
  Normalization norm(network.norm_out, x, pass);
  if (pass.observer && *pass.observer)
    observe(pass, network.name + ".conv_norm_out", Bands(norm(x.rows(0, x.height()))));
  const auto& c = network.conv_out;
  auto y = each_band(x.height(), rows_of(c, x, x.width(), pass), [&](int64_t begin, int64_t end) {
    auto band = normalized_convolution(c, norm, x, begin, end, pass);
    x.release_above(end - 1);
    return band;
  });
  observe(pass, network.name + ".conv_out", y);
  return y;
}

// Half the size: a row and a column of zeros after the last ones, then every second position.
Bands downsample(const Convolution& c, Bands x, const Pass& pass) {
  const int64_t height = x.height();
  return each_band(height / 2, rows_of(c, x, x.width(), pass), [&](int64_t begin, int64_t end) {
    const int64_t below = 2 * end == height ? 1 : 0;
    const auto rows = at::constant_pad_nd(x.rows(2 * begin, 2 * end + 1 - below), {0, 1, 0, below});
    auto y = convolve(c, rows, 2, 0, pass);
    x.release_above(2 * end);
    return y;
  });
}

// Twice the size: every position four times, then the convolution.
Bands upsample(const Convolution& c, Bands x, const Pass& pass) {
  const int64_t height = 2 * x.height(), width = 2 * x.width();
  const auto repeated = [&](int64_t begin, int64_t end) {
    const int64_t first = begin / 2, last = (end + 1) / 2;
    const auto rows = at::upsample_nearest2d(x.rows(first, last), {2 * (last - first), width});
    return rows.narrow(2, begin - 2 * first, end - begin);
  };
  return each_band(height, rows_of(c, x, width, pass), [&](int64_t begin, int64_t end) {
    auto y = convolve_3x3(c, begin, end, height, repeated, pass);
    x.release_above((end - 1) / 2);
    return y;
  });
}

Bands run_level(const Level& level, Bands x, Bands (*resample)(const Convolution&, Bands, const Pass&),
                const Pass& pass) {
  for (const auto& resnet : level.resnets) x = run(resnet, std::move(x), pass);
  return level.resample.weight.defined() ? resample(level.resample, std::move(x), pass) : x;
}

}  // namespace

Bands convolve_1x1(const Convolution& c, Bands x, const Pass& pass) {
  return each_band(x.height(), rows_of(c, x, x.width(), pass), [&](int64_t begin, int64_t end) {
    auto y = convolve(c, x.rows(begin, end), 1, 0, pass);
    x.release_above(end);
    return y;
  });
}

Bands run_encoder(const Network& encoder, Bands x, const Pass& pass) {
  x = plain_convolution(encoder.conv_in, std::move(x), pass);
  observe(pass, "encoder.conv_in", x);
  for (size_t i = 0; i < encoder.levels.size(); ++i) {
    x = run_level(encoder.levels[i], std::move(x), downsample, pass);
    observe(pass, "encoder.down_blocks." + std::to_string(i), x);
  }
  x = run_middle(encoder, std::move(x), pass);
  return run_end(encoder, std::move(x), pass);
}

Bands run_decoder(const Network& decoder, Bands z, const Pass& pass) {
  auto x = plain_convolution(decoder.conv_in, std::move(z), pass);
  observe(pass, "decoder.conv_in", x);
  x = run_middle(decoder, std::move(x), pass);
  for (size_t i = 0; i < decoder.levels.size(); ++i) {
    x = run_level(decoder.levels[i], std::move(x), upsample, pass);
    observe(pass, "decoder.up_blocks." + std::to_string(i), x);
  }
  return run_end(decoder, std::move(x), pass);
}

}  // namespace switchyard::vae
