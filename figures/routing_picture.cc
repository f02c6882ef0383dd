#include "figures/routing_picture.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "figures/canvas.h"
#include "pipeline/routing_facts.h"

namespace switchyard::figures {
namespace {

constexpr int64_t kWidth = 1000, kMargin = 36, kInner = kWidth - 2 * kMargin;
constexpr int64_t kTile = 128, kTileGap = 5, kTiles = 7;  // seven tiles fill the width
constexpr Color kInk{31, 35, 40}, kSoft{87, 94, 103}, kBlank{236, 238, 241};
constexpr TextStyle kTitle{.size = 22, .color = kInk, .weight = Weight::semibold};
constexpr TextStyle kCaption{.size = 14, .color = kSoft};
constexpr TextStyle kHeading{.size = 14, .color = kInk, .weight = Weight::semibold};
constexpr TextStyle kLabel{.size = 12, .color = kSoft};

// From no tokens to most: lightness falls all the way, so that it reads without color too.
constexpr Color kHeat[] = {{252, 249, 242}, {253, 222, 160}, {247, 165, 92}, {225, 95, 82},
                           {171, 45, 104},  {104, 22, 101},  {38, 10, 60}};

TextStyle aligned(TextStyle style, Align align) {
  style.align = align;
  return style;
}

std::string percent(double share) {
  char text[32];
  const double value = 100 * share;
  std::snprintf(text, sizeof text,
                std::abs(value - std::round(value)) < 0.05 || value >= 20 ? "%.0f %%" : "%.1f %%", value);
  return text;
}

std::string decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string counted(int64_t count, const char* noun, const char* plural = "s") {
  return c10::str(count, " ", noun, count == 1 ? "" : plural);
}

// At most `count` of 0 .. size - 1, evenly from the first to the last.
std::vector<int64_t> spread(int64_t size, int64_t count) {
  if (size <= count) count = size;
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i)
    chosen.push_back(count == 1 ? 0 : (i * (size - 1) + (count - 1) / 2) / (count - 1));
  return chosen;
}

void require_recorded(const pipeline::RoutingRecord& record) {
  if (!record.evaluated.select(2, 0).any().item<bool>()) {
    throw std::invalid_argument("routing picture: no routing was recorded");
  }
}

// Where t lies on an axis of equally wide steps, 0 .. 1.
double place_of(double t, const at::Tensor& times) {
  const auto* begins = times.const_data_ptr<double>();
  const auto steps = times.numel();
  for (int64_t i = 0; i < steps; ++i) {
    const double end = i + 1 < steps ? begins[i + 1] : 0.0;
    if (t >= end) {  // an axis that begins below t = 1 has no place for it but its beginning
      const double in_step = std::max(0.0, (begins[i] - t) / (begins[i] - end));
      return (static_cast<double>(i) + in_step) / static_cast<double>(steps);
    }
  }
  return 1.0;
}

// The scale of the heat maps, right-aligned at `right`, its bar's top at `y`.
void draw_scale(Canvas& canvas, int64_t right, int64_t y, double uniform, double top) {
  const int64_t width = 260, left = right - width;
  for (int64_t x = 0; x < width; ++x) {
    canvas.fill(left + x, y, 1, 12,
                color_between(kHeat, static_cast<double>(x) / static_cast<double>(width - 1)));
  }
  const auto below = static_cast<double>(y) + 28;
  const double even = static_cast<double>(left) + static_cast<double>(width) * uniform / top;
  canvas.fill(std::lround(even), y - 3, 1, 18, kInk);
  canvas.text(static_cast<double>(left), below, "0", kLabel);
  canvas.text(std::max(even, static_cast<double>(left) + 52), below, "even: " + percent(uniform),
              aligned(kLabel, Align::center));
  canvas.text(static_cast<double>(right), below, percent(top), aligned(kLabel, Align::right));
}

// One layer of the map: `share` [S, E] in a plot of `width` pixels, `row` pixels per expert.
void draw_layer(Canvas& canvas, int64_t left, int64_t y, int64_t width, int64_t row, const at::Tensor& share,
                const at::Tensor& times, double top) {
  const auto steps = share.size(0), experts = share.size(1);
  const auto value = share.accessor<float, 2>();
  const int64_t every = row >= 13 ? 1 : (13 + row - 1) / row;  // label as many rows as there is room for
  for (int64_t e = 0; e < experts; ++e) {
    const auto at_y = y + e * row, drawn = row >= 6 ? row - 1 : row;
    for (int64_t x = 0; x < width; ++x) {
      const double part = value[x * steps / width][e];
      canvas.fill(left + x, at_y, 1, drawn, part < 0 ? kBlank : color_between(kHeat, part / top));
    }
    canvas.fill(left - 9, at_y, 5, drawn, category_color(e, experts));
    if (e % every == 0) {
      canvas.text(static_cast<double>(left) - 14,
                  static_cast<double>(at_y) + static_cast<double>(drawn) / 2 + 4.4, std::to_string(e),
                  aligned(kLabel, Align::right));
    }
  }
  const auto bottom = y + row * experts;
  for (const auto& [t, label] :
       {std::pair(1.0, "t = 1"), {0.75, ".75"}, {0.5, ".5"}, {0.25, ".25"}, {0.0, "0"}}) {
    const double x = static_cast<double>(left) + place_of(t, times) * static_cast<double>(width);
    canvas.fill(std::min<int64_t>(std::lround(x), left + width - 1), bottom + 2, 1, 4, kSoft);
    canvas.text(x, static_cast<double>(bottom) + 19, label, aligned(kLabel, Align::center));
  }
}

// The colors of the experts that the patches chose, in the light and shade of `image`. winners [T], tokens
// row by row.
at::Tensor winners_tile(const at::Tensor& image, const at::Tensor& winners, int64_t experts) {
  std::vector<float> table;  // one color per expert, and one for what was not recorded
  for (int64_t e = 0; e <= experts; ++e) {
    for (const auto channel : e < experts ? category_color(e, experts) : kBlank) table.push_back(channel);
  }
  const auto colors = at::tensor(table).view({experts + 1, 3});
  const auto side = std::lround(std::sqrt(static_cast<double>(winners.numel())));
  const auto patch = (at::arange(kTile, at::kLong) * side).floor_divide(kTile);
  const auto index = at::where(winners.lt(0), experts, winners);
  const auto tint = colors.index({index.view({side, side}).index_select(0, patch).index_select(1, patch)});
  const auto grey = resized(image, kTile, kTile).to(at::kFloat).mean(2, true);
  const auto darkest = grey.min(), range = (grey.max() - darkest).clamp_min(1.0);
  const auto light = (grey - darkest) / range;  // [kTile, kTile, 1] in 0 .. 1
  return (tint * (0.55 + 0.45 * light) + 36.0 * light * light).round().clamp(0, 255).to(at::kByte);
}

// Chips with the experts' numbers; returns the height they take.
int64_t draw_experts(Canvas* canvas, int64_t y, int64_t experts) {
  if (experts > 96) return 0;
  const int64_t width = 44, first = kMargin + 62, columns = (kInner - 62) / width;
  if (canvas) {
    canvas->text(kMargin, static_cast<double>(y) + 11, "Expert", kLabel);
    for (int64_t e = 0; e < experts; ++e) {
      const auto x = first + e % columns * width, top = y + e / columns * 20;
      canvas->fill(x, top, 13, 13, category_color(e, experts));
      canvas->text(static_cast<double>(x) + 18, static_cast<double>(top) + 11, std::to_string(e), kLabel);
    }
  }
  return (experts + columns - 1) / columns * 20;
}

std::string name_of(const pipeline::RoutingRecord& record, int64_t image) {
  const auto label = record.labels[image].item<int64_t>();
  const auto& c = record.config();
  if (label == c.num_classes) return "no class";
  return c.class_names.empty() ? c10::str("class ", label) : c.class_names[label];
}

// At most `count` images, of different classes where there are so many.
std::vector<int64_t> pick_images(const pipeline::RoutingRecord& record, int64_t count) {
  std::vector<int64_t> firsts;  // the first image of each class
  for (int64_t i = 0; i < record.images(); ++i) {
    if ((record.labels.slice(0, 0, i) != record.labels[i]).all().item<bool>()) firsts.push_back(i);
  }
  if (static_cast<int64_t>(firsts.size()) < std::min(count, record.images()))
    return spread(record.images(), count);
  auto picked = spread(static_cast<int64_t>(firsts.size()), count);
  for (auto& place : picked) place = firsts[place];
  return picked;
}

int64_t tile_x(int64_t column) { return kMargin + column * (kTile + kTileGap); }

}  // namespace

