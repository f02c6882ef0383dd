#include "train/trainer.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/training_images.h"
#include "dit/checkpoint.h"
#include "dit/model_file.h"
#include "io/error.h"
#include "io/free_memory.h"
#include "io/json.h"
#include "io/split_mix.h"
#include "kernels/linear/linear.h"
#include "kernels/side_by_side.h"
#include "train/checkpoint_file.h"
#include "train/flat_parameters.h"
#include "train/flow_matching.h"
#include "train/optimizer.h"
#include "train/run_directory.h"
#include "train/sample_sheet.h"
#include "train/training_log.h"

namespace switchyard::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

at::ScalarType product_dtype(const Recipe& recipe, at::Device device) {
  return recipe.bf16 && (!device.is_cpu() || kernels::has_bf16_products()) ? at::kBFloat16 : at::kFloat;
}

// Well-spread seeds for (run, step, shard): by SplitMix64. libtorch's CPU generator uses 32 bits of
// them.
uint64_t draw_seed(uint64_t run, int64_t step, int64_t shard) {
  const uint64_t key = run * io::kSplitMixStep + static_cast<uint64_t>(step) * 0xd1342543de82ef95 +
                       static_cast<uint64_t>(shard) + 1;
  return io::split_mix(key) & 0xffffffff;
}

// The state that a checkpoint holds, and the models that look at it.
class TrainingState {
 public:
  TrainingState(const Recipe& recipe, const dit::ModelConfig& config, at::Device device)
      : recipe_(recipe),
        master_(config, at::TensorOptions().device(device)),
        average_(config, at::TensorOptions().device(device)),
        working_(config, at::TensorOptions().device(device).dtype(product_dtype(recipe, device))) {
    dit::initialize(master_, recipe.seed);
    master_flat_ = std::make_unique<FlatParameters>(master_, false);
    average_flat_ = std::make_unique<FlatParameters>(average_, false);
    working_flat_ = std::make_unique<FlatParameters>(working_, true);
    average().copy_(master());
    working_flat_->flat().copy_(master());
    share_buffers();
    provenance_ = {{"recipe", to_json(recipe)}};
    gradient_ = at::zeros_like(master());
    first_moment_ = at::zeros_like(master());
    second_moment_ = at::zeros_like(master());
  }

  /// Takes the weights of a trained model and goes on where it ended, with an optimiser that knows nothing
  /// yet.
  void start_from(const std::filesystem::path& path) {
    const auto file = dit::open_model(path);
    if (!(file.config == master_.config())) {
      throw io::InputError(path.string() + ": its configuration is not that of \"" + recipe_.model +
                           "\", which this recipe trains");
    }
    dit::load_state(master_, file.tensors, path.string());
    average().copy_(master());
    working_flat_->flat().copy_(master());
    share_buffers();
    const auto images = file.training.value("images_seen", nlohmann::json(0));
    if (!images.is_number_integer() || images < 0 || images > recipe_.images) {
      throw io::InputError(path.string() + ": it has seen " + images.dump() + " images, expected 0 to the " +
                           std::to_string(recipe_.images) + " of this recipe");
    }
    require_finite(path.string());
    step_ = first_step_ = images.get<int64_t>() / recipe_.batch_size;
    provenance_["started_from"] = file.training;
  }

  int64_t step() const { return step_; }
  /// How the averaged model came about, as its file will say it.
  nlohmann::json provenance() const {
    auto all = provenance_;
    all["images_seen"] = step_ * recipe_.batch_size;
    return all;
  }
  at::Device device() const { return master().device(); }
  double learning_rate() const {
    return recipe_.learning_rate_at(step_ - 1, first_step_);
  }  // of the last step
  const dit::DiffusionTransformer& working() const { return working_; }
  dit::DiffusionTransformer& averaged_model() { return average_; }

  /// Gradients of the working model's parameters, one list per shard, summed in order; then one optimiser
  /// step. choices: per block, how many tokens chose each expert in this step, for routers that balance their load
  /// by it; empty for none. Returns the gradient's norm before clipping.
  double update(const std::vector<std::vector<at::Tensor>>& shard_gradients,
                const std::vector<at::Tensor>& choices) {
    for (size_t shard = 0; shard < shard_gradients.size(); ++shard) {
      working_flat_->gather_gradients(shard_gradients[shard], shard > 0, gradient_);
    }
    gradient_.mul_(1.0 / static_cast<double>(shard_gradients.size()));
    const double norm = optimizer_step(recipe_, step_, gradient_,
                                       {master(), average(), first_moment_, second_moment_, first_step_});
    ++step_;
    working_flat_->flat().copy_(master());
    master_.balance(choices);
    share_buffers();
    return norm;
  }

