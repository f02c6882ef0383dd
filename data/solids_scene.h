// The scene of one "solids" image as plain numbers: what the sampler writes and the renderer reads.
//
// World: right-handed, y up, floor at y = 0, camera on the +z side. Colours are linear-light sRGB.
// No member functions: this header is compiled for several instruction sets (see solids_render.h).
#pragma once

#include <cstdint>

namespace switchyard::data {

enum class Solid : std::uint32_t {
  sphere,
  cube,
  cylinder,
  cone,
  torus,
  capsule,
  octahedron,
  pyramid,
  box_frame,
  star
};

// Sizes in object units, edge rounding included. The y axis is the axis of symmetry.
namespace shape {
inline constexpr float kRounding = 0.035f;  // of every edge but the star's and the octahedron's
inline constexpr float kSphereRadius = 0.86f;
inline constexpr float kCubeHalf = 0.64f;
inline constexpr float kCylinderRadius = 0.61f, kCylinderHalf = 0.76f;
inline constexpr float kConeRadius = 0.82f, kConeBase = -0.68f, kConeApex = 0.98f;
inline constexpr float kTorusRing = 0.70f, kTorusTube = 0.27f;
inline constexpr float kCapsuleRadius = 0.48f, kCapsuleHalf = 0.54f;  // half of the straight part
inline constexpr float kOctahedron = 1.02f;                           // centre to vertex
inline constexpr float kPyramidHalf = 0.76f, kPyramidBase = -0.60f, kPyramidApex = 0.94f;
inline constexpr float kFrameHalf = 0.67f, kFrameBar = 0.155f;  // half width of the frame, of a bar
inline constexpr float kStarOuter = 1.06f, kStarInner = 0.50f, kStarHalf = 0.25f;
}  // namespace shape

// Fixed camera: at `kEye`, looking at `kTarget`, square image plane of half width kHalfWidth at distance 1.
// Every ray of it meets the floor.
namespace camera {
inline constexpr float kEye[3] = {0.0f, 3.35f, 5.55f};
inline constexpr float kTarget[3] = {0.0f, 0.85f, 0.0f};
inline constexpr float kHalfWidth = 0.260f;
}  // namespace camera

struct SolidScene {
  Solid solid;
  float to_world[3][3];   // rotation, object -> world
  float centre[3];        // of the solid, world
  float scale;            // object unit in world units
  float bounding_radius;  // of the solid about its origin, object units
  float light[3];         // unit vector towards the light, world
  float light_size;       // tangent of the light's angular radius: softness of the shadow
  float light_colour[3];
  float sky_colour[3];  // ambient light from above
  float albedo[3];      // of the solid
  float floor[3];       // colour of the lit floor near the solid
  float background[3];  // what the floor fades into with distance
  float gloss;          // strength of the highlight
  int shininess_log2;   // Blinn-Phong exponent 2^n
};

}  // namespace switchyard::data
