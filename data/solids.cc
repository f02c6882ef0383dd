#include "data/solids.h"

#include <algorithm>
#include <cmath>

#include "data/solids_render.h"
#include "io/split_mix.h"

namespace switchyard::data {
namespace {

// The k-th number of an image is a hash of (split, index, k): SplitMix64.
class Random {
 public:
  Random(Split split, std::uint64_t index)
      : key_(io::split_mix(index + io::split_mix(static_cast<std::uint64_t>(split) + 1))) {}

  double uniform(double low, double high) {
    const std::uint64_t bits = io::split_mix(key_ + io::kSplitMixStep * ++count_);
    return low + (high - low) * (static_cast<double>(bits >> 11) * 0x1p-53);
  }
  double sign() { return uniform(-1.0, 1.0) < 0.0 ? -1.0 : 1.0; }

 private:
  std::uint64_t key_, count_ = 0;
};

// Sine and cosine of an angle in degrees of -720 to 720 by their power series, because libm's
// differ between versions.
double sine(double degrees) {
  degrees -= 360.0 * static_cast<double>(static_cast<int>(degrees / 360.0));  // -360 .. 360
  if (degrees > 180.0) degrees -= 360.0;
  if (degrees < -180.0) degrees += 360.0;
  if (degrees > 90.0) degrees = 180.0 - degrees;
  if (degrees < -90.0) degrees = -180.0 - degrees;
  const double x = degrees * (3.14159265358979323846 / 180.0);
  double term = x, sum = x;
  for (int k = 3; k <= 19; k += 2) {
    term *= -x * x / static_cast<double>(k * (k - 1));
    sum += term;
  }
  return sum;
}
double cosine(double degrees) { return sine(degrees + 90.0); }

using Vector = std::array<double, 3>;
using Matrix = std::array<Vector, 3>;

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c{};
  for (int i = 0; i < 3; ++i) {
    for (int j = 0; j < 3; ++j) c[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j];
  }
  return c;
}
Matrix about_x(double degrees) {
  const double c = cosine(degrees), s = sine(degrees);
  return {{{1, 0, 0}, {0, c, -s}, {0, s, c}}};
}
Matrix about_y(double degrees) {
  const double c = cosine(degrees), s = sine(degrees);
  return {{{c, 0, s}, {0, 1, 0}, {-s, 0, c}}};
}

// Linear sRGB of a colour in OKLCh (B. Ottosson, "A perceptual color space for image processing", 2020), cut
// to the gamut.
Vector oklch(double lightness, double chroma, double hue) {
  const double a = chroma * cosine(hue), b = chroma * sine(hue);
  const double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
  const double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
  const double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
  const double l3 = l * l * l, m3 = m * m * m, s3 = s * s * s;
  const auto cut = [](double value) { return std::clamp(value, 0.004, 1.0); };
  return {cut(4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3),
          cut(-1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3),
          cut(-0.0041960863 * l3 - 0.7034186147 * m3 + 1.7076147010 * s3)};
}

void store(const Vector& from, float (&to)[3]) {
  for (int i = 0; i < 3; ++i) to[i] = static_cast<float>(from[i]);
}

// How each solid stands: turned about its axis by a yaw, then the axis is tilted in a direction up to +-side
// away from the one to the camera (degrees). The limits keep every pose telling: a cube shows three faces, a
// torus its hole, a star its points, a capsule its length.
struct Stance {
  double yaw_low, yaw_high, tilt_low, tilt_high, side;
  double bounding_radius;  // object units
};

double norm(double a, double b, double c = 0.0) { return std::sqrt(a * a + b * b + c * c); }

Stance stance(Solid solid) {
  using namespace shape;
  switch (solid) {
    case Solid::sphere:
      return {0, 360, 0, 0, 0, kSphereRadius};
    case Solid::cube:
      return {12, 78, 0, 24, 180, norm(kCubeHalf, kCubeHalf, kCubeHalf)};
    case Solid::cylinder:
      return {0, 360, 0, 38, 180, norm(kCylinderRadius, kCylinderHalf)};
    case Solid::cone:
      return {0, 360, 0, 24, 180, norm(kConeRadius, kConeBase)};
    case Solid::torus:
      return {0, 360, 4, 52, 70, kTorusRing + kTorusTube};
    case Solid::capsule:
      return {0, 360, 0, 38, 180, kCapsuleHalf + kCapsuleRadius};
    case Solid::octahedron:
      return {0, 360, 0, 24, 180, kOctahedron};
    case Solid::pyramid:
      return {12, 78, 0, 20, 180, norm(kPyramidHalf, kPyramidHalf, kPyramidBase)};
    case Solid::box_frame:
      return {14, 76, 0, 24, 180, norm(kFrameHalf, kFrameHalf, kFrameHalf)};
    case Solid::star:
      return {0, 360, 56, 84, 42, norm(kStarOuter, kStarHalf)};
  }
  return {};
}

// How far the solid reaches from its origin in direction d (unit, object space).
double reach(Solid solid, const Vector& d) {
  using namespace shape;
  constexpr double r = kRounding;
  const double x = std::abs(d[0]), y = std::abs(d[1]), z = std::abs(d[2]), across = norm(d[0], d[2]);
  switch (solid) {
    case Solid::sphere:
      return kSphereRadius;
    case Solid::cube:
      return (kCubeHalf - r) * (x + y + z) + r;
    case Solid::cylinder:
      return (kCylinderRadius - r) * across + (kCylinderHalf - r) * y + r;
    case Solid::cone:
      return std::max((kConeApex - r) * d[1], (kConeRadius - r) * across + (kConeBase + r) * d[1]) + r;
    case Solid::torus:
      return kTorusRing * across + kTorusTube;
    case Solid::capsule:
      return kCapsuleHalf * y + kCapsuleRadius;
    case Solid::octahedron:
      return (kOctahedron - r) * std::max({x, y, z}) + r;
    case Solid::pyramid:
      return std::max((kPyramidApex - r) * d[1], (kPyramidHalf - r) * (x + z) + (kPyramidBase + r) * d[1]) +
             r;
    case Solid::box_frame:
      return (kFrameHalf - r) * (x + y + z) + r;
    case Solid::star: {
      double most = 0.0;
      for (int point = 0; point < 5; ++point) {
        most = std::max(most, d[0] * sine(72.0 * point) + d[2] * cosine(72.0 * point));
      }
      return (kStarOuter - 2.0 * r) * most + (kStarHalf - r) * y + r;
    }
  }
  return 0.0;
}

}  // namespace

