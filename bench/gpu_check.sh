#!/usr/bin/env bash
# Everything that only a GPU can tell, in at most nine minutes: builds kernels, dit, their tests and bench_gpu, runs the tests
# on the GPU, the small cases under compute-sanitizer, the fixtures in fp32 and bf16, then the benchmark. Writes gpu.json,
# gpu.md and log.txt into $OUT (default: out/gpu). Without a GPU it says so and runs the same on the CPU, as far as that goes.
#
#   bench/gpu_check.sh          build and run
#   bench/gpu_check.sh --pack   collect in out/gpu-deps what a bare machine lacks (JSON and googletest sources, zlib): 3 MB to
#                               carry there beside the checkout; needs the packages of tools/setup.sh
#
# GPU_CHECK_PROGRAMS=DIR takes test_kernels, test_dit, test_train and bench_gpu from there, wherever in it they are, and builds
# nothing: for programs that were built elsewhere, with -DSWITCHYARD_TORCH_CUDA=ON.
#
# Needed: a C++20 compiler, CMake, ninja, torch 2.11 (of python3, or SWITCHYARD_TORCH=DIR) and, for the GPU, nvcc 13.
# SWITCHYARD_CUDA_ARCHITECTURES chooses what is compiled for; default: the GPU that is there. GPU_CHECK_SECONDS and
# GPU_CHECK_BUILD_SECONDS are the time limits: all in all 520, and 220 for the build, which suit a machine with 16 cores.
set -euo pipefail
cd "$(dirname "$0")/.."

deps=$PWD/out/gpu-deps
if [[ ${1:-} == --pack ]]; then
  mkdir -p "$deps/include" "$deps/googletest"
  cp -r /usr/include/nlohmann "$deps/include/"
  dpkg -L zlib1g-dev | grep -E '/z(lib|conf)[.]h$' | xargs cp -t "$deps/include/"
  dpkg -L zlib1g-dev | grep '/libz[.]a$' | xargs cp -t "$deps/"
  cp -r /usr/src/googletest/googletest/include /usr/src/googletest/googletest/src "$deps/googletest/"
  du -sh "$deps"
  exit 0
fi
[[ $# == 0 ]] || { sed -n '2,15p' "$0" >&2; exit 2; }

readonly limit=${GPU_CHECK_SECONDS:-520}              # all in all; what is left is shared out below
readonly build_seconds=${GPU_CHECK_BUILD_SECONDS:-220}
out=$(realpath -m "${OUT:-out/gpu}")
build=$PWD/build-gpu
mkdir -p "$out"
log=$out/log.txt checks=$out/checks.tsv
: >"$log"
: >"$checks"
failed=0
reserve=120  # seconds that are kept for the benchmark

left() { echo $((limit - reserve - SECONDS)); }

# check NAME SECONDS COMMAND...: runs it within that time and what is left, and notes how it went.
check() {
  local name=$1 most=$2 began=$SECONDS rc=0 part result note
  shift 2
  part=$(mktemp)
  ((most <= $(left))) || most=$(left)
  if ((most < 5)); then
    printf '%s\tnot run\t0\tno time left\n' "$name" | tee -a "$checks"
    failed=1
    return
  fi
  timeout -k 5 "$most" "$@" >"$part" 2>&1 || rc=$?
  { echo "=== $name: $*"; cat "$part"; } >>"$log"
  case $rc in
    0) result=passed ;;
    124) result="out of time" ;;
    *) result="failed ($rc)" ;;
  esac
  # Cases that find no GPU where there is one have tested nothing, nor has a filter that fits no test.
  if [[ $device == cuda ]] && grep -qE '^no GPU|^\[==========\] 0 tests' "$part"; then
    rc=1 result="failed: cases skipped for want of a GPU, or no cases"
  fi
  ((rc == 0)) || { failed=1; tail -n 25 "$part"; }
  # What googletest says of itself, and what the sanitizer does.
  note=$(grep -E '^\[  (PASSED|SKIPPED|FAILED) +\] +[0-9]+ test|(ERROR|RACECHECK) SUMMARY' "$part" | sed 's/, listed below://' |
    tr -s '\n =' ' ' || true)
  printf '%s\t%s\t%d\t%s\n' "$name" "$result" "$((SECONDS - began))" "$note" | tee -a "$checks"
  rm -f "$part"
}

