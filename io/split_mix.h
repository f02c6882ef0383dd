// Bits as good as random from any number: the finaliser of SplitMix64.
//
// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). The same on every machine, which
// <random>'s distributions are not.
#pragma once

#include <cstdint>

namespace switchyard::io {

// What SplitMix64 adds to its state for each number.
inline constexpr std::uint64_t kSplitMixStep = 0x9e3779b97f4a7c15u;

constexpr std::uint64_t split_mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace switchyard::io
