// Autoencoder files: what is read, and what is said of files that do not fit.
#include "vae/checkpoint.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "../io/scratch.h"
#include "io/error.h"
#include "io/safetensors.h"
#include "random_autoencoder.h"

namespace switchyard::vae {
namespace {

using io::contains;
using io::message_of;

constexpr const char* kWeights = "diffusion_pytorch_model.safetensors";

std::string json_text(const VaeConfig& config) {
  nlohmann::json json = {{"_class_name", "AutoencoderKL"}, {"sample_size", 512}};
  VaeConfig::for_each_field(config,
                            [&](const char* name, const auto& value, const char*) { json[name] = value; });
  return json.dump();
}

at::Tensor decoded(const Autoencoder& autoencoder) {
  return autoencoder.decode(random({1, 4, 3, 5}, 1)).value();
}

class VaeCheckpoint : public io::Scratch {
 protected:
  std::filesystem::path folder() const { return file(kWeights).parent_path(); }

  void put_model(const VaeConfig& config, const Tensors& tensors) {
    io::write_safetensors(file(kWeights), tensors);
    put("config.json", json_text(config));
  }

  std::string message_for(const std::function<void(Tensors&)>& spoil) {
    auto tensors = random_tensors(small_config());
    spoil(tensors);
    put_model(small_config(), tensors);
    const auto message = message_of<io::InputError>([&] { open_autoencoder(folder()); });
    EXPECT_TRUE(contains(message, file(kWeights).string())) << "the file is named";
    return message;
  }
};

TEST_F(VaeCheckpoint, FolderAndFileLoadTheSame) {
  put_model(small_config(), random_tensors(small_config()));
  const auto expected = decoded(random_autoencoder(small_config()));
  for (const auto& path : {folder(), file(kWeights)}) {
    const auto opened = open_autoencoder(path);
    EXPECT_EQ(opened.config, small_config());
    EXPECT_EQ(opened.weights, file(kWeights));
    EXPECT_FALSE(opened.inferred);
    EXPECT_TRUE(at::equal(decoded(load_autoencoder(opened)), expected));
  }
}

TEST_F(VaeCheckpoint, LoadsWithoutConfiguration) {
  auto config = small_config();
  config.block_out_channels = {32, 64};
  config.norm_num_groups = 32;
  io::write_safetensors(file("any.safetensors"), random_tensors(config));
  const auto opened = open_autoencoder(file("any.safetensors"));
  EXPECT_TRUE(opened.inferred);
  EXPECT_EQ(opened.config, config);
  EXPECT_TRUE(at::equal(decoded(load_autoencoder(opened)), decoded(random_autoencoder(config))));
}

TEST_F(VaeCheckpoint, OlderAttentionNamesLoadWithoutConfiguration) {
  auto config = small_config();
  config.block_out_channels = {32};
  config.norm_num_groups = 32;
  Tensors older;
  for (const auto& [name, tensor] : random_tensors(config)) {
    auto renamed = name;
    for (const auto& [now, old] : {std::pair{".to_q.", ".query."},
                                   {".to_k.", ".key."},
                                   {".to_v.", ".value."},
                                   {".to_out.0.", ".proj_attn."}}) {
      if (const auto at = renamed.find(now); at != renamed.npos)
        renamed.replace(at, std::string(now).size(), old);
    }
    older[renamed] = tensor.dim() == 2 ? tensor.view({32, 32, 1, 1}) : tensor;
  }
  io::write_safetensors(file("older.safetensors"), older);
  EXPECT_TRUE(at::equal(decoded(load_autoencoder(open_autoencoder(file("older.safetensors")))),
                        decoded(random_autoencoder(config))));
}

TEST_F(VaeCheckpoint, HalfPrecisionFilesLoad) {
  for (const auto dtype : {at::kHalf, at::kBFloat16}) {
    auto tensors = random_tensors(small_config());
    for (auto& [name, tensor] : tensors) tensor = tensor.to(dtype);
    put_model(small_config(), tensors);
    const auto image = decoded(load_autoencoder(open_autoencoder(folder())));
    EXPECT_LE(relative_error(image, decoded(random_autoencoder(small_config()))), 5e-2);
  }
}

TEST_F(VaeCheckpoint, TheDecoderAloneDecodesTheSame) {
  put_model(small_config(), random_tensors(small_config()));
  const auto decoder = load_autoencoder(open_autoencoder(folder()), {.with_encoder = false});
  EXPECT_TRUE(at::equal(decoded(decoder), decoded(random_autoencoder(small_config()))));
  EXPECT_THROW(decoder.encode(at::zeros({1, 3, 16, 16})), std::logic_error);
}

TEST_F(VaeCheckpoint, FilesMayGoAwayAfterLoading) {
  put_model(small_config(), random_tensors(small_config()));
  const auto loaded = load_autoencoder(open_autoencoder(folder()));
  put(kWeights, std::string(std::filesystem::file_size(file(kWeights)), '\xff'));
  EXPECT_TRUE(at::equal(decoded(loaded), decoded(random_autoencoder(small_config()))));
}

TEST_F(VaeCheckpoint, NamesWhatDoesNotFit) {
  const auto message = message_for([](Tensors& tensors) {
    tensors.erase("decoder.conv_in.bias");
    tensors["decoder.conv_norm_out.bias"] = at::zeros({9});
    tensors["decoder.conv_out.bias"] = at::zeros({3}, at::kLong);
    tensors["loss.logvar"] = at::zeros({1});
    const auto key = std::string("encoder.mid_block.attentions.0.");
    tensors[key + "query.bias"] = tensors.at(key + "to_q.bias");
    tensors[key + "to_k.weight"] = at::zeros({24, 24, 1, 2});
  });
  for (const char* part :
       {"decoder.conv_in.bias is missing", "decoder.conv_norm_out.bias has shape [9], expected [8]",
        "decoder.conv_out.bias holds Long", "\"loss.logvar\" is not part of this autoencoder",
        "to_q.bias\" comes in both key styles", "to_k.weight has shape [24, 24, 1, 2], expected [24, 24]"})
    EXPECT_TRUE(contains(message, part));
  EXPECT_FALSE(contains(message, "more"));
}

TEST_F(VaeCheckpoint, ListsAtMostTenProblems) {
  const auto message = message_for([](Tensors& tensors) {
    const auto all = tensors.size();
    tensors.clear();
    for (size_t i = 0; i < 3; ++i) tensors["surplus" + std::to_string(i)] = at::zeros({1});
    tensors["all"] = at::full({1}, static_cast<double>(all));
  });
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 11);
  const auto all = random_tensors(small_config()).size();
  EXPECT_TRUE(contains(message, "and " + std::to_string(all + 4 - 10) + " more"));
}

TEST_F(VaeCheckpoint, AHugeConfigurationAllocatesNothing) {
  VaeConfig huge;
  huge.block_out_channels = std::vector<int64_t>(12, 1 << 16);
  put_model(huge, random_tensors(small_config()));
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { open_autoencoder(folder()); }), "has shape"));
}