  const std::vector<at::Tensor>& leaves() const { return working_flat_->views(); }

  void save(CheckpointFile& checkpoint, const at::Tensor& window) {
    std::map<std::string, at::Tensor> tensors{{"master", master()},
                                              {"average", average()},
                                              {"first_moment", first_moment_},
                                              {"second_moment", second_moment_},
                                              {"window", window},
                                              {"step", at::full({}, step_, at::kLong)},
                                              {"first_step", at::full({}, first_step_, at::kLong)}};
    for (const auto& [name, tensor] : master_.buffers()) tensors[name] = *tensor;
    checkpoint.write(std::move(tensors),
                     {{"recipe", to_json(recipe_).dump()}, {"provenance", provenance_.dump()}});
  }

  /// path: whose contents `file` has, for messages.
  void load(io::TensorFile file, const std::filesystem::path& path, at::Tensor& window) {
    const auto stored = io::parse_json(file.metadata["recipe"], path.string() + ": its recipe");
    const auto wanted = to_json(recipe_), usual = to_json(Recipe());
    for (const auto& [field, value] : wanted.items()) {
      if (field == "images" || (stored.is_object() && stored.contains(field) && stored[field] == value))
        continue;
      const bool is_new =
          field == "data" || field == "image_size" || field == "flip";  // older checkpoints lack them
      if (is_new && stored.is_object() && !stored.contains(field) && value == usual[field]) continue;
      throw io::InputError(path.string() + ": checkpoint of another recipe: its " + field + " is " +
                           (stored.is_object() && stored.contains(field) ? stored[field].dump() : "missing") +
                           ", this run's is " + value.dump() +
                           ". Train in another directory, or delete this one.");
    }
    const auto fetch = [&](const char* name, const at::Tensor& target) {
      const auto found = file.tensors.find(name);
      if (found == file.tensors.end() || found->second.sizes() != target.sizes() ||
          found->second.scalar_type() != target.scalar_type()) {
        throw io::InputError(path.string() + ": checkpoint without a fitting tensor \"" + name + "\"");
      }
      target.copy_(found->second);
    };
    auto step = at::zeros({}, at::kLong), first_step = at::zeros({}, at::kLong);
    fetch("master", master());
    fetch("average", average());
    fetch("first_moment", first_moment_);
    fetch("second_moment", second_moment_);
    fetch("window", window);
    for (const auto& [name, tensor] : master_.buffers()) fetch(name.c_str(), *tensor);
    share_buffers();
    fetch("step", step);
    if (file.tensors.contains("first_step")) fetch("first_step", first_step);  // older checkpoints began at 0
    step_ = step.item<int64_t>();
    first_step_ = first_step.item<int64_t>();
    require_steps(stored, path.string());
    require_finite(path.string());
    if (file.metadata.contains("provenance"))
      provenance_ = io::parse_json(file.metadata["provenance"], path.string() + ": its provenance");
    if (!provenance_.is_object()) throw io::InputError(path.string() + ": its provenance is not an object");
    provenance_["recipe"] = wanted;
    working_flat_->flat().copy_(master());
  }

 private:
  // What the checkpoint's own recipe allows, and this run's, which may be another in its images.
  void require_steps(const nlohmann::json& stored, const std::string& source) const {
    const auto images = stored.find("images");
    if (images == stored.end() || !images->is_number_integer() || *images < 0)
      throw io::InputError(source + ": its recipe has no number of images");
    for (const int64_t all : {images->get<int64_t>(), recipe_.images}) {
      const int64_t most = all / recipe_.batch_size + (all % recipe_.batch_size > 0);
      if (step_ < 0 || step_ > most || first_step_ < 0 || first_step_ > step_)
        throw io::InputError(source + ": is after step " + std::to_string(step_) + ", begun at step " +
                             std::to_string(first_step_) + "; expected 0 .. " + std::to_string(most) +
                             ", the steps of a recipe of " + std::to_string(all) + " images");
    }
  }

  void require_finite(const std::string& source) const {
    for (const auto& numbers : {master(), average(), first_moment_, second_moment_})
      if (!at::isfinite(numbers).all().item<bool>())
        throw io::InputError(source +
                             ": holds numbers that are not finite; nothing can be learned from there");
  }

  // The same in all three models: no gradient moves them, and nothing is averaged.
  void share_buffers() {
    const at::NoGradGuard no_grad;
    const auto own = master_.buffers();
    for (auto* model : {&average_, &working_}) {
      const auto others = model->buffers();
      for (size_t i = 0; i < own.size(); ++i) others[i].tensor->copy_(*own[i].tensor);
    }
  }

