#include "app/program/device.h"

#include <ATen/Context.h>

#include <array>
#include <stdexcept>

#include "io/near_misses.h"

namespace switchyard::app {

CLI::Option* add_device_option(CLI::App& command, std::string& device) {
  return command
      .add_option("--device", device,
                  "cpu, cuda (an NVIDIA GPU), or auto: the GPU if there is one;\ndefault: auto")
      ->type_name("NAME");
}

at::Device device_of(const std::string& name) {
  constexpr std::array<std::string_view, 3> known = {"auto", "cpu", "cuda"};
  if (name == "cpu") return at::kCPU;
  if (name == "auto") return at::hasCUDA() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name != "cuda")
    throw std::invalid_argument("unknown device \"" + name + "\": " + io::near_misses(name, known));
  if (at::hasCUDA()) return {at::kCUDA, 0};
  throw std::invalid_argument(
      "--device cuda: no NVIDIA GPU was found (the program needs the driver, and to be set up where "
      "nvidia-smi is)");
}

}  // namespace switchyard::app