device=cpu machine="$(nproc) CPU threads, no GPU"
if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
  device=cuda
  machine=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader | head -n 1)
else
  echo "No NVIDIA GPU here: nothing below ran on one. What can run on the CPU follows."
fi

torch=${SWITCHYARD_TORCH:-$(python3 -c \
  'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")')}
architectures=${SWITCHYARD_CUDA_ARCHITECTURES:-90a}
if [[ $device == cuda && -z ${SWITCHYARD_CUDA_ARCHITECTURES:-} ]]; then
  architectures=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  [[ $architectures != 90 ]] || architectures=90a
fi
[[ -d $deps ]] || deps=""

programs=${GPU_CHECK_PROGRAMS:-}
if [[ -n $programs ]]; then
  export SWITCHYARD_FIXTURES=${SWITCHYARD_FIXTURES:-$PWD/tests/fixtures}
  export LD_LIBRARY_PATH=$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
else
  configure=(cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DSWITCHYARD_GPU_CHECK=ON
             "-DSWITCHYARD_TORCH=$torch" "-DSWITCHYARD_GPU_DEPS=$deps" "-DSWITCHYARD_CUDA_ARCHITECTURES=$architectures")
  check configure 60 "${configure[@]}"
  check build "$build_seconds" cmake --build "$build"
  if ((failed)); then
    echo "The build failed: see $log"
    exit 1
  fi
  programs=$build
fi
program() { find "$programs" -name "$1" -type f -print -quit; }
kernels=$(program test_kernels) dit=$(program test_dit) train=$(program test_train) bench=$(program bench_gpu)

export OMP_WAIT_POLICY=passive
check "operations" 60 "$kernels"
check "model, graph, steps without waiting" 60 "$dit" --gtest_filter='-*Parity*'
check "fixtures" 40 "$dit" --gtest_filter='*Parity*'
[[ -z $train ]] || check "training" 60 "$train" --gtest_filter='*Gpu*'
grep -E '(CPU_bf16|CUDA_fp32|CUDA_bf16): .*limit' "$log" || true

bench_options=()
if [[ $device == cuda ]]; then
  # Our own kernels alone: libtorch's are many, and a sanitizer slows them down a hundred times.
  sanitize=(compute-sanitizer --error-exitcode 9 --kernel-name "kns=switchyard")
  memcheck=("${sanitize[@]}" --tool memcheck --report-api-errors no)
  if command -v compute-sanitizer >/dev/null; then
    check "memcheck, operations" 60 "${memcheck[@]}" "$kernels" --gtest_filter='Devices*/*CUDA*'
    # Without the test that is cuBLAS alone: under racecheck its bf16 kernel ends in an internal error of the sanitizer.
    check "racecheck, operations" 60 "${sanitize[@]}" --tool racecheck "$kernels" \
      --gtest_filter='Devices*/*CUDA*:-*Swiglu*'
    check "memcheck, graph" 40 "${memcheck[@]}" "$dit" --gtest_filter='ReplayedForward.ReplaysOnAGpu*'
  else
    printf 'sanitizer\tnot run\t0\tno compute-sanitizer here\n' | tee -a "$checks"
  fi
else
  bench_options=(--models "tiny,tiny-switch-dit-moe" --batches "1,2" --repetitions 3)
fi

reserve=0
check "benchmark" "$(left)" "$bench" --device "$device" --out "$out" --machine "$machine" --checks "$checks" \
  "${bench_options[@]}"
cat "$out/gpu.md"
((failed == 0)) || echo "Something failed: see $log"
exit "$failed"