TEST_F(VaeCheckpoint, ViewsThatRepeatFewBytesAreRefused) {
  auto config = small_config();
  config.block_out_channels = {128};
  auto tensors = random_tensors(config);
  for (auto& [name, tensor] : tensors) tensor = at::zeros({1}).expand(tensor.sizes());
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { fitting_tensors(config, tensors, "views.bin"); }),
                       "views.bin"));
}

TEST_F(VaeCheckpoint, ALongConfigurationIsNotRead) {
  put_model(small_config(), random_tensors(small_config()));
  put("config.json", json_text(small_config()) + std::string(1 << 20, ' '));
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { open_autoencoder(folder()); }), "config.json"));
}

TEST_F(VaeCheckpoint, BadConfigurationsNameTheirFile) {
  io::write_safetensors(file(kWeights), random_tensors(small_config()));
  for (const char* text :
       {"", "{", "[]", R"({"_class_name": "UNet2DModel"})", R"({"layers_per_block": 2})"}) {
    put("config.json", text);
    EXPECT_TRUE(contains(message_of<io::InputError>([&] { open_autoencoder(folder()); }), "config.json"));
  }
}

TEST_F(VaeCheckpoint, FilesThatAreNone) {
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { open_autoencoder(folder()); }), kWeights));
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { open_autoencoder(file("no.safetensors")); }),
                       "no.safetensors"));
  put("text.bin", "hello");
  EXPECT_TRUE(contains(message_of<io::InputError>([&] { open_autoencoder(file("text.bin")); }), "text.bin"));
}

}  // namespace
}  // namespace switchyard::vae