int solid_class(Split, std::uint64_t index) { return static_cast<int>(index % kSolidNames.size()); }

SolidScene solid_scene(Split split, std::uint64_t index) {
  Random random(split, index);  // never two draws in one call or operation: C++ leaves their order open
  SolidScene scene{};
  scene.solid = static_cast<Solid>(solid_class(split, index));
  const Stance pose = stance(scene.solid);

  const double yaw = random.uniform(pose.yaw_low, pose.yaw_high);
  const double tilt = random.uniform(pose.tilt_low, pose.tilt_high),
               side = random.uniform(-pose.side, pose.side);
  const Matrix rotation = product(about_y(side), product(about_x(tilt), about_y(yaw - side)));
  for (int i = 0; i < 3; ++i) store(rotation[i], scene.to_world[i]);

  // Two of three rest on the floor, the others hover.
  const double scale = random.uniform(0.86, 1.06);
  const double hover = std::max(0.0, random.uniform(-0.24, 0.12));
  const Vector down = {-rotation[1][0], -rotation[1][1], -rotation[1][2]};
  store({random.uniform(-0.16, 0.16), scale * reach(scene.solid, down) + hover, random.uniform(-0.16, 0.16)},
        scene.centre);
  scene.scale = static_cast<float>(scale);
  scene.bounding_radius = static_cast<float>(pose.bounding_radius) + 0.005f;

  // Key light from the left or the right, a little in front; warm or cool.
  const double side_of_light = random.sign();
  const double azimuth = side_of_light * random.uniform(30, 80), elevation = random.uniform(36, 58);
  store({cosine(elevation) * sine(azimuth), sine(elevation), cosine(elevation) * cosine(azimuth)},
        scene.light);
  scene.light_size = static_cast<float>(random.uniform(0.10, 0.22));
  const double warmth = random.uniform(-0.08, 0.12), power = random.uniform(0.95, 1.15);
  store({power * (1.0 + warmth), power, power * (1.0 - warmth)}, scene.light_colour);

  // A saturated solid; yellows are lighter than blues, as pigments are.
  const double hue = random.uniform(0, 360);
  const double lightness = 0.66 + 0.10 * cosine(hue - 105.0) + random.uniform(-0.05, 0.05);
  store(oklch(lightness, random.uniform(0.16, 0.22), hue), scene.albedo);

  // A studio in one soft tint: four of five pale, the others dusky.
  const double tint = random.uniform(0, 360), tint_chroma = random.uniform(0.008, 0.042);
  const double level = random.uniform(0, 1) < 0.8 ? random.uniform(0.74, 0.95) : random.uniform(0.42, 0.58);
  const Vector floor = oklch(level, tint_chroma, tint);
  store(floor, scene.floor);
  const double far_level = level + random.uniform(-0.11, 0.04), far_tint = tint + random.uniform(-28, 28);
  store(oklch(far_level, tint_chroma * 1.3, far_tint), scene.background);
  const double ambient = 0.42;
  for (int i = 0; i < 3; ++i) scene.sky_colour[i] = static_cast<float>(ambient * (0.7 + 0.3 * floor[i]));

  // The wider the highlight, the weaker.
  scene.shininess_log2 = static_cast<int>(random.uniform(4.0, 6.999));
  scene.gloss = static_cast<float>(random.uniform(0.06, 0.16) * (scene.shininess_log2 - 2));
  return scene;
}

void render_solid(Split split, std::uint64_t index, int size, std::span<std::uint8_t> rgb) {
  render_scene(solid_scene(split, index), size, rgb);
}

}  // namespace switchyard::data
