// What the heatmaps show is what was routed: a model with planted routing, drawn by the real app, and the planted maps
// found in the pixels of its window.
//
// Patch t chooses the experts t mod 4 and t + 1 mod 4, everywhere; but that in layer 1 expert 1 is muted while t >= 0.5,
// so that patches choose the next of their order there.
#include <ATen/ATen.h>

#include "../pipeline/planted_model.h"
#include "app/gui/studio/colors.h"
#include "dit/model_file.h"
#include "driven_app.h"

namespace switchyard::gui {
namespace {

constexpr int64_t kE = pipeline::kExperts, kT = pipeline::kTokens;

class Planted : public DrivenApp {
 protected:
  // Draws with the planted model and the edit; then looks at step and layer of the first image.
  void draw_planted(ImGuiTestContext* ui) {
    const auto file = folder_ / "planted.safetensors";
    auto model = pipeline::planted_model();
    dit::save_model(file, model, "{}");
    studio().open(file);
    until(ui, [&] { return !studio().opening(); });
    ASSERT_EQ(studio().model()->name, "planted") << studio().status().text;
    studio().edits.list = {{.edit = {.layers = {1}, .t_low = 0.5, .experts = {1}}}};
    draw(ui, 6);
  }

  // Whether expert 1 of layer 1 was muted at this step.
  bool muted(int64_t step) { return studio().runs().back().times[static_cast<size_t>(step)] >= 0.5; }

  // [T, E], 1 where a patch chose an expert.
  at::Tensor choices(int64_t layer, int64_t step) {
    auto chosen = at::zeros({kT, kE});
    for (int64_t t = 0; t < kT; ++t) {
      std::vector<int64_t> order = {t % kE, (t + 1) % kE};
      for (int64_t e = 0; e < kE; ++e)
        if (e != order[0] && e != order[1]) order.push_back(e);
      if (layer == 1 && muted(step)) std::erase(order, 1);
      chosen[t][order[0]] = chosen[t][order[1]] = 1;
    }
    return chosen;
  }

  at::Tensor shares(int64_t layer, int64_t step) { return choices(layer, step).mean(0); }

  // The cells of a matrix on the screen, read in their middle -> [R, C, 3] uint8.
  at::Tensor cells(ImGuiTestContext* ui, const char* panel, const char* name, int64_t rows, int64_t columns) {
    ui->WindowFocus((std::string("//") + panel).c_str());
    ui->MouseMoveToPos({2, 2});
    ui->Yield(3);
    const auto area = ui->ItemInfo((std::string("//") + panel + "/" + name).c_str()).RectFull;
    const auto shown = pixels(ui);
    auto read = at::empty({rows, columns, 3}, at::kByte);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        const auto at = [](float from, float to, int64_t i, int64_t n) {
          return static_cast<int64_t>(from +
                                      (to - from) * (static_cast<float>(i) + 0.5f) / static_cast<float>(n));
        };
        read[r][c] = shown[at(area.Min.y, area.Max.y, r, rows)][at(area.Min.x, area.Max.x, c, columns)];
      }
    }
    return read;
  }

  static void expect_colours(const at::Tensor& read, const at::Tensor& wanted) {
    // On the legend's scale, which begins at 0 and ends with the greatest value.
    const auto colours = matrix_view(wanted, false).rgba.slice(2, 0, 3).to(at::kInt);
    EXPECT_TRUE(at::allclose(read.to(at::kInt), colours, 0, 1)) << read << colours;
  }
};

TEST_F(Planted, AtlasShowsThePlantedLoads) {
  drive([&](ImGuiTestContext* ui) {
    draw_planted(ui);
    ASSERT_TRUE(muted(0));
    ASSERT_FALSE(muted(5));
    for (const int64_t step : {0, 5}) {
      studio().selection.step = step, studio().selection.follow = false;
      const auto wanted = at::stack({shares(0, step), shares(1, step), shares(2, step)});
      EXPECT_DOUBLE_EQ(wanted.sum().item<double>(), 3 * 2) << "each patch has two experts in each layer";
      expect_colours(cells(ui, "Atlas", "atlas", 3, kE), wanted);
    }
  });
}

TEST_F(Planted, TimestepMapShowsWhenTheExpertIsMuted) {
  drive([&](ImGuiTestContext* ui) {
    draw_planted(ui);
    for (const int64_t layer : {0, 1}) {
      studio().selection.layer = layer;
      std::vector<at::Tensor> steps;
      for (int64_t step = 0; step < 6; ++step) steps.push_back(shares(layer, step));
      expect_colours(cells(ui, "Timestep map", "timestep map", kE, 6), at::stack(steps, 1));
    }
  });
}

TEST_F(Planted, FlowShowsWhereTheTokensGo) {
  drive([&](ImGuiTestContext* ui) {
    draw_planted(ui);
    for (const int64_t step : {0, 5}) {
      studio().selection.layer = 0, studio().selection.step = step, studio().selection.follow = false;
      const auto pairs = choices(0, step).t().mm(choices(1, step));
      expect_colours(cells(ui, "Flow", "flow", kE, kE), pairs / pairs.sum());
    }
  });
}

TEST_F(Planted, PatchMapShowsThePatchesOfAnExpert) {
  drive([&](ImGuiTestContext* ui) {
    draw_planted(ui);
    auto& selection = studio().selection;
    selection.layer = 1, selection.step = 0, selection.follow = false, selection.opacity = 1;
    for (const int64_t expert : {1, 2}) {
      selection.expert = expert;
      const auto map = choices(1, 0).select(1, expert).view({pipeline::kSide, pipeline::kSide});
      ui->MouseMoveToPos({2, 2});
      ui->Yield(3);
      const auto area = ui->ItemInfo("//Patch map/patches").RectFull;
      const auto shown = pixels(ui);
      const float size = static_cast<float>(studio().model()->image_size);
      const float patch =
          std::floor(std::min(area.GetWidth(), area.GetHeight()) / size) * size / pipeline::kSide;
      const auto centre = area.GetCenter();
      for (int64_t r = 0; r < pipeline::kSide; ++r) {
        for (int64_t c = 0; c < pipeline::kSide; ++c) {
          const auto x = static_cast<int64_t>(centre.x + patch * (static_cast<float>(c) - 1.5f)),
                     y = static_cast<int64_t>(centre.y + patch * (static_cast<float>(r) - 1.5f));
          const auto wanted = studio::sequential_color(map[r][c].item<double>());
          for (int i = 0; i < 3; ++i)
            ASSERT_NEAR(shown[y][x][i].item<int>(), wanted[static_cast<size_t>(i)], 1)
                << "expert " << expert << ", patch " << r << ", " << c;
        }
      }
    }
  });
}

}  // namespace
}  // namespace switchyard::gui