at::Tensor expert_map_picture(const pipeline::RoutingRecord& record) {
  require_recorded(record);
  const auto& c = record.config();
  const auto share = pipeline::shares(record);
  const int64_t layers = record.layers(), experts = record.num_experts();
  const bool tokens = record.router() == pipeline::Router::tokens;
  const double uniform = 1.0 / static_cast<double>(experts);
  const double top = std::min(1.0, std::max(2 * uniform, share.max().item<double>()));

  const int64_t columns = layers <= 3 ? layers : layers == 4 ? 2 : layers <= 9 ? 3 : 4;
  const int64_t rows = (layers + columns - 1) / columns;
  const int64_t gutter = 38, gap = 22;  // left of a plot: the experts' numbers
  const int64_t panel = (kInner + gap) / columns, plot = panel - gutter - gap;
  const int64_t row = std::clamp<int64_t>(136 / experts, 1, 28);
  const int64_t header = 158, panel_height = row * experts + 66;

  Canvas canvas(kWidth, header + rows * panel_height + 4);
  canvas.text(kMargin, 54, "Which experts work when", kTitle);
  canvas.text(
      kMargin, 82,
      c10::str("The path from noise (t = 1) to image (t = 0), left to right, one row per expert. Dark: ",
               tokens ? "many patches chose it." : "the timestep chose it."),
      kCaption);
  canvas.text(kMargin, 122,
              c10::str("Share of the choices in a layer, over ", counted(record.steps(), "step")), kHeading);
  canvas.text(kMargin, 140,
              tokens ? c10::str("mean over ", counted(record.images(), "image"), " of ",
                                counted(c.tokens(), "patch", "es"), "; every patch ", record.experts.size(-1) > c.experts_per_token ? "has, on average, " : "chooses ",
                                c.experts_per_token, " of ", counted(experts, "expert"))
                     : c10::str("every timestep chooses ", c.experts_per_timestep, " of ",
                                counted(experts, "expert"), ", for all patches of an image together"),
              kLabel);
  draw_scale(canvas, kWidth - kMargin, 112, uniform, top);
  for (int64_t layer = 0; layer < layers; ++layer) {
    const auto left = kMargin + layer % columns * panel + gutter,
               y = header + layer / columns * panel_height + 28;
    canvas.text(static_cast<double>(left), static_cast<double>(y) - 8, c10::str("Layer ", layer), kHeading);
    draw_layer(canvas, left, y, plot, row, share.select(1, layer).contiguous(), record.times, top);
  }
  return canvas.pixels();
}

