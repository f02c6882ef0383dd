#include "metrics/inception.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "data/resize.h"
#include "metrics/input.h"
#include "metrics/weights.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kSide = 299;
constexpr int64_t kDimension = 2048;
constexpr int64_t kClasses = 1008;
constexpr int64_t kSpatialChannels = 7;
// At once. 4 to 8 are quickest (AVX2, one thread: 190 ms of processor time an image, 215 with 16 or 32): what passes
// from one layer to the next stays nearer to the processor.
constexpr size_t kBatch = 8;

const PublishedFile kFile = {
    {"pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"},
    "from the releases of github.com/mseitzer/pytorch-fid, tag fid_weights",
    "6726825d"};

enum class Padding { valid, same };

struct Unit {
  const char* name;
  int64_t out;
  std::array<int64_t, 2> kernel = {1, 1};
  int64_t stride = 1;
  Padding padding = Padding::same;
  bool beside = false;  // reads what the unit before it read, and its output is appended to that one's
};

enum class Pool { none, average, maximum, maximum_by_two };

struct Branch {
  Pool pool = Pool::none;  // before the units
  std::vector<Unit> units;
};

struct Block {
  std::string name;
  std::vector<Branch> branches;  // their outputs, one after the other, are the block's
};

// The stem, as blocks of one branch.
std::vector<Unit> first_units() {
  return {{"Conv2d_1a_3x3", 32, {3, 3}, 2, Padding::valid},
          {"Conv2d_2a_3x3", 32, {3, 3}, 1, Padding::valid},
          {"Conv2d_2b_3x3", 64, {3, 3}}};
}
std::vector<Unit> second_units() {
  return {{"Conv2d_3b_1x1", 80}, {"Conv2d_4a_3x3", 192, {3, 3}, 1, Padding::valid}};
}

Block block_a(const char* name, int64_t pooled) {
  return {
      name,
      {{Pool::none, {{"branch1x1", 64}}},
       {Pool::none, {{"branch5x5_1", 48}, {"branch5x5_2", 64, {5, 5}}}},
       {Pool::none, {{"branch3x3dbl_1", 64}, {"branch3x3dbl_2", 96, {3, 3}}, {"branch3x3dbl_3", 96, {3, 3}}}},
       {Pool::average, {{"branch_pool", pooled}}}}};
}

Block block_b(const char* name) {
  return {name,
          {{Pool::none, {{"branch3x3", 384, {3, 3}, 2, Padding::valid}}},
           {Pool::none,
            {{"branch3x3dbl_1", 64},
             {"branch3x3dbl_2", 96, {3, 3}},
             {"branch3x3dbl_3", 96, {3, 3}, 2, Padding::valid}}},
           {Pool::maximum_by_two, {}}}};
}

Block block_c(const char* name, int64_t inner) {
  return {
      name,
      {{Pool::none, {{"branch1x1", 192}}},
       {Pool::none, {{"branch7x7_1", inner}, {"branch7x7_2", inner, {1, 7}}, {"branch7x7_3", 192, {7, 1}}}},
       {Pool::none,
        {{"branch7x7dbl_1", inner},
         {"branch7x7dbl_2", inner, {7, 1}},
         {"branch7x7dbl_3", inner, {1, 7}},
         {"branch7x7dbl_4", inner, {7, 1}},
         {"branch7x7dbl_5", 192, {1, 7}}}},
       {Pool::average, {{"branch_pool", 192}}}}};
}

Block block_d(const char* name) {
  return {name,
          {{Pool::none, {{"branch3x3_1", 192}, {"branch3x3_2", 320, {3, 3}, 2, Padding::valid}}},
           {Pool::none,
            {{"branch7x7x3_1", 192},
             {"branch7x7x3_2", 192, {1, 7}},
             {"branch7x7x3_3", 192, {7, 1}},
             {"branch7x7x3_4", 192, {3, 3}, 2, Padding::valid}}},
           {Pool::maximum_by_two, {}}}};
}

Block block_e(const char* name, Pool pool) {
  return {name,
          {{Pool::none, {{"branch1x1", 320}}},
           {Pool::none,
            {{"branch3x3_1", 384},
             {"branch3x3_2a", 384, {1, 3}},
             {.name = "branch3x3_2b", .out = 384, .kernel = {3, 1}, .beside = true}}},
           {Pool::none,
            {{"branch3x3dbl_1", 448},
             {"branch3x3dbl_2", 384, {3, 3}},
             {"branch3x3dbl_3a", 384, {1, 3}},
             {.name = "branch3x3dbl_3b", .out = 384, .kernel = {3, 1}, .beside = true}}},
           {pool, {{"branch_pool", 192}}}}};
}

const std::vector<Block>& blocks() {
  static const std::vector<Block> all = {block_a("Mixed_5b", 32),
                                         block_a("Mixed_5c", 64),
                                         block_a("Mixed_5d", 64),
                                         block_b("Mixed_6a"),
                                         block_c("Mixed_6b", 128),
                                         block_c("Mixed_6c", 160),
                                         block_c("Mixed_6d", 160),
                                         block_c("Mixed_6e", 192),
                                         block_d("Mixed_7a"),
                                         block_e("Mixed_7b", Pool::average),
                                         block_e("Mixed_7c", Pool::maximum)};
  return all;
}

// Loads a chain of units that reads `in` channels; how many it writes.
int64_t load(std::map<std::string, Convolution>& convolutions, Weights& weights, const std::string& prefix,
             const std::vector<Unit>& units, int64_t in) {
  int64_t out = in;
  for (const auto& unit : units) {
    if (!unit.beside) in = out;
    const bool same = unit.padding == Padding::same;
    const auto name = prefix + unit.name;
    convolutions.emplace(
        name, Convolution(weights, name + ".conv.weight", name + ".bn",
                          {.in = in,
                           .out = unit.out,
                           .kernel = unit.kernel,
                           .padding = {same ? unit.kernel[0] / 2 : 0, same ? unit.kernel[1] / 2 : 0},
                           .stride = unit.stride},
                          Activation::relu));
    out = unit.beside ? out + unit.out : unit.out;
  }
  return out;
}

