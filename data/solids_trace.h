// The renderer behind render_scene: compiled once per instruction set by a file that defines
// SWITCHYARD_SOLIDS_ENTRY, the name of the function to define, and includes this one.
#include "data/solids_distance.h"

namespace switchyard::data {
namespace {

inline constexpr int kMaxSteps = 96, kShadowSteps = 32, kShadowHalvings = 4;
inline constexpr float kHitShare = 0.06f;  // a ray this share of a pixel's width away from the solid hits it

// Rotated-grid places of the four samples in a pixel.
inline constexpr float kSamples[4][2] = {
    {0.375f, 0.125f}, {0.875f, 0.375f}, {0.125f, 0.625f}, {0.625f, 0.875f}};

// Interval [near, far] in which a ray is inside the sphere of this radius about the origin.
struct Interval {
  Lanes near, far;
  Mask hit;
};
SWITCHYARD_INLINE Interval meet_sphere(Vec3 origin, Vec3 direction, Lanes radius) {
  const Lanes along = dot(origin, direction);
  const Lanes square = along * along - dot(origin, origin) + radius * radius;
  const Lanes half = square_root(max(square, 0.0f));
  return {-along - half, half - along, (square > 0.0f) & (half > along)};
}

// All points and directions below are in object space; distances are in object units.

// Share of the light's disc that is seen from p: 1 lit, 0 shadow. The smallest distance to the solid along
// the ray, as a share of the radius of the cone of light there, tells how much of the cone is covered.
template <class Shape>
SWITCHYARD_INLINE Lanes light_seen(const SolidScene& scene, Vec3 p, Vec3 light, Mask wanted) {
  const Lanes middle = max(-dot(p, light), 0.0f);
  const Lanes radius = scene.bounding_radius + scene.light_size * (middle + scene.bounding_radius);
  const Interval span = meet_sphere(p, light, radius);
  wanted &= span.hit;
  Lanes least = splat(1.0f);
  if (!any(wanted)) return least;
  Lanes t = max(span.near, 0.02f), at = t, reach = splat(0.0f);
  for (int step = 0; step < kShadowSteps; ++step) {
    const Mask active = wanted & (t < span.far) & (least > -1.0f);
    if (!any(active)) break;
    const Lanes d = Shape::distance(p + light * t), share = d / (t * scene.light_size);
    const Lanes stride = clamp(abs(d) * 0.6f, 0.04f, 0.5f);
    const Mask better = active & (share < least);
    least = select(better, share, least);
    at = select(better, t, at);
    reach = select(better, stride, reach);
    t = t + stride;
  }
  // The steps fall at different places along neighbouring rays; without a closer look they show as stripes.
  wanted &= (least > -1.0f) & (least < 1.0f);
  if (any(wanted)) {
    for (int halving = 0; halving < kShadowHalvings; ++halving) {
      reach = reach * 0.5f;
      const Lanes low = max(at - reach, 0.01f), high = at + reach;
      const Lanes share_low = Shape::distance(p + light * low) / (low * scene.light_size);
      const Lanes share_high = Shape::distance(p + light * high) / (high * scene.light_size);
      at = select(share_low < least, low, at);
      least = min(least, share_low);
      at = select(share_high < least, high, at);
      least = min(least, share_high);
    }
  }
  least = max(least, -1.0f);
  return 0.25f * (1.0f + least) * (1.0f + least) * (2.0f - least);
}

// Share of the surroundings that is seen from p along its normal: how much nearer the solid is than the
// height above p, at three heights.
template <class Shape>
SWITCHYARD_INLINE Lanes openness(Vec3 p, Vec3 normal) {
  constexpr float heights[3] = {0.10f, 0.26f, 0.55f}, weights[3] = {0.28f, 0.36f, 0.30f};
  Lanes covered = splat(0.0f);
  for (int i = 0; i < 3; ++i) {
    const Lanes d = Shape::distance(p + normal * splat(heights[i]));
    const Lanes nearer = clamp((heights[i] - d) * (1.0f / heights[i]), 0.0f, 1.0f);
    covered = covered + nearer * nearer * weights[i];
  }
  return 1.0f - covered;
}

// Gradient of the distance, by differences towards the corners of a tetrahedron.
template <class Shape>
SWITCHYARD_INLINE Vec3 normal_at(Vec3 p) {
  constexpr float e = 0.002f;
  const Lanes a = Shape::distance({p.x + e, p.y - e, p.z - e}),
              b = Shape::distance({p.x - e, p.y - e, p.z + e});
  const Lanes c = Shape::distance({p.x - e, p.y + e, p.z - e}),
              d = Shape::distance({p.x + e, p.y + e, p.z + e});
  return unit({a - b - c + d, c - a - b + d, b - a - c + d});
}

template <class Shape>
SWITCHYARD_INLINE Vec3 shade_solid(const SolidScene& scene, Vec3 p, Vec3 light, Vec3 ray, Mask wanted) {
  const Vec3 object_normal = normal_at<Shape>(p);
  const Vec3 n = to_world(scene.to_world, object_normal);
  const Vec3 l = splat3(scene.light);
  const Lanes facing = dot(n, l), height = to_world(scene.to_world, p).y * scene.scale + scene.centre[1];
  Lanes lit = max(facing, 0.0f), open = splat(1.0f);
  if constexpr (!Shape::kConvex) {
    const Vec3 lifted = p + object_normal * splat(0.02f);
    lit = lit * light_seen<Shape>(scene, lifted, light, wanted & (facing > 0.0f));
    open = openness<Shape>(p, object_normal);
  }
  // Ambient light: sky above; below, the floor's colour, darker near the floor, in the solid's own shadow.
  const Lanes up = 0.5f + 0.5f * n.y;
  const Lanes bounce = 0.16f + 0.42f * smooth_step(0.0f, 1.5f, height);
  const Vec3 ambient = mix(splat3(scene.floor) * bounce, splat3(scene.sky_colour), up) * open;
  Vec3 colour = splat3(scene.albedo) * (splat3(scene.light_colour) * lit + ambient);

  // Blinn-Phong highlight, and a Fresnel reflection of the surroundings.
  const Vec3 half = unit(l - ray);
  Lanes highlight = max(dot(n, half), 0.0f);
  for (int i = 0; i < scene.shininess_log2; ++i) highlight = highlight * highlight;
  highlight = highlight * scene.gloss * smooth_step(0.0f, 0.15f, lit);
  const Lanes grazing = clamp(1.0f + dot(n, ray), 0.0f, 1.0f), grazing2 = grazing * grazing;
  const Lanes fresnel = (0.03f + 0.25f * grazing2 * grazing2 * grazing) * open;
  const Lanes reflected_y = ray.y - 2.0f * dot(n, ray) * n.y;
  const Vec3 surroundings =
      mix(splat3(scene.floor) * bounce, splat3(scene.background), smooth_step(-0.3f, 0.5f, reflected_y));
  return mix(colour, surroundings, fresnel) + splat3(scene.light_colour) * highlight;
}

template <class Shape>
SWITCHYARD_INLINE Vec3 shade_floor(const SolidScene& scene, Vec3 world, Vec3 p, Vec3 light, Vec3 up,
                                   Mask wanted) {
  const float radius = scene.bounding_radius;
  const Lanes away2 = dot(p, p);
  wanted &= away2 < 36.0f;
  const Lanes seen = light_seen<Shape>(scene, p, light, wanted);
  // Ambient light taken by the solid: of a sphere in its place far off, of its true form close by.
  const Lanes away = square_root(away2);
  const float ball = 0.62f * radius;
  Lanes open = 1.0f - 0.75f * ball * ball * max(-dot(p, up), 0.0f) / (away2 * away);
  const Mask close = wanted & (away < radius + 0.6f);
  if (any(close)) open = open * select(close, openness<Shape>(p, up), splat(1.0f));
  const Lanes light_share = 0.46f * open + 0.54f * seen;
  // A pool of light around the solid, which fades into the background with distance.
  const Lanes x = world.x, z = world.z;
  const Lanes pool = 1.0f / (1.0f + 0.012f * (x * x + z * z));
  const Lanes fade = smooth_step(0.3f, 9.0f, -z);
  return mix(splat3(scene.floor) * (light_share * (0.25f + 0.75f * pool)), splat3(scene.background), fade);
}

// From linear light to sRGB's curve in 0 .. 255: a fit in powers that are square roots, within 0.15
// from 8 up.
SWITCHYARD_INLINE Lanes encode(Lanes x) {
  const Lanes half = square_root(x), quarter = square_root(half), eighth = square_root(quarter);
  const Lanes y = 0.6452978f * half + 0.7087360f * quarter - 0.3354551f * eighth - 0.0185787f * x;
  return 255.0f * clamp(y, 0.0f, 1.0f);
}

// Highlights above 0.75 bend towards 1 instead of being cut.
SWITCHYARD_INLINE Lanes compress(Lanes x) {
  const Lanes over = max(x - 0.75f, 0.0f);
  return min(x, 0.75f) + over / (1.0f + over * 4.0f);
}

template <class Shape>
void render(const SolidScene& scene, int size, std::uint8_t* rgb, std::uint8_t* coverage) {
  using namespace camera;
  // Camera axes: the camera looks along -z and down, so that right is +x.
  const float dy = kTarget[1] - kEye[1], dz = kTarget[2] - kEye[2];
  const float scale = 1.0f / square_root(splat(dy * dy + dz * dz))[0];
  const float forward_y = dy * scale, forward_z = dz * scale;
  const Vec3 eye = splat3(kEye), centre = splat3(scene.centre);
  const float inverse_scale = 1.0f / scene.scale;
  const Vec3 eye_object = to_object(scene.to_world, (eye - centre) * splat(inverse_scale));
  const Vec3 light = to_object(scene.to_world, splat3(scene.light));
  const Vec3 up = to_object(scene.to_world, {splat(0.0f), splat(1.0f), splat(0.0f)});

  Lanes lane_x, lane_y;
  for (int i = 0; i < kLanes; ++i) {
    lane_x[i] = static_cast<float>(i % kBlockWidth);
    lane_y[i] = static_cast<float>(i / kBlockWidth);
  }
  const float pixel = 2.0f * kHalfWidth / static_cast<float>(size);
  const float hit_distance = kHitShare * pixel * square_root(dot(eye_object, eye_object))[0];

  for (int row = 0; row < size; row += kBlockHeight) {
    for (int column = 0; column < size; column += kBlockWidth) {
      Vec3 sum = {};
      Lanes covered = {};
      for (const auto& sample : kSamples) {
        const Lanes u = (lane_x + (static_cast<float>(column) + sample[0])) * pixel - kHalfWidth;
        const Lanes v = kHalfWidth - (lane_y + (static_cast<float>(row) + sample[1])) * pixel;
        const Vec3 ray = unit({u, forward_y - v * forward_z, forward_z + v * forward_y});
        const Vec3 ray_object = to_object(scene.to_world, ray);

        const Interval span = meet_sphere(eye_object, ray_object, splat(scene.bounding_radius));
        Lanes t = span.near;
        Mask hit = {};
        if (any(span.hit)) {
          Lanes d = {};
          for (int step = 0; step < kMaxSteps; ++step) {
            d = Shape::distance(eye_object + ray_object * t);
            const Mask active = span.hit & (d > hit_distance) & (t < span.far);
            if (!any(active)) break;
            t = t + select(active, d, splat(0.0f));
          }
          hit = span.hit & (d <= hit_distance);
        }

        Vec3 colour = {};
        if (any(hit)) {
          colour = shade_solid<Shape>(scene, eye_object + ray_object * t, light, ray, hit);
          covered = covered + select(hit, splat(63.75f), splat(0.0f));
        }
        if (any(~hit)) {
          const Vec3 world = eye - ray * (kEye[1] / ray.y);
          const Vec3 p = to_object(scene.to_world, (world - centre) * splat(inverse_scale));
          colour = select(hit, colour, shade_floor<Shape>(scene, world, p, light, up, ~hit));
        }
        sum = sum + Vec3{compress(colour.x), compress(colour.y), compress(colour.z)};
      }
      const Lanes red = encode(sum.x * 0.25f), green = encode(sum.y * 0.25f), blue = encode(sum.z * 0.25f);
      for (int i = 0; i < kLanes; ++i) {
        const int x = column + i % kBlockWidth, y = row + i / kBlockWidth;
        if (x >= size || y >= size) continue;
        std::uint8_t* out = rgb + 3 * (y * size + x);
        out[0] = static_cast<std::uint8_t>(red[i] + 0.5f);
        out[1] = static_cast<std::uint8_t>(green[i] + 0.5f);
        out[2] = static_cast<std::uint8_t>(blue[i] + 0.5f);
        if (coverage != nullptr) coverage[y * size + x] = static_cast<std::uint8_t>(covered[i] + 0.5f);
      }
    }
  }
}

}  // namespace

void SWITCHYARD_SOLIDS_ENTRY(const SolidScene& scene, int size, std::uint8_t* rgb, std::uint8_t* coverage) {
  switch (scene.solid) {
    case Solid::sphere:
      return render<Sphere>(scene, size, rgb, coverage);
    case Solid::cube:
      return render<Cube>(scene, size, rgb, coverage);
    case Solid::cylinder:
      return render<Cylinder>(scene, size, rgb, coverage);
    case Solid::cone:
      return render<Cone>(scene, size, rgb, coverage);
    case Solid::torus:
      return render<Torus>(scene, size, rgb, coverage);
    case Solid::capsule:
      return render<Capsule>(scene, size, rgb, coverage);
    case Solid::octahedron:
      return render<Octahedron>(scene, size, rgb, coverage);
    case Solid::pyramid:
      return render<Pyramid>(scene, size, rgb, coverage);
    case Solid::box_frame:
      return render<BoxFrame>(scene, size, rgb, coverage);
    case Solid::star:
      return render<Star>(scene, size, rgb, coverage);
  }
}

}  // namespace switchyard::data
