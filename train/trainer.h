// The training loop: AdamW on fp32 masters, products in bf16 on all cores, EMA, checkpoints that resume
// exactly.
//
// A run lives in one directory:
//   checkpoint.safetensors   everything needed to go on, with a checksum; written whole, every few minutes and at the end
//   checkpoint-before.safetensors   the one before it, used where the last one is damaged
//   model.safetensors        the averaged (EMA) model for `switchyard sample`; written with each checkpoint
//
//   log.csv                  see TrainingLog
//
//   samples-IMAGES.png       a guided sheet of the averaged model, now and then; one that a stop left out is drawn first
//                            when the run goes on
//
// Step s is a function of the recipe and the state after step s - 1 alone, so a run that is killed and
// resumed ends in the parameters of the unbroken one, bit for bit, on the same machine and number of cores.
// (On a GPU sums are not always taken in one order: there it is the same run up to rounding. Its noise is another
// than the CPU's, too, and its steps are not cut into shards.)
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <string>

#include "train/recipe.h"

namespace switchyard::train {

struct RunOptions {
  std::filesystem::path directory;
  std::filesystem::path data;  // images to learn from, as data::open_images() takes them; empty: the solids
  std::filesystem::path start_from;    // a model file whose weights a new run begins with; empty: initialised
  double checkpoint_seconds = 120;     // between checkpoints; 0 writes one after every step
  int64_t images_per_sheet = 100'000;  // between sample sheets; 0 draws none
  int64_t steps_per_row = 50;          // between rows of the log
  at::Device device = at::kCPU;        // where the model learns; data is made on the CPU
  std::function<void(const std::string&)> say =
      {};  // told what a person should know, as that the last checkpoint is damaged
};

struct Progress {
  int64_t step = 0, steps = 0;   // finished, in all
  int64_t images = 0;            // seen
  double loss = 0;               // running mean of the flow-matching loss
  double balance = 0;            // running mean of E sum_e f_e P_e
  double images_per_second = 0;  // of this process
  double waiting = 0;            // share of the time in which the next images were not there yet
  double seconds_left = 0;
};

/// Called after every step; false stops the run after writing a checkpoint.
using OnProgress = std::function<bool(const Progress&)>;

/// Trains, or goes on where the directory's checkpoint ends. Returns true when the recipe is finished, false
/// when stopped. A run that starts from a model counts the images which that model has seen, but its
/// optimiser starts anew, with a warm-up. Throws io::InputError for a model to start from that has another
/// configuration, for a checkpoint of another recipe (only `images` may have changed) or other data, beyond its recipe or
/// damaged where the one before it is too, for numbers that are not finite, and for data that is no set of images or none
/// of which can be read (some of them are passed over, and said); io::OutputError when it cannot write. A run that
/// fails before it has written anything leaves no folder that was not there.
bool train(const Recipe& recipe, const RunOptions& options, const OnProgress& on_progress = nullptr);

}  // namespace switchyard::train
