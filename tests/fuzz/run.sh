#!/usr/bin/env bash
# run.sh BUILD SECONDS: fuzzes every reader for so long, and prints what share of its lines and branches was reached by the seeds,
# tests/fuzz/corpus, what earlier runs kept in fuzz-corpus/, and this run (keep.sh moves what is worth it to tests/fuzz/corpus).
# Fails where a reader breaks (the input is kept as fuzz-corpus/READER-crash-...; give it to BUILD/tests/fuzz/fuzz_READER), or less
# than 89 % of its lines or branches are reached.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 seconds=$2 least=89 kept=fuzz-corpus

# A reader's own files; each counts once, with the reader that it was written for. Not among them: mapped_file.cc, which no bytes
# but only failing system calls drive, and the writers.
declare -A sources=(
  [idx]="io/idx.cc"
  [jpeg]="io/jpeg.cc"
  [json]="io/json.cc"
  [npz]="io/npz.cc io/npy.cc io/zip_archive.cc"
  [png]="io/png.cc io/png/text.cc"
  [safetensors]="io/safetensors.cc"
  [stored_zip]="io/stored_zip.cc $build/include/io/io/memory_budget.h"
  [torch_file]="io/torch_file.cc io/torch_globals.cc io/torch_pickle.cc io/torch_reduce.cc io/torch_tensors.cc io/torch_tree.cc
                io/torch_value.cc io/numpy_scalar.cc io/own_bytes.cc io/text.cc"
)
# MiB that one allocation may take. An input is at most 4 KiB long, and so much of deflate can stand for 4 MiB of an array, or of
# pixels of one bit that become four bytes each; of a progressive JPEG as many pixels become coefficients of two bytes as well.
declare -A most=([idx]=8 [jpeg]=64 [npz]=8 [png]=160)

LLVM_PROFILE_FILE=/dev/null "$build/tests/fuzz/write_seeds" "$build/seeds"
mkdir -p "$build/fuzz"
failed=0
printf "%-12s %10s %16s %16s\n" reader inputs lines branches
for reader in idx jpeg json npz png safetensors stored_zip torch_file; do
  log=$build/fuzz/$reader.log profile=$build/fuzz/$reader
  mkdir -p "$kept/$reader"
  LLVM_PROFILE_FILE=$profile.profraw "$build/tests/fuzz/fuzz_$reader" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
    -malloc_limit_mb="${most[$reader]:-2}" -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$kept/$reader-" \
    "$kept/$reader" "$build/seeds/$reader" >"$log" 2>&1 || {
    echo "$reader: broken (all of it in $log)" >&2
    grep -m 1 -A 12 'ERROR' "$log" >&2 || tail -n 12 "$log" >&2
    grep 'Test unit written' "$log" >&2 || true
    failed=1
    continue
  }
  llvm-profdata merge -sparse "$profile.profraw" -o "$profile.profdata"
  # shellcheck disable=SC2086  # a list of files
  llvm-cov report "$build/tests/fuzz/fuzz_$reader" -instr-profile="$profile.profdata" $(realpath -s ${sources[$reader]}) |
    awk -v reader="$reader" -v least=$least \
      -v inputs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" '
      $1 == "TOTAL" { few = $10 + 0 < least || $13 + 0 < least
                      printf "%-12s %10d %16s %16s%s\n", reader, inputs, sprintf("%d/%d %.1f %%", $8 - $9, $8, $10),
                        sprintf("%d/%d %.1f %%", $11 - $12, $11, $13), few ? "  expected at least " least " %" : ""
                      exit few }' || failed=1
done
exit $failed
