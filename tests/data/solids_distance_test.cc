#include "data/solids_distance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string_view>

namespace switchyard::data {
namespace {

struct Point {
  float x, y, z;
};
using Distance = Lanes (*)(Vec3);

float at(Distance distance, Point p) { return distance({splat(p.x), splat(p.y), splat(p.z)})[0]; }

struct Case {
  const char* name;
  Distance distance;
  Point p;
  float expected;
};

// Faces, edges and corners, seen from outside along their normals; and the centre. The corners of rounded
// solids are those of the smaller solid inside, kRounding nearer.
TEST(SolidsDistance, KnownPlaces) {
  using namespace shape;
  constexpr float r = kRounding;
  const float root2 = std::sqrt(2.0f), root3 = std::sqrt(3.0f);
  const float cube = kCubeHalf - r, frame = kFrameHalf - r, axis = kFrameHalf - kFrameBar;
  const auto sphere_at = [](Vec3 p) { return Sphere::distance(p); };
  const auto cube_at = [](Vec3 p) { return Cube::distance(p); };
  const auto cylinder_at = [](Vec3 p) { return Cylinder::distance(p); };
  const auto cone_at = [](Vec3 p) { return Cone::distance(p); };
  const auto torus_at = [](Vec3 p) { return Torus::distance(p); };
  const auto capsule_at = [](Vec3 p) { return Capsule::distance(p); };
  const auto octahedron_at = [](Vec3 p) { return Octahedron::distance(p); };
  const auto pyramid_at = [](Vec3 p) { return Pyramid::distance(p); };
  const auto frame_at = [](Vec3 p) { return BoxFrame::distance(p); };
  const auto star_at = [](Vec3 p) { return Star::distance(p); };
  const float third = 2.0f / root3;
  for (const Case& c : {
           Case{"sphere", sphere_at, {0, 0, 2}, 2 - kSphereRadius},
           {"sphere centre", sphere_at, {0, 0, 0}, -kSphereRadius},
           {"cube face", cube_at, {0.1f, -2, 0.2f}, 2 - kCubeHalf},
           {"cube edge", cube_at, {2, 2, 0.1f}, (2 - cube) * root2 - r},
           {"cube corner", cube_at, {-2, 2, -2}, (2 - cube) * root3 - r},
           {"cube centre", cube_at, {0, 0, 0}, -kCubeHalf},
           {"cylinder side", cylinder_at, {0, 0.3f, -2}, 2 - kCylinderRadius},
           {"cylinder top", cylinder_at, {0.2f, 2, 0}, 2 - kCylinderHalf},
           {"cone base", cone_at, {0.2f, -2, 0.1f}, 2 + kConeBase},
           {"cone apex", cone_at, {0, 2, 0}, 2 - kConeApex},
           {"cone rim", cone_at, {2, kConeBase + r, 0}, 2 - kConeRadius},
           {"torus outside", torus_at, {2, 0, 0}, 2 - kTorusRing - kTorusTube},
           {"torus hole", torus_at, {0, 0, 0}, kTorusRing - kTorusTube},
           {"torus above", torus_at, {0, 1, kTorusRing}, 1 - kTorusTube},
           {"capsule side", capsule_at, {2, 0.3f, 0}, 2 - kCapsuleRadius},
           {"capsule end", capsule_at, {0, -2, 0}, 2 - kCapsuleHalf - kCapsuleRadius},
           {"octahedron vertex", octahedron_at, {0, 2, 0}, 2 - kOctahedron},
           {"octahedron edge", octahedron_at, {2, 0, -2}, 2 * root2 - (kOctahedron - r) / root2 - r},
           {"octahedron face", octahedron_at, {third, -third, third}, 2 - (kOctahedron - r) / root3 - r},
           {"octahedron centre", octahedron_at, {0, 0, 0}, -(kOctahedron - r) / root3 - r},
           {"pyramid base", pyramid_at, {0.3f, -2, -0.5f}, 2 + kPyramidBase},
           {"pyramid apex", pyramid_at, {0, 2, 0}, 2 - kPyramidApex},
           {"pyramid base edge", pyramid_at, {0.1f, kPyramidBase + r, 2}, 2 - kPyramidHalf},
           {"pyramid base corner", pyramid_at, {2, kPyramidBase + r, -2}, (2 - kPyramidHalf + r) * root2 - r},
           {"frame face", frame_at, {axis, 2, 0.1f}, 2 - kFrameHalf},
           {"frame corner", frame_at, {2, 2, 2}, (2 - frame) * root3 - r},
           {"frame hole", frame_at, {0, 0, axis}, axis - kFrameBar},
           {"frame centre", frame_at, {0, 0, 0}, (axis - kFrameBar + r) * root2 - r},
           {"star face", star_at, {0.1f, 2, -0.1f}, 2 - kStarHalf},
           {"star point", star_at, {0, 0, 2}, 2 - (kStarOuter - r)},
           {"star notch", star_at, {0, 0, -kStarInner + 0.001f}, 0.0f},
       }) {
    // The rounding moves the notch, where two faces meet, a little beyond kStarInner.
    const float tolerance = std::string_view(c.name) == "star notch" ? 0.03f : 1e-6f;
    EXPECT_NEAR(at(c.distance, c.p), c.expected, tolerance) << c.name;
  }
}

// What sphere tracing rests on: the distance never changes faster than the place.
TEST(SolidsDistance, NeverChangesFasterThanThePlace) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> place(-1.5f, 1.5f), offset(-0.1f, 0.1f);
  const Distance all[] = {
      [](Vec3 p) { return Sphere::distance(p); },     [](Vec3 p) { return Cube::distance(p); },
      [](Vec3 p) { return Cylinder::distance(p); },   [](Vec3 p) { return Cone::distance(p); },
      [](Vec3 p) { return Torus::distance(p); },      [](Vec3 p) { return Capsule::distance(p); },
      [](Vec3 p) { return Octahedron::distance(p); }, [](Vec3 p) { return Pyramid::distance(p); },
      [](Vec3 p) { return BoxFrame::distance(p); },   [](Vec3 p) { return Star::distance(p); }};
  for (std::size_t solid = 0; solid < std::size(all); ++solid) {
    for (int i = 0; i < 5000; ++i) {
      const Point p{place(random), place(random), place(random)};
      const Point q{p.x + offset(random), p.y + offset(random), p.z + offset(random)};
      const float step = std::hypot(p.x - q.x, p.y - q.y, p.z - q.z);
      const float a = at(all[solid], p), b = at(all[solid], q);
      if (a < 0.0f || b < 0.0f) continue;  // only outside is promised
      EXPECT_LE(std::abs(a - b), step + 2e-6f)
          << "solid " << solid << " at " << p.x << " " << p.y << " " << p.z;
    }
  }
}

}  // namespace
}  // namespace switchyard::data
