#include "dit/official_checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <sstream>

#include "dit/imagenet_classes.h"
#include "dit/task_masks.h"
#include "io/error.h"

namespace switchyard::dit {
namespace {

// The published sizes; the width alone tells the number of heads.
struct PublishedSize {
  std::string_view name;
  int64_t depth, width, heads;
};
constexpr std::array kPublishedSizes = {PublishedSize{"S", 12, 384, 6}, PublishedSize{"B", 12, 768, 12},
                                        PublishedSize{"L", 24, 1024, 16}, PublishedSize{"XL", 28, 1152, 16},
                                        PublishedSize{"G", 40, 1408, 16}};

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

class Inference {
 public:
  Inference(const std::map<std::string, at::Tensor>& tensors, const nlohmann::json& arguments,
            const CheckpointHints& hints, const std::string& source)
      : tensors_(tensors), arguments_(arguments), hints_(hints), source_(source) {}

  InferredConfig run() {
    read_sizes();
    read_feed_forward();
    read_router();
    read_heads();
    c_.family = family_name(c_.block_router, c_.feed_forward);
    from_tensors({"family"});
    choose_objective();
    if (c_.num_classes == 1000) {
      c_.class_names = imagenet_class_names();
      result_.origin["class_names"] = Origin::published;
    }
    try {
      c_.validate();
    } catch (const std::invalid_argument& error) {
      fail(error.what());
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw io::InputError(source_ + ": " + what); }

  const at::Tensor* find(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }

  const at::Tensor& need(const std::string& name, int64_t dimensions) const {
    const auto* tensor = find(name);
    if (tensor == nullptr)
      fail("no tensor \"" + name + "\": not a checkpoint of a DiT, SiT, DTR, Switch-DiT or DiT-MoE model");
    if (tensor->dim() != dimensions || tensor->numel() == 0) {
      std::ostringstream shape;
      shape << tensor->sizes();
      fail(name + " has shape " + shape.str() + ", expected " + std::to_string(dimensions) + " dimensions");
    }
    return *tensor;
  }

  void from_tensors(std::initializer_list<const char*> fields) {
    for (const char* field : fields) result_.origin[field] = Origin::tensors;
  }

  void read_sizes() {
    const auto& patches = need("x_embedder.proj.weight", 4);
    c_.hidden_size = patches.size(0);
    c_.in_channels = patches.size(1);
    c_.patch_size = patches.size(2);
    const int64_t tokens = need("pos_embed", 3).size(1);
    const int64_t side = std::llround(std::sqrt(static_cast<double>(tokens)));
    if (side * side != tokens)
      fail("pos_embed has " + std::to_string(tokens) + " positions, expected a square number");
    c_.input_size = side * c_.patch_size;
    c_.depth = 0;
    while (find("blocks." + std::to_string(c_.depth) + ".adaLN_modulation.1.weight") != nullptr) ++c_.depth;
    const int64_t numbers = need("final_layer.linear.weight", 2).size(0);
    const int64_t per_patch = c_.patch_size * c_.patch_size * c_.in_channels;
    if (numbers != per_patch && numbers != 2 * per_patch) {
      fail("final_layer.linear.weight has " + std::to_string(numbers) + " rows, expected " +
           std::to_string(per_patch) + " or, with a learned variance, " + std::to_string(2 * per_patch));
    }
    c_.learn_sigma = numbers == 2 * per_patch;
    from_tensors({"hidden_size", "in_channels", "patch_size", "input_size", "depth", "learn_sigma"});
    read_classes(need("y_embedder.embedding_table.weight", 2).size(0));
  }

  // The tables of models that were trained without class dropout have no row for no class.
  void read_classes(int64_t rows) {
    const auto set = [&](int64_t classes, Origin origin) {
      set_num_classes(c_, rows, classes);
      result_.origin["has_null_class"] = origin;
      const bool said = origin == Origin::given || origin == Origin::arguments;
      result_.origin["num_classes"] = said ? origin : Origin::tensors;
    };
    if (hints_.num_classes) try {
        return set(*hints_.num_classes, Origin::given);
      } catch (const std::invalid_argument& error) {
        fail(error.what());
      }
    if (rows == 1) return set(1, Origin::tensors);
    const auto stored = argument_integer({"num_classes"});
    if (stored && (*stored == rows || *stored == rows - 1)) return set(*stored, Origin::arguments);
    if (argument_number({"class_dropout_prob", "class_dropout"}) == 0.0) return set(rows, Origin::arguments);
    constexpr int64_t kImagenet = 1000;
    return rows == kImagenet ? set(rows, Origin::guessed) : set(rows - 1, Origin::published);
  }

  void read_feed_forward() {
    c_.num_experts = c_.experts_per_token = c_.expert_hidden = c_.shared_hidden = c_.mlp_hidden = 0;
    from_tensors({"feed_forward"});
    if (find("blocks.0.moe.gate.weight") == nullptr) {
      c_.feed_forward = "mlp";
      c_.mlp_hidden = need("blocks.0.mlp.fc1.weight", 2).size(0);
      return from_tensors({"mlp_hidden"});
    }
    c_.feed_forward = "moe";
    if (c_.depth == 0) need("blocks.0.adaLN_modulation.1.weight", 2);
    for (int64_t block = 0; block < c_.depth; ++block) {
      const auto moe = "blocks." + std::to_string(block) + ".moe.";
      c_.block_experts.push_back(need(moe + "gate.weight", 2).size(0));
      c_.block_expert_hidden.push_back(need(moe + "experts.0.gate_proj.weight", 2).size(0));
    }
    c_.num_experts = std::ranges::max(c_.block_experts);
    c_.expert_hidden = std::ranges::max(c_.block_expert_hidden);
    const int64_t fewest = std::ranges::min(c_.block_experts);
    for (auto* sizes : {&c_.block_experts, &c_.block_expert_hidden})  // told apart only where they differ
      if (std::ranges::count(*sizes, sizes->front()) == c_.depth) sizes->clear();
    if (find("blocks.0.moe.gate.e_score_correction_bias") != nullptr) c_.token_router = "loss_free";
    if (find("blocks.0.moe.shared_experts.gate_proj.weight") != nullptr)
      c_.shared_hidden = need("blocks.0.moe.shared_experts.gate_proj.weight", 2).size(0);
    from_tensors({"num_experts", "expert_hidden", "shared_hidden"});
    choose("experts_per_token", c_.experts_per_token, hints_.experts_per_token,
           at_most(argument_integer({"num_experts_per_tok", "experts_per_token", "top_k"}), fewest),
           std::min<int64_t>(2, fewest));
  }

  void read_router() {
    from_tensors({"block_router"});
    if (find("routers.0._unit_mapping") != nullptr) {
      const auto& windows = need("routers.0._unit_mapping", 2);
      const auto shape = fit_task_windows(windows);
      if (!shape) fail("routers.0._unit_mapping holds no task windows of DTR");
      c_.block_router = "tasks";
      c_.num_timesteps = windows.size(0);
      c_.task_alpha = shape->alpha;
      c_.task_beta = shape->beta;
      from_tensors({"task_alpha", "task_beta", "num_timesteps"});
    } else if (find("routers.0.f_gate.1.weight") != nullptr) {
      c_.block_router = "timestep_experts";
      c_.timestep_experts = need("routers.0.f_gate.1.weight", 2).size(0);
      from_tensors({"timestep_experts"});
      read_timesteps();
    }
  }

  void read_timesteps() {
    const auto* prior = find("prior._unit_mapping");
    std::optional<int64_t> in_prior;
    if (prior != nullptr && prior->dim() == 2 && prior->numel() > 0 && c_.depth > 0) {
      c_.num_timesteps = prior->size(0);
      in_prior = std::llround((*prior)[0].to(at::kDouble).sum().item<double>()) / c_.depth;
      from_tensors({"num_timesteps"});
    }
    if (in_prior && !hints_.experts_per_timestep) {
      c_.experts_per_timestep = *in_prior;
      return from_tensors({"experts_per_timestep"});
    }
    choose("experts_per_timestep", c_.experts_per_timestep, hints_.experts_per_timestep,
           at_most(argument_integer({"k", "top_k"}), c_.timestep_experts),
           std::min<int64_t>(2, c_.timestep_experts));
  }

  void read_heads() {
    if (const auto* norm = find("blocks.0.attn.q_norm.weight"); norm != nullptr && norm->numel() > 0) {
      c_.qk_norm = true;
      c_.num_heads = c_.hidden_size / norm->numel();
      return from_tensors({"qk_norm", "num_heads"});
    }
    c_.qk_norm = false;
    from_tensors({"qk_norm"});
    auto stored = at_most(argument_integer({"num_heads"}), c_.hidden_size);
    if (stored && c_.hidden_size % *stored != 0) stored.reset();
    const auto published = std::ranges::find(kPublishedSizes, c_.hidden_size, &PublishedSize::width);
    if (hints_.num_heads || stored || published != kPublishedSizes.end()) {
      return choose("num_heads", c_.num_heads, hints_.num_heads, stored,
                    published != kPublishedSizes.end() ? published->heads : 1);
    }
    c_.num_heads = c_.hidden_size % 64 == 0 ? c_.hidden_size / 64 : 1;
    result_.origin["num_heads"] = Origin::guessed;
  }

  // A stored number that contradicts the tensors says nothing.
  static std::optional<int64_t> at_most(std::optional<int64_t> stored, int64_t most) {
    return stored && *stored >= 1 && *stored <= most ? stored : std::nullopt;
  }

  template <class Value>
  void choose(const char* field, Value& value, const std::optional<Value>& given,
              const std::optional<Value>& stored, const Value& published) {
    value = given ? *given : stored ? *stored : published;
    result_.origin[field] = given ? Origin::given : stored ? Origin::arguments : Origin::published;
  }

  void choose_objective() {
    c_.time_scale = 1;
    // Fei et al. trained their largest models with rectified flow; DTR and Switch-DiT use the cosine
    // schedule.
    constexpr int64_t kWidthOfXl = 1152;
    const std::string usual = c_.integer_timesteps()                               ? "cosine"
                              : c_.routes_tokens() && c_.hidden_size >= kWidthOfXl ? "rectified_flow"
                                                                                   : "linear";
    choose("schedule", c_.schedule, hints_.schedule, stored_schedule(), usual);
    const bool flow = c_.schedule == "rectified_flow", circle = c_.schedule == "gvp";
    choose("toward_image", c_.toward_image, hints_.toward_image,
           stored_path() == c_.schedule ? std::optional(true) : std::nullopt, circle);
    choose("prediction", c_.prediction, hints_.prediction, stored_prediction(flow || circle),
           std::string(flow             ? "velocity"
                       : circle         ? "v"
                       : c_.learn_sigma ? "noise_and_variance"
                                        : "noise"));
    // The official code has no other choice of prediction than these two, so the schedule tells it.
    if (result_.origin["prediction"] == Origin::published)
      result_.origin["prediction"] = result_.origin["schedule"];
  }

  // The interpolant of SiT's training script.
  std::optional<std::string> stored_path() const {
    const auto path = argument_text({"path_type"});
    if (!path) return std::nullopt;
    if (lower(*path) == "linear") return "rectified_flow";
    if (lower(*path) == "gvp") return "gvp";
    return std::nullopt;
  }

  std::optional<std::string> stored_schedule() const {
    if (const auto path = stored_path()) return path;
    if (const auto flow = argument_boolean({"rf", "rectified_flow"})) {
      if (*flow) return "rectified_flow";
      return named_schedule().value_or("linear");  // the official code's only other choice
    }
    return named_schedule();
  }

  std::optional<std::string> named_schedule() const {
    const auto text = argument_text({"noise_schedule", "schedule_name", "beta_schedule", "schedule"});
    if (!text) return std::nullopt;
    const auto name = lower(*text);
    if (name.find("cos") != std::string::npos) return "cosine";
    if (name == "scaled_linear" || name == "linear" || name == "rectified_flow") return name;
    return std::nullopt;
  }

  std::optional<std::string> stored_prediction(bool flow) const {
    if (flow) return std::nullopt;
    if (argument_boolean({"predict_xstart"}).value_or(false)) return "clean_image";
    if (argument_boolean({"predict_v"}).value_or(false)) return "v";
    return std::nullopt;
  }

  // The first of the keys, at the top or one level down ("routing_param": {"k": 2}).
  const nlohmann::json* argument(std::initializer_list<const char*> keys) const {
    if (!arguments_.is_object()) return nullptr;
    for (const char* key : keys) {
      if (const auto found = arguments_.find(key); found != arguments_.end()) return &*found;
      for (const auto& [name, inner] : arguments_.items()) {
        if (!inner.is_object()) continue;
        if (const auto found = inner.find(key); found != inner.end()) return &*found;
      }
    }
    return nullptr;
  }

  std::optional<int64_t> argument_integer(std::initializer_list<const char*> keys) const {
    const auto* value = argument(keys);
    return value != nullptr && value->is_number_integer() ? std::optional(value->get<int64_t>())
                                                          : std::nullopt;
  }

  std::optional<double> argument_number(std::initializer_list<const char*> keys) const {
    const auto* value = argument(keys);
    return value != nullptr && value->is_number() ? std::optional(value->get<double>()) : std::nullopt;
  }

  std::optional<std::string> argument_text(std::initializer_list<const char*> keys) const {
    const auto* value = argument(keys);
    return value != nullptr && value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
  }

  std::optional<bool> argument_boolean(std::initializer_list<const char*> keys) const {
    const auto* value = argument(keys);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    if (value->is_number_integer()) return value->get<int64_t>() != 0;
    if (!value->is_string()) return std::nullopt;
    return lower(value->get<std::string>()) == "true";
  }

  const std::map<std::string, at::Tensor>& tensors_;
  const nlohmann::json& arguments_;
  const CheckpointHints& hints_;
  const std::string& source_;
  InferredConfig result_;
  ModelConfig& c_ = result_.config;
};

}  // namespace

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::tensors:
      return "from the tensors";
    case Origin::arguments:
      return "from the stored arguments";
    case Origin::given:
      return "given";
    case Origin::published:
      return "assumed: published use";
    case Origin::guessed:
      return "guessed: the file does not say";
  }
  return "";
}

void set_num_classes(ModelConfig& config, int64_t labels, int64_t num_classes) {
  if (num_classes < 1 || (num_classes != labels && num_classes != labels - 1)) {
    throw std::invalid_argument("num_classes is given as " + std::to_string(num_classes) +
                                ", the table of classes has " + std::to_string(labels) +
                                (labels == 1 ? " row: it can be 1"
                                             : " rows: it can be " + std::to_string(labels) + ", or " +
                                                   std::to_string(labels - 1) + " and the null class"));
  }
  config.num_classes = num_classes;
  config.has_null_class = num_classes != labels;
  if (static_cast<int64_t>(config.class_names.size()) != num_classes) config.class_names.clear();
}

InferredConfig infer_config(const std::map<std::string, at::Tensor>& tensors, const nlohmann::json& arguments,
                            const CheckpointHints& hints, const std::string& source) {
  return Inference(tensors, arguments, hints, source).run();
}

}  // namespace switchyard::dit
