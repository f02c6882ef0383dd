#include "dit/diffusers_transformer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include "dit/embedding.h"
#include "dit/foreign_json.h"
#include "dit/imagenet_classes.h"
#include "dit/official_checkpoint.h"
#include "io/tensor_problems.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

using Names = std::pair<const char*, const char*>;  // theirs, ours; with .weight and .bias

constexpr std::array kWhole = {Names{"pos_embed.proj", "x_embedder.proj"},
                               Names{"proj_out_1", "final_layer.adaLN_modulation.1"},
                               Names{"proj_out_2", "final_layer.linear"}};
constexpr std::array kBlock = {Names{"norm1.linear", "adaLN_modulation.1"},
                               Names{"attn1.to_q", "attn.q"},
                               Names{"attn1.to_k", "attn.k"},
                               Names{"attn1.to_v", "attn.v"},
                               Names{"attn1.to_out.0", "attn.proj"},
                               Names{"ff.net.0.proj", "mlp.fc1"},
                               Names{"ff.net.2", "mlp.fc2"}};
constexpr std::array kEmbedders = {Names{"norm1.emb.timestep_embedder.linear_1", "t_embedder.mlp.0"},
                                   Names{"norm1.emb.timestep_embedder.linear_2", "t_embedder.mlp.2"}};
constexpr Names kTable = {"norm1.emb.class_embedder.embedding_table.weight",
                          "y_embedder.embedding_table.weight"};

class Reading : ForeignJson {
 public:
  Reading(const nlohmann::json& json, io::StateDict tensors, const std::string& source)
      : ForeignJson(json, source), theirs_(std::move(tensors)) {}

  DiffusersTransformer run() {
    try {
      refuse_other_parts();
      read_sizes();
      c_.validate();
    } catch (const std::invalid_argument& error) {
      fail(error.what());
    }
    require_size_of_file();
    rename();
    share_embedders();
    return std::move(result_);
  }

 private:
  void refuse_other_parts() const {
    const std::pair<const char*, const char*> parts[] = {{"activation_fn", "gelu-approximate"},
                                                         {"norm_type", "ada_norm_zero"}};
    for (const auto& [key, wanted] : parts) {
      const auto given = field<std::string>(key, wanted);
      if (given != wanted)
        fail(std::string(key) + " is " + io::quote(given) + ", this program knows \"" + wanted + "\"");
    }
    if (!field("attention_bias", true))
      fail("attention_bias is false: this program has attention with biases only");
    if (field("norm_elementwise_affine", false))
      fail("norm_elementwise_affine is true: this program has layer norms without weights only");
    if (field<int64_t>("cross_attention_dim", 0) != 0)
      fail("cross_attention_dim is given: this model draws from texts");
  }

  int64_t size(const char* key, int64_t otherwise, int64_t most) const {
    const auto value = field(key, otherwise);
    if (value < 1 || value > most)
      fail(std::string(key) + " is " + std::to_string(value) + ", expected 1 .. " + std::to_string(most));
    return value;
  }

  void read_sizes() {
    c_.family = "dit";
    c_.feed_forward = "mlp";
    c_.num_experts = c_.experts_per_token = c_.expert_hidden = c_.shared_hidden = 0;
    c_.num_heads = size("num_attention_heads", 16, 1024);
    c_.hidden_size = c_.num_heads * size("attention_head_dim", 72, 16384);
    c_.mlp_hidden = 4 * c_.hidden_size;
    c_.depth = size("num_layers", 28, 1024);
    c_.input_size = size("sample_size", 32, 4096);
    c_.patch_size = size("patch_size", 2, 256);
    c_.in_channels = size("in_channels", 4, 256);
    const auto out = size("out_channels", c_.in_channels, 512);
    if (out != c_.in_channels && out != 2 * c_.in_channels) {
      fail("out_channels is " + std::to_string(out) + ", expected in_channels, " +
           std::to_string(c_.in_channels) + ", or with a learned variance twice that");
    }
    c_.learn_sigma = out != c_.in_channels;
    c_.norm_eps = field("norm_eps", 1e-5);
    c_.frequency_shift = 1;
    const auto classes = size("num_embeds_ada_norm", 1000, 1048576);
    const auto table = theirs_.find(block_name(0, kTable.first));
    const bool is_table = table != theirs_.end() && table->second.dim() == 2;
    set_num_classes(c_, is_table ? table->second.size(0) : classes + 1, classes);
    constexpr int64_t kImagenet = 1000;
    if (classes == kImagenet) c_.class_names = imagenet_class_names();
    c_.schedule = "linear";
    c_.prediction = c_.learn_sigma ? "noise_and_variance" : "noise";
  }