  const at::Tensor& master() const { return master_flat_->flat(); }
  const at::Tensor& average() const { return average_flat_->flat(); }

  Recipe recipe_;
  dit::DiffusionTransformer master_, average_, working_;
  std::unique_ptr<FlatParameters> master_flat_, average_flat_, working_flat_;
  at::Tensor gradient_, first_moment_, second_moment_;
  int64_t step_ = 0, first_step_ = 0;
  nlohmann::json provenance_;
};

struct ShardResult {
  ShardLoss loss;
  std::vector<at::Tensor> gradients;
};

ShardResult run_shard(const TrainingState& state, const data::Batch& batch, int64_t shard, int64_t size,
                      const Recipe& recipe) {
  const auto rows = [&](const at::Tensor& all) { return all.narrow(0, shard * size, size); };
  const auto images = data::to_model_range(rows(batch.images).to(state.device()));
  auto loss = shard_loss(state.working(), images, rows(batch.labels),
                         draw_seed(recipe.seed, state.step(), shard), recipe);
  auto gradients = torch::autograd::grad({loss.total}, state.leaves());
  loss.total.reset();
  return {std::move(loss), std::move(gradients)};
}

std::vector<ShardResult> run_shards(const TrainingState& state, const data::Batch& batch,
                                    const Recipe& recipe) {
  // Shards are for the cores of a CPU. A GPU is one queue of work, and fuller with the whole batch at once.
  const int64_t size = state.device().is_cpu() ? recipe.shard_size : recipe.batch_size;
  std::vector<ShardResult> results(recipe.batch_size / size);
  kernels::side_by_side(static_cast<int64_t>(results.size()), [&](int64_t shard) {
    results[shard] = run_shard(state, batch, shard, size, recipe);
  });
  return results;
}

// Per block, of all shards; nothing where no tokens are routed.
std::vector<at::Tensor> choices_of(const std::vector<ShardResult>& shards, const dit::ModelConfig& config) {
  std::vector<at::Tensor> choices;
  for (int64_t block = 0; config.routes_tokens() && block < config.depth; ++block) {
    auto sum = shards.front().loss.expert_choices[block];
    for (size_t shard = 1; shard < shards.size(); ++shard)
      sum = sum + shards[shard].loss.expert_choices[block];
    choices.push_back(std::move(sum));
  }
  return choices;
}

std::shared_ptr<const data::TrainingImages> images_of(const Recipe& recipe, int64_t size,
                                                      const RunOptions& options) {
  if (options.data.empty()) return data::solids_to_learn(size);
  return data::pictures_to_learn(
      data::open_images(options.data, io::Alpha::over_white),
      {.size = size, .flip = recipe.flip, .seed = recipe.seed, .most_bytes = io::free_memory() / 4});
}

// One batch is rendered long before a CPU's step is over. A GPU needs them faster than one thread renders: 8,000
// images/s on an H200, of which a thread makes 2,000.
int made_ahead(at::Device device) {
  return device.is_cpu() ? 1 : std::clamp(static_cast<int>(std::thread::hardware_concurrency()) - 2, 1, 8);
}

// What the log and the progress line show: sums over the steps since the last row. One tensor, because a
// checkpoint holds it.
class Window {
 public:
  Window(int64_t layers, int64_t experts)
      : layers_(layers), sums_(at::zeros({kFirstChoice + layers * experts}, at::kDouble)) {}

  at::Tensor& sums() { return sums_; }
  void clear() { sums_.zero_(); }

  void add(const std::vector<ShardResult>& shards, double norm) {
    double* sum = sums_.mutable_data_ptr<double>();
    const double share = 1.0 / static_cast<double>(shards.size());
    for (const auto& [loss, gradients] : shards) {
      sum[kLoss] += share * loss.flow.item<double>();
      sum[kBalance] += share * loss.balance.item<double>();
      choices().add_(at::stack(loss.expert_choices).cpu());
    }
    sum[kNorm] += norm;
    sum[kSteps] += 1;
  }

  double steps() const { return sums_.const_data_ptr<double>()[kSteps]; }
  double loss() const { return sums_.const_data_ptr<double>()[kLoss] / steps(); }
  double balance() const { return sums_.const_data_ptr<double>()[kBalance] / steps(); }
  double gradient_norm() const { return sums_.const_data_ptr<double>()[kNorm] / steps(); }
  at::Tensor expert_load() const { return choices() / choices().sum(1, true); }  // [layers, E]

