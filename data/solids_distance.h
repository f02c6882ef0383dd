// Signed distance of a point to each solid: exact outside, negative inside; object units (solids_scene.h).
//
// A solid with rounded edges is a smaller one with the rounding subtracted from its distance.
#pragma once

#include "data/solids_lanes.h"
#include "data/solids_scene.h"

namespace switchyard::data {
namespace {

SWITCHYARD_INLINE Lanes length2(Lanes a, Lanes b) { return square_root(a * a + b * b); }

// Negative inside, positive outside, from the distance's square and a mask.
SWITCHYARD_INLINE Lanes with_sign(Mask inside, Lanes squared) {
  const Lanes d = square_root(squared);
  return select(inside, -d, d);
}

// Distance to a box from the distances q beyond its faces (2-D and 3-D).
SWITCHYARD_INLINE Lanes box_distance(Lanes qx, Lanes qy) {
  return length2(max(qx, 0.0f), max(qy, 0.0f)) + min(max(qx, qy), 0.0f);
}
SWITCHYARD_INLINE Lanes box_distance(Lanes qx, Lanes qy, Lanes qz) {
  const Lanes x = max(qx, 0.0f), y = max(qy, 0.0f), z = max(qz, 0.0f);
  return square_root(x * x + y * y + z * z) + min(max(qx, max(qy, qz)), 0.0f);
}

// Squared distance in the plane to the segment from (ax, ay) to (bx, by).
SWITCHYARD_INLINE Lanes segment_distance2(Lanes x, Lanes y, float ax, float ay, float bx, float by) {
  const float ex = bx - ax, ey = by - ay;
  const Lanes along = clamp(((x - ax) * ex + (y - ay) * ey) * (1.0f / (ex * ex + ey * ey)), 0.0f, 1.0f);
  const Lanes dx = x - ax - ex * along, dy = y - ay - ey * along;
  return dx * dx + dy * dy;
}

// Square root at compile time, by Newton's iteration.
constexpr float constant_root(float a) {
  float r = a;
  for (int i = 0; i < 20; ++i) r = 0.5f * (r + a / r);
  return r;
}

struct Sphere {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) { return square_root(dot(p, p)) - shape::kSphereRadius; }
};

struct Cube {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    constexpr float half = shape::kCubeHalf - shape::kRounding;
    return box_distance(abs(p.x) - half, abs(p.y) - half, abs(p.z) - half) - shape::kRounding;
  }
};

struct Cylinder {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    return box_distance(length2(p.x, p.z) - (shape::kCylinderRadius - shape::kRounding),
                        abs(p.y) - (shape::kCylinderHalf - shape::kRounding)) -
           shape::kRounding;
  }
};

// In the half plane (r, y), a triangle with corners (0, apex), (radius, base), (0, base).
struct Cone {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    using namespace shape;
    constexpr float radius = kConeRadius - kRounding, base = kConeBase + kRounding,
                    apex = kConeApex - kRounding;
    const Lanes r = length2(p.x, p.z);
    const Lanes beyond_rim = max(r - radius, 0.0f), below = p.y - base;
    const Lanes squared =
        min(segment_distance2(r, p.y, radius, base, 0.0f, apex), beyond_rim * beyond_rim + below * below);
    const Mask inside = (r * (apex - base) + (p.y - apex) * radius < 0.0f) & (below > 0.0f);
    return with_sign(inside, squared) - kRounding;
  }
};

struct Torus {
  static constexpr bool kConvex = false;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    return length2(length2(p.x, p.z) - shape::kTorusRing, p.y) - shape::kTorusTube;
  }
};

struct Capsule {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    const Lanes y = p.y - clamp(p.y, -shape::kCapsuleHalf, shape::kCapsuleHalf);
    return square_root(p.x * p.x + y * y + p.z * p.z) - shape::kCapsuleRadius;
  }
};