at::Tensor winners_picture(const pipeline::RoutingRecord& record, const std::vector<at::Tensor>& images) {
  require_recorded(record);
  if (static_cast<int64_t>(images.size()) != record.images()) {
    throw std::invalid_argument(
        c10::str("winners picture: expected the ", record.images(), " recorded images, got ", images.size()));
  }
  const int64_t experts = record.num_experts();
  const auto winners = pipeline::winners(record);  // [images, S, L, T]
  const auto* times = record.times.const_data_ptr<double>();
  const auto shown = pick_images(record, 3);
  const auto layers = spread(record.layers(), kTiles - 1);
  const auto middle =
      std::partition_point(times, times + record.steps() - 1, [](double t) { return t > 0.501; }) - times;
  const auto steps = spread(record.steps(), kTiles);
  const auto followed = shown[shown.size() / 2];
  const auto lively = pipeline::liveliest_layers(winners[followed], 2);

  const int64_t legend = 100, first = legend + draw_experts(nullptr, 0, experts) + 66;
  const int64_t second = first + static_cast<int64_t>(shown.size()) * (kTile + kTileGap) + 74;
  const int64_t row_height = kTile + 34;
  Canvas canvas(kWidth, second + static_cast<int64_t>(lively.size()) * row_height + 14);
  canvas.text(kMargin, 48, "Who draws which patch", kTitle);
  canvas.text(
      kMargin, 76,
      "The expert that each patch chose first, over the finished image. Every layer has experts of its own.",
      kCaption);
  draw_experts(&canvas, legend, experts);

  canvas.text(kMargin, static_cast<double>(first) - 36,
              c10::str("Layer by layer at t = ", decimals(times[middle])), kHeading);
  canvas.text(kMargin, static_cast<double>(first) - 8, "Image", kLabel);
  for (size_t column = 0; column < layers.size(); ++column) {
    canvas.text(static_cast<double>(tile_x(static_cast<int64_t>(column) + 1)), static_cast<double>(first) - 8,
                c10::str("Layer ", layers[column]), kLabel);
  }
  for (size_t i = 0; i < shown.size(); ++i) {
    const auto& image = images[shown[i]];
    const auto y = first + static_cast<int64_t>(i) * (kTile + kTileGap);
    canvas.draw(kMargin, y, resized(image, kTile, kTile));
    canvas.fill(kMargin, y + kTile - 20, kTile, 20, {0, 0, 0}, 0.4);
    canvas.text(kMargin + 7, static_cast<double>(y + kTile) - 6, name_of(record, shown[i]),
                {.size = 12, .color = {255, 255, 255}, .weight = Weight::semibold});
    for (size_t column = 0; column < layers.size(); ++column) {
      canvas.draw(tile_x(static_cast<int64_t>(column) + 1), y,
                  winners_tile(image, winners[shown[i]][middle][layers[column]], experts));
    }
  }

  canvas.text(kMargin, static_cast<double>(second) - 40,
              c10::str("Step by step: ", name_of(record, followed), ", in the ",
                       lively.size() == 1 ? "layer that changes its mind most"
                                          : "layers that change their minds most"),
              kHeading);
  for (size_t i = 0; i < lively.size(); ++i) {
    const auto y = second + static_cast<int64_t>(i) * row_height;
    for (size_t column = 0; column < steps.size(); ++column) {
      const auto x = tile_x(static_cast<int64_t>(column));
      const auto label = c10::str(column == 0 ? c10::str("Layer ", lively[i], ", ") : "",
                                  "t = ", decimals(times[steps[column]]));
      canvas.text(static_cast<double>(x), static_cast<double>(y) - 8, label, kLabel);
      canvas.draw(x, y, winners_tile(images[followed], winners[followed][steps[column]][lively[i]], experts));
    }
  }
  return canvas.pixels();
}

at::Tensor routing_picture(const pipeline::RoutingRecord& record, const std::vector<at::Tensor>& images) {
  if (record.router() == pipeline::Router::timesteps)
    return expert_map_picture(record);  // every patch has the same winner
  return at::cat({expert_map_picture(record), winners_picture(record, images)});
}

}  // namespace switchyard::figures