  static std::string block_name(int64_t block, const char* name) {
    return "transformer_blocks." + std::to_string(block) + "." + name;
  }

  // What no tensor tells must not cost more than the file.
  void require_size_of_file() const {
    const auto patches = theirs_.find("pos_embed.proj.weight");
    if (patches != theirs_.end() && patches->second.dim() == 4 && patches->second.size(0) != c_.hidden_size) {
      fail("num_attention_heads times attention_head_dim is " + std::to_string(c_.hidden_size) +
           ", the weights are " + std::to_string(patches->second.size(0)) + " wide");
    }
    int64_t numbers = 0, blocks = 0;
    for (const auto& [name, tensor] : theirs_) numbers += tensor.numel();
    while (theirs_.contains(block_name(blocks, "norm1.linear.weight"))) ++blocks;
    if (blocks != c_.depth)
      fail("num_layers is " + std::to_string(c_.depth) + ", the weights have " + std::to_string(blocks) +
           " blocks");
    if (c_.tokens() > numbers / c_.hidden_size / 8)
      fail("sample_size is " + std::to_string(c_.input_size) + ", which is absurd for a model of " +
           std::to_string(numbers) + " numbers");
  }

  void rename() {
    const auto both = [&](const std::string& theirs, const std::string& ours) {
      for (const char* end : {".weight", ".bias"}) take(theirs + end, ours + end);
    };
    for (const auto& [theirs, ours] : kWhole) both(theirs, ours);
    for (int64_t block = 0; block < c_.depth; ++block) {
      const auto prefix = "blocks." + std::to_string(block) + ".";
      for (const auto& [theirs, ours] : kBlock) both(block_name(block, theirs), prefix + ours);
      for (const auto& [theirs, ours] : kEmbedders) both(block_name(block, theirs), prefix + ours);
      take(block_name(block, kTable.first), prefix + kTable.second);
    }
    theirs_.erase("pos_embed.pos_embed");  // some versions store it; the configuration determines it
    for (const auto& [name, tensor] : theirs_)
      problems_.push_back(io::quote(name) + " is not part of this model");
    if (!problems_.empty()) io::refuse_tensors(source_, "the model's", problems_);
    result_.tensors["pos_embed"] = position_embedding(c_.hidden_size, c_.input_size / c_.patch_size);
  }

  void take(const std::string& theirs, const std::string& ours) {
    auto found = theirs_.extract(theirs);
    if (found.empty())
      problems_.push_back(theirs + " is missing");
    else
      result_.tensors[ours] = std::move(found.mapped());
  }

  void share_embedders() {
    std::vector<std::string> names = {kTable.second};
    for (const auto& [theirs, ours] : kEmbedders)
      for (const char* end : {".weight", ".bias"}) names.push_back(std::string(ours) + end);
    const auto same = [](const at::Tensor& a, const at::Tensor& b) {
      return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && at::equal(a, b);
    };
    const auto of_block = [&](int64_t block, const std::string& name) -> at::Tensor& {
      return result_.tensors.at("blocks." + std::to_string(block) + "." + name);
    };
    for (int64_t block = 1; block < c_.depth && !c_.block_embedders; ++block) {
      c_.block_embedders = !std::ranges::all_of(
          names, [&](const std::string& name) { return same(of_block(block, name), of_block(0, name)); });
    }
    if (c_.block_embedders) return;
    for (const auto& name : names) {
      result_.tensors[name] = of_block(0, name);
      for (int64_t block = 0; block < c_.depth; ++block)
        result_.tensors.erase("blocks." + std::to_string(block) + "." + name);
    }
  }

  io::StateDict theirs_;
  std::vector<std::string> problems_;
  DiffusersTransformer result_;
  ModelConfig& c_ = result_.config;
};

}  // namespace

bool is_diffusers_transformer(const nlohmann::json& config) {
  if (!config.is_object()) return false;
  const auto name = config.value("_class_name", nlohmann::json());
  // What the class was before it had a name of its own.
  return name == "DiTTransformer2DModel" ||
         (name == "Transformer2DModel" && config.value("norm_type", nlohmann::json()) == "ada_norm_zero");
}

DiffusersTransformer diffusers_transformer(const nlohmann::json& config, io::StateDict tensors,
                                           const std::string& source) {
  if (!is_diffusers_transformer(config)) {
    const auto name = config.is_object() ? config.value("_class_name", nlohmann::json()) : nlohmann::json();
    throw io::InputError(
        source + ": " +
        (name.is_string() ? "is a " + io::quote(name.get<std::string>()) : "does not say what it is") +
        ", expected a DiTTransformer2DModel");
  }
  return Reading(config, std::move(tensors), source).run();
}

}  // namespace switchyard::dit
