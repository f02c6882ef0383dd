// How fast a guided step is on a GPU, and what of the machine it uses. Run by gpu_check.sh.
//
//   bench_gpu [--device cuda|cpu] [--models a,b] [--batches 1,8,64] [--repetitions 9] [--out DIR]
//             [--machine TEXT] [--checks FILE]
//
// Measured in one run: the best matrix product and copy of the machine; a guided step (both halves in one
// batch, guidance, Euler update) of each model in bf16, called and replayed as a CUDA graph, with what the
// profiler counted in it; the routed experts beside libtorch's grouped product. Random weights. --checks
// names lines "check<TAB>result<TAB>seconds<TAB>note" that become the report's first section. On the CPU it
// runs as far as it goes: there are no graphs and no launches.
#include <ATen/ATen.h>
#include <ATen/ops/_grouped_mm.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdio>
#include <map>
#include <set>
#include <sstream>

#include "dit/replayed_forward.h"
#include "gpu_report.h"
#include "kernels/experts/experts.h"
#include "timing.h"
#include "work.h"

namespace {

using namespace switchyard;
using nlohmann::ordered_json;

struct Options {
  at::Device device = at::kCUDA;
  std::vector<std::string> models = {"dit-moe-s/2-8e2a", "dit-moe-xl/2-8e2a"};
  std::vector<int64_t> batches = {1, 8, 64};
  int repetitions = 9;
  std::string out = "out/gpu", machine, checks;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--device") {
      options.device = at::Device(value == "cuda" ? "cuda:0" : value);
    } else if (name == "--models") {
      options.models = split(value, ',');
    } else if (name == "--batches") {
      options.batches.clear();
      for (const auto& batch : split(value, ',')) options.batches.push_back(std::stoll(batch));
    } else if (name == "--repetitions") {
      options.repetitions = std::stoi(value);
    } else if (name == "--out") {
      options.out = value;
    } else if (name == "--machine") {
      options.machine = value;
    } else if (name == "--checks") {
      options.checks = value;
    } else {
      throw std::invalid_argument("unknown option " + name + "; they are listed in bench/bench_gpu.cc");
    }
  }
  if (argc % 2 == 0) throw std::invalid_argument(std::string(argv[argc - 1]) + " needs a value");
  return options;
}

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), report_(options.out) {}

  /// False: a replayed step was not the called one.
  bool run() {
    add_checks();
    const bool gpu = options_.device.is_cuda();
    report_.add("Machine", {{"machine", options_.machine},
                            {"device", options_.device.str()},
                            {"dtype", "bf16"},
                            {"repetitions", options_.repetitions}});
    measure_peaks(gpu ? 8192 : 512, gpu ? int64_t{1} << 30 : int64_t{1} << 26);
    for (const auto& model : options_.models) {
      measure_steps(model);
      if (dit::preset(model).routes_tokens()) measure_experts(model);
    }
    std::fputs(report_.markdown().c_str(), stdout);
    return same_;
  }

 private:
  void wait() const {
    if (!options_.device.is_cuda()) return;
    c10::impl::VirtualGuardImpl(at::kCUDA).synchronizeDevice(options_.device.index());
  }

  // Median seconds of one call, each repetition long enough for the clock.
  double time(const std::function<void()>& call) const {
    for (int i = 0; i < 2; ++i) call();
    wait();
    constexpr double kLongEnough = 0.02;
    const double once = timing::seconds([&] { call(), wait(); });
    const int calls = std::clamp(static_cast<int>(kLongEnough / once), 1, 100);
    std::vector<double> times;
    for (int r = 0; r < options_.repetitions; ++r) {
      times.push_back(timing::seconds([&] {
                        for (int i = 0; i < calls; ++i) call();
                        wait();
                      }) /
                      calls);
    }
    return timing::median(times);
  }

  // What the profiler sees of one call.
  struct Counts {
    int64_t operations = 0;  // of ATen, on the host
    int64_t launches = 0;    // calls of CUDA that queue work
    int64_t waits = 0;       // calls of CUDA that wait for a stream or an event
    int64_t on_device = 0;   // kernels, copies and fills that the GPU ran
  };

  Counts count(const std::function<void()>& call) const {
    using namespace torch::autograd::profiler;  // NOLINT: five of its names
    using torch::profiler::impl::ActivityType;
    std::set<ActivityType> activities{ActivityType::CPU};
    if (options_.device.is_cuda()) activities.insert(ActivityType::CUDA);
    const ProfilerConfig config(ProfilerState::KINETO);
    prepareProfiler(config, activities);
    enableProfiler(config, activities);
    call();
    wait();  // cudaDeviceSynchronize, which is not counted below
    const auto result = disableProfiler();
    Counts counts;
    for (const auto& event : result->events()) {
      const auto name = event.name();
      const auto is = [&](const char* prefix) { return name.starts_with(prefix); };
      if (event.deviceType() == at::kCUDA) {
        ++counts.on_device;
      } else if (is("aten::")) {
        ++counts.operations;
      } else if (is("cudaLaunchKernel") || is("cuLaunchKernel") || is("cudaGraphLaunch") ||
                 is("cudaMemcpyAsync") || is("cudaMemsetAsync")) {
        ++counts.launches;
      } else if (is("cudaStreamSynchronize") || is("cudaEventSynchronize") || name == "cudaMemcpy") {
        ++counts.waits;
      }
    }
    return counts;
  }

  void add_checks() {
    std::ifstream lines(options_.checks);
    for (std::string line; std::getline(lines, line);) {
      auto fields = split(line, '\t');
      fields.resize(4);
      report_.add("Checks",
                  {{"check", fields[0]}, {"result", fields[1]}, {"seconds", fields[2]}, {"note", fields[3]}});
    }
  }

  at::TensorOptions here(at::ScalarType dtype) const { return at::device(options_.device).dtype(dtype); }

  void measure_peaks(int64_t side, int64_t bytes) {
    for (const auto dtype : {at::kBFloat16, at::kFloat}) {
      const auto a = at::randn({side, side}, here(dtype)), b = at::randn({side, side}, here(dtype));
      auto c = at::empty_like(a);
      const double seconds = time([&] { at::mm_out(c, a, b); });
      const double tflops = 2e-12 * static_cast<double>(side * side * side) / seconds;
      if (dtype == at::kBFloat16) peak_ = tflops;
      report_.add("Peaks",
                  {{"what", std::string("product of ") + std::to_string(side) + "^3, " + toString(dtype)},
                   {"value", tflops},
                   {"unit", "TFLOP/s"}});
    }
    const auto from = at::zeros({bytes}, here(at::kByte));
    auto to = at::empty_like(from);
    report_.add("Peaks", {{"what", "copy of " + std::to_string(bytes >> 20) + " MiB, read and written"},
                          {"value", 2e-12 * static_cast<double>(bytes) / time([&] { to.copy_(from); })},
                          {"unit", "TB/s"}});
  }

  void measure_steps(const std::string& name) {
    const auto config = dit::preset(name);
    dit::DiffusionTransformer model(config, here(at::kBFloat16));
    for (const auto& parameter : model.parameters()) parameter.tensor->normal_(0.0, 0.03);
    model.pack();
    for (const int64_t images : options_.batches) {
      const auto z =
          at::randn({images, config.in_channels, config.input_size, config.input_size}, here(at::kFloat));
      const auto y = at::cat({at::arange(images, here(at::kLong)).remainder(config.num_classes),
                              at::full({images}, config.null_class(), here(at::kLong))});
      // Where a model looks at its timesteps on the host, they are given there.
      const auto t = at::full({2 * images}, config.integer_timesteps() ? 400.0 : 0.4,
                              config.integer_timesteps() ? at::device(at::kCPU) : here(at::kFloat));
      dit::ReplayedForward replayed(model);
      at::Tensor out;
      const auto step = [&](auto&& forward) {
        const auto halves = forward(at::cat({z, z}), t, y).narrow(1, 0, config.in_channels).chunk(2);
        out = z - 0.04 * (halves[1] + 2.0 * (halves[0] - halves[1]));
      };
      const auto called = [&] {
        step([&](const auto& x, const auto& time, const auto& label) {
          return model.forward(x, time, label);
        });
      };
      const auto as_graph = [&] { step(replayed); };
      add_step(name, images, "called", forward_flop(config), called);
      const auto expected = out;
      as_graph();
      if (!replayed.replays(2 * images)) continue;
      same_ = same_ && at::equal(out, expected);
      add_step(name, images, at::equal(out, expected) ? "graph" : "graph, DIFFERS", forward_flop(config),
               as_graph);
    }
  }

  void add_step(const std::string& name, int64_t images, const char* form, double flop_per_image,
                const std::function<void()>& step) {
    const double seconds = time(step);
    const double tflops = 2e-12 * static_cast<double>(images) * flop_per_image / seconds;
    const auto counts = count(step);
    report_.add("Guided steps", {{"model", name},
                                 {"images", images},
                                 {"form", form},
                                 {"ms", 1e3 * seconds},
                                 {"TFLOP/s", tflops},
                                 {"% of peak", 100 * tflops / peak_},
                                 {"operations", counts.operations},
                                 {"launches", counts.launches},
                                 {"waits", counts.waits},
                                 {"on the GPU", counts.on_device}});
  }

  // One layer's routed experts (sorting, both products, sum) beside libtorch's grouped product alone, which
  // neither gathers nor activates nor sums.
  void measure_experts(const std::string& name) {
    const auto c = dit::preset(name);
    const auto options = here(at::kBFloat16);
    const auto gate_up = at::randn({c.num_experts, 2 * c.expert_hidden, c.hidden_size}, options) * 0.03;
    const auto down = at::randn({c.num_experts, c.hidden_size, c.expert_hidden}, options) * 0.03;
    const kernels::PackedExperts experts(gate_up, down);
    for (const int64_t images : options_.batches) {
      const int64_t tokens = 2 * images * c.tokens(), rows = tokens * c.experts_per_token;
      const auto x = at::randn({tokens, c.hidden_size}, options);
      const auto routing =
          kernels::route_top_k(at::randn({tokens, c.num_experts}, here(at::kFloat)), c.experts_per_token);
      const double flops = 6.0 * static_cast<double>(rows * c.hidden_size * c.expert_hidden);
      const auto row = [&](const char* form, double seconds) {
        report_.add("Routed experts of one layer", {{"model", name},
                                                    {"rows", rows},
                                                    {"form", form},
                                                    {"ms", 1e3 * seconds},
                                                    {"TFLOP/s", 1e-12 * flops / seconds},
                                                    {"% of peak", 1e-10 * flops / seconds / peak_}});
      };
      row("ours: sort, SwiGLU, sum", time([&] { experts(x, routing); }));

      const auto ends = at::bincount(routing.experts.flatten(), {}, c.num_experts).cumsum(0).to(at::kInt);
      const auto x_sorted = at::randn({rows, c.hidden_size}, options),
                 h = at::randn({rows, c.expert_hidden}, options);
      row("at::_grouped_mm: products alone", time([&] {
            at::_grouped_mm(x_sorted, gate_up.transpose(1, 2), ends);
            at::_grouped_mm(h, down.transpose(1, 2), ends);
          }));
    }
  }

  Options options_;
  bench::Report report_;
  double peak_ = 0;   // TFLOP/s of the bf16 product
  bool same_ = true;  // so far, as replayed and as called
};

}  // namespace

int main(int argc, char** argv) try {
  const at::NoGradGuard no_grad;
  const auto options = parse(argc, argv);
  if (options.device.is_cuda() && !at::hasCUDA()) {
    std::fputs("bench_gpu: no NVIDIA GPU was found; --device cpu runs what can be run without\n", stderr);
    return 3;
  }
  at::manual_seed(0);
  if (!Bench(options).run()) return 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_gpu: %s\n", error.what());
  return 1;
}