// By symmetry in the positive octant: the closest point of the face x + y + z = s, or of its edge where z,
// the smallest coordinate, is 0.
struct Octahedron {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    using namespace shape;
    constexpr float s = kOctahedron - kRounding;
    const Lanes ax = abs(p.x), ay = abs(p.y), az = abs(p.z);
    const Lanes low = min(ax, min(ay, az)), high = max(ax, max(ay, az)), sum = ax + ay + az;
    const Lanes middle = sum - low - high;
    const Lanes excess = (sum - s) * (1.0f / 3.0f);
    const Lanes corner = min((high - middle + s) * 0.5f, s);
    const Lanes dx = high - corner, dy = middle - (s - corner);
    const Lanes edge = square_root(dx * dx + dy * dy + low * low);
    return select(low < excess, edge, excess * 1.7320508f) - kRounding;
  }
};

// By symmetry one lateral face: w is the height above it, (u, v) the place in it, v from base to apex.
struct Pyramid {
  static constexpr bool kConvex = true;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    using namespace shape;
    constexpr float half = kPyramidHalf - kRounding, base = kPyramidBase + kRounding;
    constexpr float height = kPyramidApex - kRounding - base;
    constexpr float slant = constant_root(half * half + height * height);
    const Lanes ax = abs(p.x), az = abs(p.z), y = p.y - base;
    const Lanes far = max(ax, az), u = min(ax, az);
    const Lanes v = ((far - half) * -half + y * height) * (1.0f / slant);
    const Lanes w = ((far - half) * height + y * half) * (1.0f / slant);
    const Mask over_face = (v > 0.0f) & (u * slant + (v - slant) * half < 0.0f);
    const Lanes to_edge = segment_distance2(u, v, half, 0.0f, 0.0f, slant);
    const Lanes qx = max(far - half, 0.0f), qz = max(u - half, 0.0f);
    const Lanes squared = min(w * w + select(over_face, splat(0.0f), to_edge), qx * qx + qz * qz + y * y);
    return with_sign((w < 0.0f) & (y > 0.0f), squared) - kRounding;
  }
};

// Three bars in the positive octant.
struct BoxFrame {
  static constexpr bool kConvex = false;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    using namespace shape;
    constexpr float half = kFrameHalf - kRounding, bar = kFrameBar - kRounding, axis = kFrameHalf - kFrameBar;
    const Lanes ax = abs(p.x), ay = abs(p.y), az = abs(p.z);
    const Lanes lx = max(ax - half, 0.0f), ly = max(ay - half, 0.0f), lz = max(az - half, 0.0f);
    const Lanes qx = abs(ax - axis) - bar, qy = abs(ay - axis) - bar, qz = abs(az - axis) - bar;
    const Lanes mx = max(qx, 0.0f), my = max(qy, 0.0f), mz = max(qz, 0.0f);
    const Lanes outside =
        min(lx * lx + my * my + mz * mz, min(ly * ly + mx * mx + mz * mz, lz * lz + mx * mx + my * my));
    const Lanes inside =
        min(max(ax - half, max(qy, qz)), min(max(ay - half, max(qx, qz)), max(az - half, max(qx, qy))));
    return square_root(outside) + min(inside, 0.0f) - kRounding;
  }
};

// In the plane (x, z) the star is folded at its mirror lines onto one half point, a segment.
struct Star {
  static constexpr bool kConvex = false;
  SWITCHYARD_INLINE static Lanes distance(Vec3 p) {
    using namespace shape;
    constexpr float sin18 = 0.30901699f, cos18 = 0.95105652f, sin54 = 0.80901699f, cos54 = 0.58778525f;
    constexpr float outer = kStarOuter - 2.0f * kRounding, inner = kStarInner - kRounding;
    constexpr float ix = inner * cos54, iy = inner * sin54;
    Lanes x = abs(p.x), y = p.z;
    Lanes below = min(y * cos18 - x * sin18, 0.0f) * 2.0f;
    x = abs(x + below * sin18);
    y = y - below * cos18;
    below = min(y * cos54 - x * sin54, 0.0f) * 2.0f;
    x = x + below * sin54;
    y = y - below * cos54;
    const Mask inside = x * (outer - iy) + (y - outer) * ix < 0.0f;
    const Lanes planar = with_sign(inside, segment_distance2(x, y, 0.0f, outer, ix, iy));
    return box_distance(planar, abs(p.y) - (kStarHalf - kRounding)) - kRounding;
  }
};

}  // namespace
}  // namespace switchyard::data