at::Tensor pooled(const at::Tensor& x, Pool pool) {
  switch (pool) {
    case Pool::average:
      return at::avg_pool2d(x, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
    case Pool::maximum:
      return at::max_pool2d(x, 3, 1, 1);
    case Pool::maximum_by_two:
      return at::max_pool2d(x, 3, 2);
    case Pool::none:
      break;
  }
  return x;
}

NetworkFacts facts_of(InceptionInput input, const Weights& weights) {
  NetworkFacts facts;
  facts.dimension = kDimension;
  facts.side = kSide;
  facts.file = weights.path().filename().string();
  facts.hash = weights.hash();
  facts.warning = weights.warning();
  facts.distance = "FID";
  facts.kernel_distance = "KID";
  facts.range = "(x - 128) / 128";
  switch (input) {
    case InceptionInput::pytorch_fid:
      facts.name = "Inception (pytorch-fid)";
      facts.resize = "bilinear without antialias, sampling centres";
      facts.range = "x / 255 * 2 - 1";
      break;
    case InceptionInput::torch_fidelity:
      facts.name = "Inception (torch-fidelity)";
      facts.resize = "TensorFlow 1 bilinear without antialias, sampling corners";
      break;
    case InceptionInput::clean_fid:
      facts.name = "Inception (clean-fid)";
      facts.distance = "clean FID";
      facts.kernel_distance = "clean KID";
      facts.resize = "Pillow bicubic with antialias, float, clipped";
      break;
  }
  return facts;
}

at::Tensor batch_of(at::ArrayRef<at::Tensor> images, InceptionInput input) {
  const Range centred = {{1 / 128.f, 1 / 128.f, 1 / 128.f}, {-1, -1, -1}};
  switch (input) {
    case InceptionInput::pytorch_fid:
      return bilinear_batch(images, kSide, Sampling::centres,
                            {{2 / 255.f, 2 / 255.f, 2 / 255.f}, {-1, -1, -1}});
    case InceptionInput::torch_fidelity:
      return bilinear_batch(images, kSide, Sampling::corners, centred);
    case InceptionInput::clean_fid:
      break;
  }
  const auto bicubic = [](const at::Tensor& image) {
    return data::resized_float(image, kSide, kSide, data::Filter::bicubic).clamp_(0, 255);
  };
  return resized_batch(images, kSide, bicubic, centred);
}

}  // namespace

Inception::Inception(InceptionInput input, const std::filesystem::path& file, at::Device device)
    : input_(input), device_(device) {
  Weights weights(kFile, file, device);
  int64_t channels = load(convolutions_, weights, "", first_units(), 3);
  channels = load(convolutions_, weights, "", second_units(), channels);
  for (const auto& block : blocks()) {
    int64_t out = 0;
    for (const auto& branch : block.branches)
      out += load(convolutions_, weights, block.name + ".", branch.units, channels);
    channels = out;
  }
  logit_weight_ = weights.take("fc.weight", {kClasses, channels});
  logit_bias_ = weights.take("fc.bias", {kClasses}).cpu();
  weights.require_all_taken();
  facts_ = facts_of(input, weights);
}

Features Inception::observed(at::ArrayRef<at::Tensor> images, const Observer& observer) const {
  std::vector<at::Tensor> features, spatial, logits;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    const auto part = images.slice(begin, std::min(kBatch, images.size() - begin));
    const auto result = forward(batch_of(part, input_).to(device_), observer);
    features.push_back(result.features);
    spatial.push_back(result.spatial);
    logits.push_back(result.logits);
  }
  if (features.empty())
    return {at::empty({0, kDimension}), at::empty({0, kSpatialChannels * 17 * 17}), at::empty({0, kClasses})};
  return {at::cat(features).cpu(), at::cat(spatial).cpu(), at::cat(logits).cpu()};
}

Features Inception::forward(at::Tensor x, const Observer& observer) const {
  const auto tell = [&](const std::string& module, const at::Tensor& output) {
    if (observer) observer(module, output);
  };
  const auto run = [&](const std::string& prefix, const std::vector<Unit>& units, at::Tensor in) {
    at::Tensor out = in;
    for (const auto& unit : units) {
      if (!unit.beside) in = out;
      const auto y = convolutions_.at(prefix + unit.name)(in);
      out = unit.beside ? at::cat({out, y}, 1) : y;
    }
    return out;
  };
  tell("input", x);
  x = pooled(run("", first_units(), x), Pool::maximum_by_two);
  tell("MaxPool_1", x);
  x = pooled(run("", second_units(), x), Pool::maximum_by_two);
  tell("MaxPool_2", x);
  Features result;
  for (const auto& block : blocks()) {
    std::vector<at::Tensor> outputs;
    for (const auto& branch : block.branches)
      outputs.push_back(run(block.name + ".", branch.units, pooled(x, branch.pool)));
    // ADM's "mixed_6/conv" of TensorFlow is this branch; channel fastest.
    if (block.name == "Mixed_6d")
      result.spatial = outputs[0].narrow(1, 0, kSpatialChannels).permute({0, 2, 3, 1}).flatten(1);
    x = at::cat(outputs, 1);
    tell(block.name, x);
  }
  result.features = x.mean({2, 3});
  result.logits = at::mm(result.features, logit_weight_.t());
  return result;
}

}  // namespace switchyard::metrics
