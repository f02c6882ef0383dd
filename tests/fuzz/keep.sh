#!/usr/bin/env bash
# keep.sh BUILD: adds to tests/fuzz/corpus those inputs of fuzz-corpus/ that reach what nothing there and no seed reaches (a
# smallest set of them). A corpus is one text file per reader, an input a line, in hexadecimal digits.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(realpath "$1")
LLVM_PROFILE_FILE=/dev/null "$build/tests/fuzz/write_seeds" "$build/seeds"
for reader in idx jpeg json npz png safetensors stored_zip torch_file; do
  merged=$build/merged/$reader
  rm -rf "$merged"
  mkdir -p "$build/merged"
  cp -r "$build/seeds/$reader" "$merged"
  LLVM_PROFILE_FILE=/dev/null "$build/tests/fuzz/fuzz_$reader" -set_cover_merge=1 -use_counters=0 "$merged" "fuzz-corpus/$reader" \
    2>"$build/merged/$reader.log"
  for input in "$merged"/????????????????????????????????????????; do  # named by their SHA-1; seeds have numbers
    [[ -e $input ]] && od -An -v -tx1 "$input" | tr -d ' \n' && echo
  done >>"tests/fuzz/corpus/$reader.hex"
  echo "$reader: $(wc -l <"tests/fuzz/corpus/$reader.hex") inputs, $(wc -c <"tests/fuzz/corpus/$reader.hex") bytes"
done
