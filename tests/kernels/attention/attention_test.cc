// Attention against its plain form, and the plain form against softmax(q k^T / sqrt(d)) v in double.
#include "kernels/attention/attention.h"

#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "../compare.h"

namespace switchyard::kernels {
namespace {

struct Shape {
  int64_t images, heads, tokens, width;
};

constexpr Shape kShapes[] = {{1, 1, 1, 1}, {2, 3, 1, 64}, {3, 2, 17, 8}, {1, 3, 64, 64}, {2, 1, 256, 16}};

std::vector<at::Tensor> query_key_value(const Shape& s, at::ScalarType dtype) {
  // As the model holds them: views of one [N, T, 3, heads, d].
  const auto qkv = random({s.images, s.tokens, 3, s.heads, s.width}, 11, dtype).permute({2, 0, 3, 1, 4});
  return {qkv[0], qkv[1], qkv[2]};
}

at::Tensor definition(const std::vector<at::Tensor>& qkv) {  // [N, T, heads * d]
  const auto q = qkv[0].to(at::kDouble), k = qkv[1].to(at::kDouble), v = qkv[2].to(at::kDouble);
  auto y = at::zeros({q.size(0), q.size(2), q.size(1), q.size(3)}, at::kDouble);
  for (int64_t n = 0; n < q.size(0); ++n) {
    for (int64_t head = 0; head < q.size(1); ++head) {
      const auto scores = q[n][head].mm(k[n][head].t()) / std::sqrt(static_cast<double>(q.size(3)));
      const auto weights = at::exp(scores - scores.amax(1, true));
      y[n].select(1, head).copy_((weights / weights.sum(1, true)).mm(v[n][head]));
    }
  }
  return y.flatten(2);
}

TEST(Attention, EqualsTheDefinition) {
  for (const auto& shape : kShapes) {
    for (const auto& [dtype, limit] : {std::pair{at::kFloat, 2e-6}, {at::kBFloat16, 2e-2}}) {
      const auto qkv = query_key_value(shape, dtype);
      const auto expected = definition(qkv);
      for (const auto& op : {attention, attention_reference}) {
        const auto y = op(qkv[0], qkv[1], qkv[2]);
        EXPECT_TRUE(near(y, expected, limit)) << toString(dtype) << ", tokens " << shape.tokens;
        EXPECT_EQ(y.scalar_type(), dtype);
        EXPECT_TRUE(y.is_contiguous());
      }
    }
  }
}

TEST(Attention, GradientEqualsThePlainForm) {
  for (const auto& shape : kShapes) {
    const auto weight = random({shape.images, shape.tokens, shape.heads * shape.width}, 12);
    const auto gradients = [&](auto op, at::ScalarType dtype) {
      auto leaves = query_key_value(shape, at::kFloat);
      for (auto& leaf : leaves) leaf = leaf.to(dtype).detach().clone().requires_grad_(true);
      return torch::autograd::grad({(op(leaves[0], leaves[1], leaves[2]) * weight.to(dtype)).sum()}, leaves);
    };
    const auto ours = gradients(attention, at::kFloat),
               expected = gradients(attention_reference, at::kDouble);
    for (size_t i = 0; i < 3; ++i) {
      // One token: dq and dk are zero by cancellation, so there is no scale to be relative to.
      if (shape.tokens == 1 && i < 2) {
        EXPECT_LE(ours[i].abs().max().item<float>(), 1e-6F);
      } else {
        EXPECT_TRUE(near(ours[i], expected[i], 1e-5)) << "qkv"[i] << ", tokens " << shape.tokens;
      }
    }
  }
}

TEST(Attention, AnImageDoesNotDependOnItsBatch) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const int64_t tokens : {1, 16, 64, 256}) {
      const auto qkv = query_key_value({8, 3, tokens, 64}, dtype);
      const auto all = attention(qkv[0], qkv[1], qkv[2]);
      for (const int64_t batch : {1, 3}) {
        const auto part =
            attention(qkv[0].narrow(0, 2, batch), qkv[1].narrow(0, 2, batch), qkv[2].narrow(0, 2, batch));
        EXPECT_TRUE(same_bits(part, all.narrow(0, 2, batch)))
            << toString(dtype) << ", " << tokens << " tokens, " << batch;
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels
