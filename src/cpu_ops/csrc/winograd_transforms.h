// The transforms of Winograd's F(4x4, 3x3), kLanes channels at a time.
//
// The points are 0, +-a, +-b and infinity with a * a = 1 / 2 and b * b = 2. They lose fewer digits than the usual
// 0, +-1 and +-2. Each transform is written for one axis; the names of the matrices are those of Lavin and Gray 2016.
#pragma once

namespace unet::winograd {

#ifdef __AVX512F__
constexpr int kLanes = 16, kRows = 8;
#else
constexpr int kLanes = 8, kRows = 4;
#endif
constexpr int kTile = 4, kPatch = 6, kPoints = kPatch * kPatch;

using Vec [[gnu::vector_size(4 * kLanes), gnu::aligned(4), gnu::may_alias]] = float;

inline Vec load(const float* from) { return *reinterpret_cast<const Vec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Vec*>(to) = value; }

constexpr float kA = 0.70710678f, kB = 1.41421356f;
constexpr float kGa = -2.f / 3, kGb = 1.f / 6;   // 1 / (2 a^2 (a^2 - b^2)), 1 / (2 b^2 (b^2 - a^2))

struct Input {   // B': 6 inputs -> 6 points
  static constexpr int kIn = 6, kOut = 6;
  static void apply(const Vec* d, Vec* v) {
    const Vec even_a = d[4] - 2.f * d[2], odd_a = kA * (d[3] - 2.f * d[1]);
    const Vec even_b = d[4] - .5f * d[2], odd_b = kB * (d[3] - .5f * d[1]);
    v[0] = d[0] - 2.5f * d[2] + d[4];
    v[1] = even_a + odd_a;
    v[2] = even_a - odd_a;
    v[3] = even_b + odd_b;
    v[4] = even_b - odd_b;
    v[5] = d[1] - 2.5f * d[3] + d[5];
  }
};

struct Output {   // A': 6 points -> 4 results
  static constexpr int kIn = 6, kOut = 4;
  static void apply(const Vec* m, Vec* y) {
    const Vec even_a = m[1] + m[2], odd_a = kA * (m[1] - m[2]), even_b = m[3] + m[4], odd_b = kB * (m[3] - m[4]);
    y[0] = m[0] + even_a + even_b;
    y[1] = odd_a + odd_b;
    y[2] = .5f * even_a + 2.f * even_b;
    y[3] = .5f * odd_a + 2.f * odd_b + m[5];
  }
};

struct OutputGradient {   // A: the gradients of 4 results -> of 6 points
  static constexpr int kIn = 4, kOut = 6;
  static void apply(const Vec* y, Vec* m) {
    const Vec even_a = y[0] + .5f * y[2], odd_a = kA * (y[1] + .5f * y[3]);
    const Vec even_b = y[0] + 2.f * y[2], odd_b = kB * (y[1] + 2.f * y[3]);
    m[0] = y[0];
    m[1] = even_a + odd_a;
    m[2] = even_a - odd_a;
    m[3] = even_b + odd_b;
    m[4] = even_b - odd_b;
    m[5] = y[3];
  }
};

struct Filter {   // G: 3 weights -> 6 points
  static constexpr int kIn = 3, kOut = 6;
  static void apply(const Vec* g, Vec* u) {
    const Vec even_a = kGa * (g[0] + .5f * g[2]), odd_a = kGa * kA * g[1];
    const Vec even_b = kGb * (g[0] + 2.f * g[2]), odd_b = kGb * kB * g[1];
    u[0] = g[0];
    u[1] = even_a + odd_a;
    u[2] = even_a - odd_a;
    u[3] = even_b + odd_b;
    u[4] = even_b - odd_b;
    u[5] = g[2];
  }
};

struct FilterGradient {   // G': the gradients of 6 points -> of 3 weights
  static constexpr int kIn = 6, kOut = 3;
  static void apply(const Vec* u, Vec* g) {
    const Vec even_a = kGa * (u[1] + u[2]), even_b = kGb * (u[3] + u[4]);
    g[0] = u[0] + even_a + even_b;
    g[1] = kGa * kA * (u[1] - u[2]) + kGb * kB * (u[3] - u[4]);
    g[2] = .5f * even_a + 2.f * even_b + u[5];
  }
};

// Transforms along one axis and exchanges the axes. Applied twice, it transforms along both.
template <class Map, int kCount>
inline void along(const Vec (&in)[kCount][Map::kIn], Vec (&out)[Map::kOut][kCount]) {
  for (int i = 0; i < kCount; ++i) {
    Vec mapped[Map::kOut];
    Map::apply(in[i], mapped);
    for (int j = 0; j < Map::kOut; ++j) out[j][i] = mapped[j];
  }
}

template <class Map>
inline void transform(const Vec (&in)[Map::kIn][Map::kIn], Vec (&out)[Map::kOut][Map::kOut]) {
  Vec half[Map::kOut][Map::kIn];
  along<Map>(in, half);
  along<Map>(half, out);
}

}  // namespace unet::winograd
