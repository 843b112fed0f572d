// What the convolution and the gradient of its weights share: tiles, their points, and the matrix product.
#pragma once

#include <algorithm>

#include "engine.h"
#include "winograd_transforms.h"

namespace unet::winograd {

constexpr int kPanel = 2 * kLanes;   // columns of a product that are computed at once, for kRows rows
constexpr int64_t kTiles = 32;       // tiles that a thread takes at once: their points stay in its cache
constexpr int64_t kMostFilters = 4 << 20;   // most numbers of filters that are transformed at once: 16 MB

inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// How many outputs are computed at once, so that their transformed filters, or the sums of the filters' gradients,
// hardly exceed kMostFilters. The groups are as equal as panels allow.
inline int64_t at_once(int64_t ins, int64_t outs) {
  const int64_t groups = (kPoints * ins * outs + kMostFilters - 1) / kMostFilters;
  return std::min(outs, round_up((outs + groups - 1) / groups, kPanel));
}

// The tiles of the results, in all images of a batch.
struct Grid {
  int64_t down, across, count;

  explicit Grid(const Tensor& y)
      : down((y.shape[1] + kTile - 1) / kTile), across((y.shape[2] + kTile - 1) / kTile),
        count(y.shape[0] * down * across) {}

  // Sets `at` to the kSize x kSize pixels of a tile, which begin `pad` above and to the left of its results. Pixels
  // outside the image are `outside`.
  template <int kSize>
  void pixels(const Tensor& image, int64_t tile, int64_t pad, float* outside, float* (&at)[kSize][kSize]) const {
    const int64_t height = image.shape[1], width = image.shape[2];
    const int64_t top = tile / across % down * kTile - pad, left = tile % across * kTile - pad;
    float* const first = image.data + ((tile / across / down * height + top) * width + left) * image.channels();
    const auto inside = [](int64_t at, int64_t size) { return at >= 0 && at < size; };
    for (int i = 0; i < kSize; ++i) {
      const bool row_inside = tile < count && inside(top + i, height);
      for (int j = 0; j < kSize; ++j) {
        at[i][j] = row_inside && inside(left + j, width) ? first + (i * width + j) * image.channels() : outside;
      }
    }
  }
};

// For each point a matrix of tiles x channels. The strides of rows and points are no powers of two, so that they do not
// push each other out of the cache.
struct Points {
  float* data;
  int64_t row, point;

  static int64_t row_of(int64_t channels) { return round_up(channels, kPanel) + kLanes; }
  static int64_t size(int64_t tiles, int64_t channels) { return kPoints * (tiles * row_of(channels) + kLanes); }

  Points(float* at, int64_t tiles, int64_t channels)
      : data(at), row(row_of(channels)), point(tiles * row + kLanes) {}
};

// Computes row `index` of all points from the pixels of a tile, `channels` of them from the channel `first` on.
template <class Map>
void into(float* const (&at)[Map::kIn][Map::kIn], int64_t first, int64_t channels, const Points& points,
          int64_t index) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    Vec pixels[Map::kIn][Map::kIn], mapped[kPatch][kPatch];
    for (int i = 0; i < Map::kIn; ++i) {
      for (int j = 0; j < Map::kIn; ++j) pixels[i][j] = load(at[i][j] + first + c);
    }
    transform<Map>(pixels, mapped);
    float* to = points.data + index * points.row + c;
    for (int p = 0; p < kPoints; ++p) store(to + p * points.point, mapped[p / kPatch][p % kPatch]);
  }
}

// out(r, 0 .. kPanel) = (with kAdd: +=) the sum over k of a(r, k) * b(k, 0 .. kPanel), for kRows rows.
template <bool kAdd>
[[gnu::always_inline]] inline void product(const float* a, int64_t a_row, int64_t a_depth, const float* b,
                                           int64_t b_depth, int64_t depth, float* out, int64_t out_row) {
  Vec left[kRows], right[kRows];
  for (int r = 0; r < kRows; ++r) {
    left[r] = kAdd ? load(out + r * out_row) : Vec{};
    right[r] = kAdd ? load(out + r * out_row + kLanes) : Vec{};
  }
  for (int64_t k = 0; k < depth; ++k, a += a_depth, b += b_depth) {
    const Vec b_left = load(b), b_right = load(b + kLanes);
    for (int r = 0; r < kRows; ++r) {
      left[r] += a[r * a_row] * b_left;
      right[r] += a[r * a_row] * b_right;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    store(out + r * out_row, left[r]);
    store(out + r * out_row + kLanes, right[r]);
  }
}

}  // namespace unet::winograd
