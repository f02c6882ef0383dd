// Opens a model, draws with a routing recipe, prints which experts drew. Compiled and run by the tests:
//   draw_with_a_recipe model.safetensors recipe.json
#include <ATen/ATen.h>

#include <cstdio>

#include "io/png.h"
#include "pipeline/routing_facts.h"
#include "pipeline/session.h"

int main(int, char** argument) {
  using namespace switchyard;
  pipeline::Session session({.model = {.file = argument[1]}});
  pipeline::Request request;
  request.images = {{.label = 2, .seed = 7}};
  request.settings.grid.steps = 4;
  request.recipe = pipeline::read_recipe(argument[2], session.config());
  pipeline::RoutingRecord record(session.config(), request);
  session.draw(request, {.routing = record.recorder(), .image_finished = [&](const pipeline::ImageFinished& done) {
                           return io::write_png("drawn.png", done.pixels, session.text_of(request, 0)), true;
                         }});
  const auto share = pipeline::shares(record).mean(0);  // [layers, experts]
  for (int64_t e = 0; e < share.size(1); ++e) std::printf("expert %d: %.1f %% of layer 0\n", int(e), 100 * share[0][e].item<double>());
}
