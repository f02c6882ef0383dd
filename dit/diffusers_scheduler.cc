#include "dit/diffusers_scheduler.h"

#include <array>
#include <cmath>
#include <optional>

#include "dit/foreign_json.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

struct Betas {
  const char *theirs, *ours;
  double first, last;  // 0: no such numbers
};
constexpr std::array kBetas = {Betas{"linear", "linear", 0.0001, 0.02},
                               Betas{"scaled_linear", "scaled_linear", 0.00085, 0.012},
                               Betas{"squaredcos_cap_v2", "cosine", 0, 0}};

class Reading : ForeignJson {
 public:
  Reading(const nlohmann::json& json, const std::string& source) : ForeignJson(json, source) {}

  DiffusersScheduler run(bool learned_variance) {
    if (!json_.is_object()) fail("expected an object, found " + std::string(json_.type_name()));
    result_.name = field<std::string>("_class_name", "");
    result_.schedule = schedule();
    const auto prediction = field<std::string>("prediction_type", "epsilon");
    if (prediction == "epsilon")
      result_.prediction = learned_variance ? "noise_and_variance" : "noise";
    else if (prediction == "v_prediction")
      result_.prediction = "v";
    else if (prediction == "sample")
      result_.prediction = "clean_image";
    else
      fail("prediction_type is " + io::quote(prediction) +
           ", expected \"epsilon\", \"v_prediction\" or \"sample\"");
    read_solver();
    return std::move(result_);
  }

 private:
  std::string schedule() const {
    const auto trained = json_.find("trained_betas");
    if (trained != json_.end() && !trained->is_null()) fail("trained_betas are given: " + known());
    if (field("rescale_betas_zero_snr", false)) fail("rescale_betas_zero_snr is true: " + known());
    const auto timesteps = field<int64_t>("num_train_timesteps", 1000);
    if (timesteps != 1000) fail("num_train_timesteps is " + std::to_string(timesteps) + ", expected 1000");
    const auto name = field<std::string>("beta_schedule", "linear");
    const double first = field("beta_start", 0.0001), last = field("beta_end", 0.02);
    const auto equal = [](double a, double b) { return std::abs(a - b) <= 1e-9 * b; };
    for (const auto& betas : kBetas) {
      if (name == betas.theirs &&
          (betas.first == 0 || (equal(first, betas.first) && equal(last, betas.last))))
        return betas.ours;
    }
    fail("beta_schedule is " + io::quote(name) + " from " + nlohmann::json(first).dump() + " to " +
         nlohmann::json(last).dump() + ": " + known());
  }

  static std::string known() {
    std::string text = "known are ";
    for (const auto& betas : kBetas) {
      text += (&betas == kBetas.data() ? "" : ", ") + std::string(betas.theirs);
      if (betas.first != 0)
        text += " from " + nlohmann::json(betas.first).dump() + " to " + nlohmann::json(betas.last).dump();
    }
    return text + ", over 1000 timesteps";
  }

  std::optional<std::string> solver() {
    const auto& name = result_.name;
    if (name == "DDIMScheduler") return "ddim";
    if (name == "DDPMScheduler") return "ddpm";
    if (name == "EulerDiscreteScheduler") return "euler";
    if (name != "DPMSolverMultistepScheduler") return std::nullopt;
    const auto algorithm = field<std::string>("algorithm_type", "dpmsolver++");
    const auto order = field<int64_t>("solver_order", 2);
    if (algorithm == "dpmsolver++" && (order == 2 || order == 3)) return order == 2 ? "dpmpp_2m" : "dpmpp_3m";
    if (algorithm == "sde-dpmsolver++" && order == 2) return "dpmpp_2m_sde";
    result_.left_out.push_back("algorithm_type " + io::quote(algorithm) + " of order " +
                               std::to_string(order));
    return std::nullopt;
  }

  void read_solver() {
    const auto found = solver();
    if (!found) {
      result_.left_out.push_back("its solver");
      return;
    }
    const bool exact = *found == "ddim" || *found == "ddpm";
    auto spacing = field<std::string>("timestep_spacing", exact ? "leading" : "linspace");
    if (field("use_karras_sigmas", false)) spacing = "karras";
    if (spacing != "leading" && spacing != "trailing" && spacing != "linspace" && spacing != "karras")
      fail("timestep_spacing is " + io::quote(spacing) +
           ", expected \"leading\", \"trailing\" or \"linspace\"");
    result_.settings = {
        {"solver", *found}, {"steps", 50}, {"spacing", spacing}, {"guidance", {{"scale", 4.0}}}};
    if (exact && field("clip_sample", true)) {
      const double clip = field("clip_sample_range", 1.0);
      if (!(clip > 0 && clip <= 1e6))
        fail("clip_sample_range is " + nlohmann::json(clip).dump() + ", expected a number above 0");
      result_.settings["clip"] = clip;
    }
    const auto leave_out = [&](const char* key, auto usual) {
      if (field(key, usual) != usual) result_.left_out.push_back(key);
    };
    leave_out("thresholding", false);
    leave_out("set_alpha_to_one", true);
    leave_out("use_lu_lambdas", false);
    leave_out("use_exponential_sigmas", false);
    leave_out("use_beta_sigmas", false);
    if (spacing == "leading") leave_out("steps_offset", int64_t{0});
  }

  DiffusersScheduler result_;
};

}  // namespace

DiffusersScheduler diffusers_scheduler(const nlohmann::json& config, bool learned_variance,
                                       const std::string& source) {
  return Reading(config, source).run(learned_variance);
}

}  // namespace switchyard::dit
