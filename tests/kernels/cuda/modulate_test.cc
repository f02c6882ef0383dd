// The adaLN kernels beside kernels/modulate/modulate.h.
#include "kernels/modulate/modulate_kernel.h"

#include "cases.h"
#include "kernels/modulate/modulate.h"

namespace switchyard::kernels::cuda {
namespace {

struct Case {
  std::int64_t images, tokens;
  int width;
  std::int64_t padding;
};

constexpr Case kCases[] = {{1, 1, 1, 0},     {1, 31, 33, 3},  {3, 11, 31, 1},
                           {1, 127, 127, 5}, {3, 43, 129, 7}, {2, 256, 64, 8},
                           {1, 3, 384, 16},  {1, 2, 1408, 8}, {2, 1, 1409, 1}};

at::Tensor images(const at::Tensor& rows, const Case& c) { return rows.view({c.images, c.tokens, c.width}); }

std::string text(const Case& c, at::ScalarType type) {
  return std::string(toString(type)) + ", " + std::to_string(c.images) + " images of " +
         std::to_string(c.tokens) + " tokens, width " + std::to_string(c.width);
}

TEST(CudaModulate, LayerNormEqualsTheOperation) {
  for (const auto& c : kCases) {
    for (const auto& [type, limit] : kDtypes) {
      const auto x = (random({c.images * c.tokens, c.width}, 81) + 3).to(type);
      const auto shift = random({c.images, c.width}, 82, type), scale = random({c.images, c.width}, 83, type);
      const auto expected = kernels::modulated_layer_norm(images(x.to(at::kDouble), c), shift.to(at::kDouble),
                                                          scale.to(at::kDouble));
      under_each_schedule(text(c, type), [&, type = type, limit = limit] {
        Rows in(x, c.padding), by(shift, c.padding), times(scale, c.padding + 2),
            out(x.size(0), c.width, type, c.padding);
        modulated_layer_norm(
            {dtype_of(type), x.size(0), c.tokens, c.width, in.data(), in.stride(), by.data(), times.data(),
             by.stride(), times.stride(), out.data(), out.stride(), static_cast<float>(kLayerNormEps)},
            {});
        EXPECT_TRUE(near(images(out.values(), c), expected, limit));
        EXPECT_TRUE(out.intact());
      });
    }
  }
}

TEST(CudaModulate, GatedResidualEqualsTheOperation) {
  for (const auto& c : kCases) {
    for (const auto& [type, limit] : kDtypes) {
      const auto x = random({c.images * c.tokens, c.width}, 84, type),
                 branch = random({c.images * c.tokens, c.width}, 85, type);
      const auto gate = random({c.images, c.width}, 86, type);
      const auto expected = kernels::gated_residual(images(x.to(at::kDouble), c), gate.to(at::kDouble),
                                                    images(branch.to(at::kDouble), c));
      under_each_schedule(text(c, type), [&, type = type, limit = limit] {
        Rows in(x, c.padding), add(branch, c.padding + 1), times(gate, c.padding),
            out(x.size(0), c.width, type, c.padding + 2);
        gated_residual({dtype_of(type), x.size(0), c.tokens, c.width, in.data(), in.stride(), times.data(),
                        times.stride(), add.data(), add.stride(), out.data(), out.stride()},
                       {});
        EXPECT_TRUE(near(images(out.values(), c), expected, limit));
        EXPECT_TRUE(out.intact());
      });
    }
  }
}

TEST(CudaModulate, NoRowsAndImpossibleWidths) {
  ModulatedLayerNorm none{};
  none.width = 8;
  EXPECT_NO_THROW(modulated_layer_norm(none, {}));
  EXPECT_NO_THROW(gated_residual({}, {}));
  none.width = kMaxLayerNormWidth + 1;
  EXPECT_THROW(modulated_layer_norm(none, {}), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::kernels::cuda
