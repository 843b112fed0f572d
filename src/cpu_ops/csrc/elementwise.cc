// Pooling, concatenation, the gradient of ReLU and batch norm on NHWC tensors: plain loops, channels innermost.
// The compiler vectorises a loop with several outputs only if it knows that they do not overlap, hence __restrict.
#include <cmath>
#include <cstring>

#include "engine.h"

using unet::Tensor;

namespace {

constexpr int64_t kGrain = 4096;   // fewest elements that are worth waking a thread for

int64_t row_grain(int64_t channels) { return std::max<int64_t>(1, kGrain / channels); }

// Calls body(offset of the output, offset of the window's first input, length of a line) for each 2x2 window.
template <class Body>
void windows(const Tensor& in, const Tensor& out, const Body& body) {
  const int64_t height = out.shape[1], width = out.shape[2], channels = out.shape[3];
  const int64_t line = in.shape[2] * channels;
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width * channels));
  unet::parallel(out.shape[0] * height, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t top = (row / height * in.shape[1] + row % height * 2) * line;
      for (int64_t x = 0; x < width; ++x) body((row * width + x) * channels, top + 2 * x * channels, line);
    }
  });
}

// Sums over all rows, channel by channel: body(row, sums) adds a row to `kSums` arrays of channels. The rows of a block
// are added in float32, the blocks in float64, both in order. This is exact enough, and the result is the same on any
// number of threads.
template <int kSums, class Body>
std::vector<double> channel_sums(int64_t rows, int64_t channels, const Body& body) {
  const int64_t block = 256, blocks = (rows + block - 1) / block, width = kSums * channels;
  auto* partial = static_cast<float*>(unet::scratch(sizeof(float) * blocks * width));
  unet::parallel(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      float* sums = partial + b * width;
      std::memset(sums, 0, sizeof(float) * width);
      for (int64_t row = b * block; row < std::min(rows, (b + 1) * block); ++row) body(row, sums);
    }
  });
  std::vector<double> total(width, 0.0);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t i = 0; i < width; ++i) total[i] += partial[b * width + i];
  }
  return total;
}

constexpr float kEpsilon = 1e-5f;   // as in nn.BatchNorm2d and layers.py

// Batch norm as x * scale + shift; inverse = 1 / standard deviation.
struct Affine {
  std::vector<float> inverse, scale, shift;

  Affine(const float* gamma, const float* beta, const float* mean, const float* variance, int64_t channels)
      : inverse(channels), scale(channels), shift(channels) {
    for (int64_t i = 0; i < channels; ++i) {
      inverse[i] = 1.f / std::sqrt(variance[i] + kEpsilon);
      scale[i] = gamma[i] * inverse[i];
      shift[i] = beta[i] - mean[i] * scale[i];
    }
  }
};

void affine_relu(const Tensor& x, const float* scale, const float* shift, const Tensor& y) {
  const int64_t channels = x.channels();
  unet::parallel(x.rows(), row_grain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x.data + row * channels;
      float* to = y.data + row * channels;
      for (int64_t i = 0; i < channels; ++i) to[i] = std::max(from[i] * scale[i] + shift[i], 0.f);
    }
  });
}

// Writes dy to the gradient of the largest of four inputs (of equal ones the first, as in MindSpore), 0 to the others.
void to_the_largest(const float* a, const float* b, const float* c, const float* d, const float* dy,
                    float* __restrict da, float* __restrict db, float* __restrict dc, float* __restrict dd,
                    int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const bool from_b = b[i] > a[i];
    const float larger = from_b ? b[i] : a[i];
    const bool from_c = c[i] > larger;
    const bool from_d = d[i] > (from_c ? c[i] : larger);
    const float dy_abc = from_d ? 0.f : dy[i], dy_ab = from_c ? 0.f : dy_abc;
    da[i] = from_b ? 0.f : dy_ab;
    db[i] = from_b ? dy_ab : 0.f;
    dc[i] = from_c ? dy_abc : 0.f;
    dd[i] = from_d ? dy[i] : 0.f;
  }
}

}  // namespace

