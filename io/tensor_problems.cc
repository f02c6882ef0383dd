#include "io/tensor_problems.h"

#include <algorithm>
#include <sstream>

#include "io/error.h"

namespace switchyard::io {

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

void refuse_tensors(const std::string& source, const std::string& whose,
                    const std::vector<std::string>& problems) {
  constexpr size_t kShown = 10;
  std::string message = source + ": its tensors do not fit " + whose + " configuration:";
  for (size_t i = 0; i < std::min(problems.size(), kShown); ++i) message += "\n  " + problems[i];
  if (problems.size() > kShown) message += "\n  and " + std::to_string(problems.size() - kShown) + " more";
  throw InputError(message);
}

}  // namespace switchyard::io
