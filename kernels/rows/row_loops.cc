#include "kernels/rows/row_loops.h"

namespace switchyard::kernels {

// One table per storage type and instruction set, each in the file that is compiled for it.
extern const RowLoops<float> kRowLoopsFloatSse2, kRowLoopsFloatAvx2, kRowLoopsFloatAvx512;
extern const RowLoops<Bf16> kRowLoopsBf16Sse2, kRowLoopsBf16Avx2, kRowLoopsBf16Avx512;

bool has_instruction_set(InstructionSet set) {
  switch (set) {
    case InstructionSet::sse2:
      return true;
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2");
    case InstructionSet::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  }
  return false;
}

template <>
const RowLoops<float>& row_loops<float>(InstructionSet set) {
  return set == InstructionSet::avx512 ? kRowLoopsFloatAvx512
         : set == InstructionSet::avx2 ? kRowLoopsFloatAvx2
                                       : kRowLoopsFloatSse2;
}

template <>
const RowLoops<Bf16>& row_loops<Bf16>(InstructionSet set) {
  return set == InstructionSet::avx512 ? kRowLoopsBf16Avx512
         : set == InstructionSet::avx2 ? kRowLoopsBf16Avx2
                                       : kRowLoopsBf16Sse2;
}

namespace {

InstructionSet widest() {
  static const InstructionSet set = has_instruction_set(InstructionSet::avx512) ? InstructionSet::avx512
                                    : has_instruction_set(InstructionSet::avx2) ? InstructionSet::avx2
                                                                                : InstructionSet::sse2;
  return set;
}

}  // namespace

template <>
const RowLoops<float>& row_loops<float>() {
  return row_loops<float>(widest());
}

template <>
const RowLoops<Bf16>& row_loops<Bf16>() {
  return row_loops<Bf16>(widest());
}

}  // namespace switchyard::kernels