// x -> y, the 2x2 maximum with stride 2.
UNET_OPERATOR(unet_max_pool) {
  const Tensor &x = t[0], &y = t[1];
  const int64_t channels = x.channels();
  windows(x, y, [&](int64_t out, int64_t in, int64_t line) {
    const float *a = x.data + in, *b = a + channels, *c = a + line, *d = c + channels;
    float* to = y.data + out;
    for (int64_t i = 0; i < channels; ++i) to[i] = std::max(std::max(a[i], b[i]), std::max(c[i], d[i]));
  });
}

// x, dy -> dx
UNET_OPERATOR(unet_max_pool_backward) {
  const Tensor &x = t[0], &dy = t[1], &dx = t[2];
  const int64_t channels = x.channels();
  if (x.shape[1] % 2 || x.shape[2] % 2) std::memset(dx.data, 0, sizeof(float) * dx.size());
  windows(x, dy, [&](int64_t out, int64_t in, int64_t line) {
    const float *a = x.data + in, *c = a + line;
    float *da = dx.data + in, *dc = da + line;
    to_the_largest(a, a + channels, c, c + channels, dy.data + out, da, da + channels, dc, dc + channels, channels);
  });
}

// x0, x1, ... -> y, the channels side by side; of a larger input its centre.
UNET_OPERATOR(unet_concat) {
  const Tensor& y = t.back();
  const int64_t height = y.shape[1], width = y.shape[2];
  unet::parallel(y.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t at = 0;
      for (size_t i = 0; i + 1 < t.size(); ++i) {
        const Tensor& x = t[i];
        const int64_t c = x.channels(), top = (x.shape[1] - height) / 2, left = (x.shape[2] - width) / 2;
        const float* from = x.data + ((row / height * x.shape[1] + row % height + top) * x.shape[2] + left) * c;
        float* to = y.data + row * width * y.channels() + at;
        for (int64_t j = 0; j < width; ++j) std::memcpy(to + j * y.channels(), from + j * c, sizeof(float) * c);
        at += c;
      }
    }
  });
}

// dy and, for each of n inputs, three tensors whose lengths are its height, width and channels -> dx0, dx1, ...: 1 + 3n
// tensors in, n out. The three tensors only serve MindSpore to infer the shapes of dx.
UNET_OPERATOR(unet_concat_backward) {
  const size_t inputs = (t.size() - 1) / 4;
  const Tensor& dy = t[0];
  const int64_t height = dy.shape[1], width = dy.shape[2];
  int64_t at = 0;
  for (size_t i = t.size() - inputs; i < t.size(); ++i) {
    const Tensor& dx = t[i];
    const int64_t c = dx.channels(), top = (dx.shape[1] - height) / 2, left = (dx.shape[2] - width) / 2;
    if (dx.shape[1] != height || dx.shape[2] != width) std::memset(dx.data, 0, sizeof(float) * dx.size());
    unet::parallel(dy.shape[0] * height, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* from = dy.data + row * width * dy.channels() + at;
        float* to = dx.data + ((row / height * dx.shape[1] + row % height + top) * dx.shape[2] + left) * c;
        for (int64_t j = 0; j < width; ++j) std::memcpy(to + j * c, from + j * dy.channels(), sizeof(float) * c);
      }
    });
    at += c;
  }
}

// dy -> dbias
UNET_OPERATOR(unet_bias_backward) {
  const Tensor& dy = t[0];
  const int64_t channels = dy.channels();
  const auto sums = channel_sums<1>(dy.rows(), channels, [&](int64_t row, float* __restrict sum) {
    const float* __restrict from = dy.data + row * channels;
    for (int64_t i = 0; i < channels; ++i) sum[i] += from[i];
  });
  std::copy(sums.begin(), sums.end(), t[1].data);
}

