#include "train/sample_sheet.h"

#include <algorithm>
#include <vector>

#include "io/png.h"
#include "dit/checkpoint.h"
#include "pipeline/session.h"
#include "figures/image_grid.h"

namespace switchyard::train {

bool write_sample_sheet(const std::filesystem::path& path, dit::DiffusionTransformer& model,
                        const std::function<bool()>& go_on, int64_t columns) {
  constexpr int64_t kMostRows = 20;
  // A copy, because a session gives up the plain weights of its model.
  dit::DiffusionTransformer copy(model.config(), model.parameters().front().tensor->options());
  dit::load_state(copy, model.state_dict(), "the averaged model");
  pipeline::Session session(std::move(copy));
  pipeline::Request request;
  request.settings.guidance.scale = 1.5;
  for (int64_t label = 0; label < std::min(model.config().num_classes, kMostRows); ++label) {
    for (int64_t seed = 0; seed < columns; ++seed)
      request.images.push_back({label, static_cast<uint64_t>(seed)});
  }
  std::vector<at::Tensor> images;
  pipeline::Observer observer;
  observer.image_finished = [&](const pipeline::ImageFinished& done) {
    images.push_back(done.pixels);
    return true;
  };
  observer.step_done = [&](const pipeline::StepDone&) { return go_on(); };
  if (!session.draw(request, observer)) return false;
  io::write_png(path, figures::image_grid(images, columns));
  return true;
}

}  // namespace switchyard::train