 private:
  enum { kLoss, kBalance, kNorm, kSteps, kFirstChoice };
  at::Tensor choices() const { return sums_.slice(0, kFirstChoice).view({layers_, -1}); }

  int64_t layers_;
  at::Tensor sums_;
};

}  // namespace

bool train(const Recipe& given, const RunOptions& options, const OnProgress& on_progress) {
  given.validate();
  auto config = model_config(given);
  const auto images = images_of(given, config.input_size, options);
  config.class_names = images->class_names();
  config.num_classes = static_cast<int64_t>(config.class_names.size());
  config.validate();
  Recipe recipe = given;
  recipe.data = images->identity();
  // Master, average, gradient and two moments in fp32, the working copy perhaps in bf16.
  if (options.device.is_cpu())
    io::require_memory((5 * 4 + 2) * dit::count_parameters(config).total, "a training of " + recipe.model);
  const RunDirectory directory(options.directory);
  CheckpointFile checkpoint(options.directory);

  TrainingState state(recipe, config, options.device);
  const int64_t experts = config.routes_tokens() ? config.num_experts : config.timestep_experts;
  Window window(config.depth, experts);
  const bool resumed = checkpoint.exists();
  if (resumed) {
    auto file = checkpoint.read(options.say);
    state.load(std::move(file), checkpoint.source(), window.sums());
  } else if (!options.start_from.empty()) {
    state.start_from(options.start_from);
  }
  TrainingLog log(options.directory / "log.csv", state.step(), config.depth, experts);

  const auto save = [&] {
    state.save(checkpoint, window.sums());
    dit::save_model(options.directory / "model.safetensors", state.averaged_model(),
                    state.provenance().dump(), at::kBFloat16, settings_of(recipe), settings_of(recipe, 15));
  };

  // A sheet each time that another images_per_sheet have been seen, and at the end.
  const auto sheet_is_due = [&] {
    const auto sheets = [&](int64_t step) { return step * recipe.batch_size / options.images_per_sheet; };
    return options.images_per_sheet > 0 && state.step() > 0 &&
           (sheets(state.step()) > sheets(state.step() - 1) || state.step() == recipe.steps());
  };
  const auto sheet = [&] {
    return options.directory / ("samples-" + std::to_string(state.step() * recipe.batch_size) + ".png");
  };
  Progress progress;
  progress.steps = recipe.steps();
  const auto report = [&] {
    progress.step = state.step();
    progress.images = state.step() * recipe.batch_size;
    return !on_progress || on_progress(progress);
  };
  // The run that wrote the checkpoint was stopped before its sheet was drawn.
  if (resumed && sheet_is_due() && !std::filesystem::exists(sheet()) &&
      !write_sample_sheet(sheet(), state.averaged_model(), report))
    return false;

  data::BatchesAhead batches(images, state.step(), recipe.batch_size, made_ahead(options.device));
  const int64_t first_step = state.step();
  const auto start = Clock::now();
  auto last_save = start;
  double waited = 0;
  while (state.step() < recipe.steps()) {
    const auto asked = Clock::now();
    const auto batch = batches.next();
    waited += seconds_since(asked);
    for (const auto& problem : images->take_problems())
      if (options.say) options.say(problem);
    const auto shards = run_shards(state, batch, recipe);
    std::vector<std::vector<at::Tensor>> gradients;
    for (const auto& shard : shards) gradients.push_back(shard.gradients);
    window.add(shards, state.update(gradients, choices_of(shards, config)));

    progress.loss = window.loss();
    progress.balance = window.balance();
    const double seconds = seconds_since(start);
    progress.images_per_second =
        static_cast<double>((state.step() - first_step) * recipe.batch_size) / seconds;
    progress.waiting = waited / seconds;
    progress.seconds_left =
        static_cast<double>((recipe.steps() - state.step()) * recipe.batch_size) / progress.images_per_second;

    if (state.step() % options.steps_per_row == 0 || state.step() == recipe.steps()) {
      log.append({state.step(), state.step() * recipe.batch_size, window.loss(), window.balance(),
                  window.gradient_norm(), state.learning_rate(), progress.images_per_second,
                  window.expert_load()});
      window.clear();
    }
    bool go_on = report();
    if (go_on && sheet_is_due()) go_on = write_sample_sheet(sheet(), state.averaged_model(), report);
    if (!go_on || seconds_since(last_save) >= options.checkpoint_seconds) {
      save();
      last_save = Clock::now();
    }
    if (!go_on) return false;
  }
  save();
  return true;
}

}  // namespace switchyard::train
