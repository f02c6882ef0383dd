// Time and memory of the metrics at the sizes that papers use, with random features.
//
//   bench_metrics [statistics | frechet | neighbours | kernel | sliced]     default: all
//
// Each runs in a process of its own, whose largest resident memory is printed beside its seconds.
#include <ATen/ATen.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "metrics/frechet.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbours.h"
#include "metrics/sliced_wasserstein.h"
#include "metrics/statistics.h"
#include "timing.h"

namespace {

using namespace switchyard;

constexpr int64_t kDimension = 2048;

struct Case {
  std::string name, what;
  std::function<void()> run;  // what it prepares is counted too
};

std::vector<Case> cases() {
  const auto rows = [](int64_t n) { return at::randn({n, kDimension}); };
  return {
      {"statistics", "mean and covariance of 50,000 features of 2,048",
       [=] { metrics::moments_of(rows(50'000)); }},
      {"frechet", "Frechet distance of two sets of 10,000",
       [=] {
         metrics::frechet_distance(metrics::moments_of(rows(10'000)), metrics::moments_of(rows(10'000)));
       }},
      {"neighbours", "precision, recall, density, coverage of 10,000 against 10,000",
       [=] { metrics::neighbours(rows(10'000), rows(10'000), 3); }},
      {"kernel", "kernel distance over 100 subsets of 1,000",
       [=] { metrics::kernel_distance(rows(10'000), rows(10'000), 100, 1000, 0); }},
      {"sliced", "sliced Wasserstein distance of 10,000 and 10,000",
       [=] { metrics::sliced_wasserstein(rows(10'000), rows(10'000), 0); }},
  };
}

}  // namespace

int main(int argc, char** argv) {
  for (const auto& each : cases()) {
    if (argc > 1 && each.name != argv[1]) continue;
    const pid_t child = ::fork();  // before this process has threads of its own
    if (child == 0) {
      std::printf("%-62s %6.1f s", each.what.c_str(), timing::seconds(each.run));
      std::fflush(stdout);
      ::_exit(0);
    }
    rusage used = {};
    int status = 0;
    ::wait4(child, &status, 0, &used);
    std::printf("  %5.2f GB\n", static_cast<double>(used.ru_maxrss) * 1024 / 1e9);
    if (status != 0) return 1;
  }
  return 0;
}