// y, dy -> dx of y = relu(x).
UNET_OPERATOR(unet_relu_backward) {
  unet::parallel(t[0].size(), kGrain, [&](int64_t begin, int64_t end) {
    // Declared inside the lambda, because a captured pointer loses its __restrict.
    const float *__restrict y = t[0].data, *__restrict dy = t[1].data;
    float* __restrict dx = t[2].data;
    for (int64_t i = begin; i < end; ++i) dx[i] = y[i] > 0.f ? dy[i] : 0.f;
  });
}

// x, scale, shift -> y = relu(x * scale + shift), channel by channel.
UNET_OPERATOR(unet_affine_relu) { affine_relu(t[0], t[1].data, t[2].data, t[3]); }

// x -> mean and biased variance of each channel.
UNET_OPERATOR(unet_moments) {
  const Tensor &x = t[0], &mean = t[1], &variance = t[2];
  const int64_t channels = x.channels(), rows = x.rows();
  // Sums deviations from the first row: with a large mean, plain sums of squares would lose their digits.
  const float* first = x.data;
  const auto sums = channel_sums<2>(rows, channels, [&](int64_t row, float* __restrict sum) {
    const float* __restrict from = x.data + row * channels;
    for (int64_t i = 0; i < channels; ++i) {
      const float d = from[i] - first[i];
      sum[i] += d;
      sum[channels + i] += d * d;
    }
  });
  for (int64_t i = 0; i < channels; ++i) {
    const double shift = sums[i] / rows;
    mean.data[i] = static_cast<float>(first[i] + shift);
    variance.data[i] = static_cast<float>(std::max(0.0, sums[channels + i] / rows - shift * shift));
  }
}

// x, gamma, beta, mean, variance -> y = relu(batch_norm(x)).
UNET_OPERATOR(unet_norm_relu) {
  const Affine affine(t[1].data, t[2].data, t[3].data, t[4].data, t[0].channels());
  affine_relu(t[0], affine.scale.data(), affine.shift.data(), t[5]);
}

// x, gamma, beta, mean, variance, dy -> dx, dgamma, dbeta of relu(batch_norm(x)), with mean and variance of x.
UNET_OPERATOR(unet_norm_relu_backward) {
  const Tensor &x = t[0], &dy = t[5], &dx = t[6];
  const float *gamma = t[1].data, *beta = t[2].data, *mean = t[3].data, *variance = t[4].data;
  const int64_t channels = x.channels(), rows = x.rows();
  const Affine affine(gamma, beta, mean, variance, channels);
  const float *inverse = affine.inverse.data(), *scale = affine.scale.data(), *shift = affine.shift.data();
  const auto sums = channel_sums<2>(rows, channels, [&](int64_t row, float* __restrict sum) {
    const float* __restrict from = x.data + row * channels;
    const float* __restrict gradient = dy.data + row * channels;
    for (int64_t i = 0; i < channels; ++i) {
      const float g = from[i] * scale[i] + shift[i] > 0.f ? gradient[i] : 0.f;
      sum[i] += g;
      sum[channels + i] += g * (from[i] - mean[i]) * inverse[i];
    }
  });
  std::vector<float> mean_g(channels), mean_gx(channels);
  for (int64_t i = 0; i < channels; ++i) {
    t[7].data[i] = static_cast<float>(sums[channels + i]);
    t[8].data[i] = static_cast<float>(sums[i]);
    mean_g[i] = static_cast<float>(sums[i] / rows);
    mean_gx[i] = static_cast<float>(sums[channels + i] / rows);
  }
  unet::parallel(rows, row_grain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* __restrict from = x.data + row * channels;
      const float* __restrict gradient = dy.data + row * channels;
      float* __restrict to = dx.data + row * channels;
      for (int64_t i = 0; i < channels; ++i) {
        const float g = from[i] * scale[i] + shift[i] > 0.f ? gradient[i] : 0.f;
        to[i] = scale[i] * (g - mean_g[i] - (from[i] - mean[i]) * inverse[i] * mean_gx[i]);
      }
    }
  });
}
