// Upsampling by 2 on NHWC tensors, nearest and bilinear (aligned by pixel centres, as in ops.interpolate).
#include "engine.h"

using unet::Tensor;

namespace {

// The two inputs between which one of the 2 * size results lies, and the weight of the second.
struct Tap {
  int64_t low, high;
  float weight;
};

Tap bilinear(int64_t at, int64_t size) {
  const int64_t own = at / 2;
  if (at % 2) return {own, std::min(own + 1, size - 1), 0.25f};
  return {std::max<int64_t>(own - 1, 0), own, 0.75f};
}

Tap nearest(int64_t at, int64_t) { return {at / 2, at / 2, 0.f}; }

using Rule = Tap (*)(int64_t, int64_t);

// How much the input ``own`` adds to the result ``at``.
float share(const Tap& tap, int64_t own) {
  return (tap.low == own ? 1.f - tap.weight : 0.f) + (tap.high == own ? tap.weight : 0.f);
}

void forward(const Tensor& x, const Tensor& y, Rule rule) {
  const int64_t height = x.shape[1], width = x.shape[2], channels = x.shape[3];
  unet::parallel(y.shape[0] * y.shape[1], 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const Tap down = rule(line % y.shape[1], height);
      const float* image = x.data + line / y.shape[1] * height * width * channels;
      const float *top = image + down.low * width * channels, *bottom = image + down.high * width * channels;
      for (int64_t column = 0; column < y.shape[2]; ++column) {
        const Tap across = rule(column, width);
        const float *a = top + across.low * channels, *b = top + across.high * channels;
        const float *c = bottom + across.low * channels, *d = bottom + across.high * channels;
        const float wd = down.weight * across.weight, wc = down.weight - wd, wb = across.weight - wd;
        const float wa = 1.f - wb - wc - wd;
        float* to = y.data + (line * y.shape[2] + column) * channels;
        for (int64_t i = 0; i < channels; ++i) to[i] = wa * a[i] + wb * b[i] + wc * c[i] + wd * d[i];
      }
    }
  });
}

// Each input gathers from the results that it contributes to, so that no two threads write to the same place.
void backward(const Tensor& dy, const Tensor& dx, Rule rule) {
  const int64_t height = dx.shape[1], width = dx.shape[2], channels = dx.shape[3];
  unet::parallel(dx.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      const int64_t row = line % height;
      const float* image = dy.data + line / height * dy.shape[1] * dy.shape[2] * channels;
      for (int64_t column = 0; column < width; ++column) {
        float* to = dx.data + (line * width + column) * channels;
        std::fill(to, to + channels, 0.f);
        for (int64_t y = std::max<int64_t>(0, 2 * row - 1); y < std::min(dy.shape[1], 2 * row + 3); ++y) {
          const float down = share(rule(y, height), row);
          for (int64_t x = std::max<int64_t>(0, 2 * column - 1); x < std::min(dy.shape[2], 2 * column + 3); ++x) {
            const float weight = down * share(rule(x, width), column);
            if (weight == 0.f) continue;
            const float* from = image + (y * dy.shape[2] + x) * channels;
            for (int64_t i = 0; i < channels; ++i) to[i] += weight * from[i];
          }
        }
      }
    }
  });
}

}  // namespace

// x -> y
UNET_OPERATOR(unet_upsample_bilinear) { forward(t[0], t[1], bilinear); }
UNET_OPERATOR(unet_upsample_nearest) { forward(t[0], t[1], nearest); }

// dy -> dx
UNET_OPERATOR(unet_upsample_bilinear_backward) { backward(t[0], t[1], bilinear); }
UNET_OPERATOR(unet_upsample_nearest_backward) { backward(t[0], t[1], nearest); }
