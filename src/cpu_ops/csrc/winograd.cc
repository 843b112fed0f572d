// Winograd's F(4x4, 3x3): a tile of 4x4 results takes 36 multiplications a pair of channels instead of 144.
//
// The tile's 6x6 inputs are transformed, V = B' d B, the filter too, U = G g G'; for each of the 36 points the channels
// are multiplied and added up, M = V U, a matrix product; and Y = A' M A. (A. Lavin and S. Gray, "Fast algorithms for
// convolutional neural networks", CVPR 2016.) The gradient of the weights is the same algorithm, each step transposed.
#include "winograd.h"

#include <atomic>
#include <cstring>

#include "winograd_transforms.h"

namespace unet::winograd {
namespace {

constexpr int kPanel = 2 * kLanes;   // columns of a product that are made at once, for kRows rows
constexpr int64_t kTiles = 32;       // that a thread takes at once: their points stay in its cache
constexpr int64_t kMostSums = 8 << 18;   // numbers, of the gradients' partial sums: 8 MB

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// ---- tiles

// The tiles of the results, in all images of a batch.
struct Grid {
  int64_t down, across, count;

  explicit Grid(const Tensor& y)
      : down((y.shape[1] + kTile - 1) / kTile), across((y.shape[2] + kTile - 1) / kTile),
        count(y.shape[0] * down * across) {}

  // Where the kSize x kSize pixels lie that belong to a tile, `pad` above and to the left of its results; `outside`
  // for those that the image does not have.
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

// For each point a matrix of tiles x channels. Rows and points are a few numbers apart from powers of two, where they
// would push each other out of the cache.
struct Points {
  float* data;
  int64_t row, point;

  static int64_t row_of(int64_t channels) { return round_up(channels, kPanel) + kLanes; }
  static int64_t size(int64_t tiles, int64_t channels) { return kPoints * (tiles * row_of(channels) + kLanes); }

  Points(float* at, int64_t tiles, int64_t channels)
      : data(at), row(row_of(channels)), point(tiles * row + kLanes) {}
};

// Row `index` of all points from the pixels of a tile, their `channels` from the channel `first` on.
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

// ---- the matrix product

// out(r, 0 .. kPanel) = or += the sum over k of a(r, k) * b(k, 0 .. kPanel), for kRows rows.
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

// ---- filters

// The transformed filters: for each point and each panel of outputs, inputs x kPanel.
struct Filters {
  int64_t ins, outs, panels, step;
  float* data;

  // `w` holds a filter's nine numbers at out * out_step + in * in_step; turned by 180 degrees for the gradient.
  Filters(const float* w, int64_t inputs, int64_t outputs, int64_t in_step, int64_t out_step, bool turned)
      : ins(inputs), outs(outputs), panels((outputs + kPanel - 1) / kPanel), step(panels * kPanel * ins + kLanes),
        data(static_cast<float*>(scratch(sizeof(float) * kPoints * step))) {
    parallel(panels * 2, 1, [&](int64_t begin, int64_t end) {
      for (int64_t out = begin * kLanes; out < end * kLanes; out += kLanes) {
        for (int64_t in = 0; in < ins; ++in) {
          Vec g[3][3] = {}, u[kPatch][kPatch];
          for (int lane = 0; lane < std::min<int64_t>(kLanes, outs - out); ++lane) {
            const float* from = w + in * in_step + (out + lane) * out_step;
            for (int i = 0; i < 9; ++i) g[i / 3][i % 3][lane] = from[turned ? 8 - i : i];
          }
          transform<Filter>(g, u);
          for (int p = 0; p < kPoints; ++p) {
            store(panel(p, out / kPanel) + in * kPanel + out % kPanel, u[p / kPatch][p % kPatch]);
          }
        }
      }
    });
  }

  float* panel(int point, int64_t index) const { return data + point * step + index * ins * kPanel; }
};

// ---- gradients of filters

// For each point inputs x outputs, summed over the tiles; in several parts, for as many threads. How many parts depends
// on the shape alone, and so does the result.
struct Sums {
  int64_t ins, outs, wide, point, size, parts;
  float* data;

  Sums(int64_t inputs, int64_t outputs, int64_t most_parts)
      : ins(inputs), outs(outputs), wide(round_up(outputs, kPanel)), point(ins * wide + kLanes),
        size(kPoints * point), parts(std::max<int64_t>(1, std::min({kMostSums / size, int64_t{8}, most_parts}))),
        data(static_cast<float*>(scratch(sizeof(float) * parts * size))) {}

  // Set (or with kAdd: increase) a part's sums over some tiles, for `channels` inputs from `first` on.
  template <bool kAdd>
  void add(const Points& v, const Points& m, int64_t part, int64_t first, int64_t channels, int64_t tiles) {
    for (int p = 0; p < kPoints; ++p) {
      for (int64_t out = 0; out < wide; out += kPanel) {
        for (int64_t in = 0; in < channels; in += kRows) {
          product<kAdd>(v.data + p * v.point + in, 1, v.row, m.data + p * m.point + out, m.row, tiles,
                        data + part * size + p * point + (first + in) * wide + out, wide);
        }
      }
    }
  }

  // To the weights' gradient (outs, ins, 3, 3).
  void write(const Tensor& dw) const {
    parallel(outs / kLanes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t out = begin * kLanes; out < end * kLanes; out += kLanes) {
        for (int64_t in = 0; in < ins; ++in) {
          Vec u[kPatch][kPatch], g[3][3];
          for (int p = 0; p < kPoints; ++p) {
            const float* from = data + p * point + in * wide + out;
            Vec sum = load(from);
            for (int64_t part = 1; part < parts; ++part) sum += load(from + part * size);
            u[p / kPatch][p % kPatch] = sum;
          }
          transform<FilterGradient>(u, g);
          for (int lane = 0; lane < kLanes; ++lane) {
            for (int i = 0; i < 9; ++i) dw.data[((out + lane) * ins + in) * 9 + i] = g[i / 3][i % 3][lane];
          }
        }
      }
    });
  }
};

// ---- the whole

void convolve(const Tensor& x, const Filters& filters, int64_t pad, const float* bias, bool relu, const Tensor& y) {
  const Grid grid(y);
  const int64_t ins = filters.ins, outs = filters.outs;
  const int64_t tiles = std::min(kTiles, round_up((grid.count + threads() - 1) / threads(), kRows));
  const int64_t blocks = (grid.count + tiles - 1) / tiles, workers = std::min<int64_t>(threads(), blocks);
  const int64_t size = Points::size(tiles, ins) + Points::size(tiles, outs) + outs;
  auto* all = static_cast<float*>(scratch(sizeof(float) * (workers * size + ins)));
  float* zeros = all + workers * size;
  std::memset(zeros, 0, sizeof(float) * ins);
  std::atomic<int64_t> next{0};
  parallel(workers, 1, [&](int64_t worker, int64_t) {
    const Points v(all + worker * size, tiles, ins), m(v.data + Points::size(tiles, ins), tiles, outs);
    float* nowhere = m.data + Points::size(tiles, outs);
    for (int64_t block; (block = next.fetch_add(1)) < blocks;) {
      const int64_t first = block * tiles, rows = round_up(std::min(tiles, grid.count - first), kRows);
      for (int64_t i = 0; i < rows; ++i) {
        float* at[kPatch][kPatch];
        grid.pixels(x, first + i, pad, zeros, at);
        into<Input>(at, 0, ins, v, i);
      }
      for (int p = 0; p < kPoints; ++p) {
        for (int64_t panel = 0; panel < filters.panels; ++panel) {
          for (int64_t i = 0; i < rows; i += kRows) {
            product<false>(v.data + p * v.point + i * v.row, v.row, 1, filters.panel(p, panel), kPanel, ins,
                           m.data + p * m.point + i * m.row + panel * kPanel, m.row);
          }
        }
      }
      for (int64_t i = 0; i < std::min(tiles, grid.count - first); ++i) {
        float* at[kTile][kTile];
        grid.pixels(y, first + i, 0, nowhere, at);
        for (int64_t c = 0; c < outs; c += kLanes) {
          Vec points[kPatch][kPatch], result[kTile][kTile];
          for (int p = 0; p < kPoints; ++p) points[p / kPatch][p % kPatch] = load(m.data + p * m.point + i * m.row + c);
          transform<Output>(points, result);
          const Vec add = bias ? load(bias + c) : Vec{};
          for (int j = 0; j < kTile * kTile; ++j) {
            Vec value = result[j / kTile][j % kTile] + add;
            if (relu) value = value < 0.f ? Vec{} : value;   // NaN stays
            store(at[j / kTile][j % kTile] + c, value);
          }
        }
      }
    }
  });
}

}  // namespace

bool pays(const Tensor& w, const Tensor& y) {
  const int64_t tiles = Grid(y).count;
  return w.shape[2] == 3 && w.shape[0] % kLanes == 0 && w.shape[1] % kLanes == 0 && tiles >= 48 &&
         tiles * kTile * kTile <= 1.5 * y.rows();
}

void forward(const Tensor& x, const Tensor& w, const float* bias, bool relu, const Tensor& y) {
  const int64_t ins = x.channels(), outs = y.channels();
  const int64_t pad = (y.shape[1] - x.shape[1] + 2) / 2;
  convolve(x, Filters(w.data, ins, outs, 9, 9 * ins, false), pad, bias, relu, y);
}

void backward_data(const Tensor& w, const Tensor& dy, const Tensor& dx) {
  const int64_t ins = dx.channels(), outs = dy.channels();
  const int64_t pad = (dx.shape[1] - dy.shape[1] + 2) / 2;
  convolve(dy, Filters(w.data, outs, ins, 9 * ins, 9, true), pad, nullptr, false, dx);
}

void backward_weights(const Tensor& x, const Tensor& dy, const Tensor& dw) {
  const Grid grid(dy);
  const int64_t ins = x.channels(), outs = dy.channels(), zero_count = std::max(ins, outs);
  const int64_t pad = (dy.shape[1] - x.shape[1] + 2) / 2;
  const int64_t most = ins + outs < 256 ? kTiles : 2 * kTiles;   // tiles at once: the sums are touched once for each
  Sums sums(ins, outs, grid.count / most);
  // Where the parts do not occupy all threads, these share the input channels too.
  const int64_t wanted = (2 * threads() + sums.parts - 1) / sums.parts;
  const int64_t group_size = round_up((ins + wanted - 1) / wanted, kLanes);
  const int64_t groups = (ins + group_size - 1) / group_size;
  const int64_t workers = std::min<int64_t>(threads(), sums.parts * groups);
  const int64_t own = Points::size(most, group_size) + Points::size(most, outs);
  auto* zeros = static_cast<float*>(scratch(sizeof(float) * (zero_count + workers * own)));
  std::memset(zeros, 0, sizeof(float) * (zero_count + workers * own));
  std::atomic<int64_t> next{0};
  parallel(workers, 1, [&](int64_t worker, int64_t) {
    const Points v(zeros + zero_count + worker * own, most, group_size);
    const Points m(v.data + Points::size(most, group_size), most, outs);
    for (int64_t unit; (unit = next.fetch_add(1)) < sums.parts * groups;) {
      const int64_t part = unit / groups, group = unit % groups * group_size;
      const int64_t channels = std::min(group_size, ins - group);
      const int64_t begin = grid.count * part / sums.parts, end = grid.count * (part + 1) / sums.parts;
      for (int64_t first = begin; first < end; first += most) {
        const int64_t tiles = std::min(most, end - first);
        for (int64_t i = 0; i < tiles; ++i) {
          float *of_x[kPatch][kPatch], *of_y[kTile][kTile];
          grid.pixels(x, first + i, pad, zeros, of_x);
          into<Input>(of_x, group, channels, v, i);
          grid.pixels(dy, first + i, 0, zeros, of_y);
          into<OutputGradient>(of_y, 0, outs, m, i);
        }
        if (first == begin) {
          sums.add<false>(v, m, part, group, channels, tiles);
        } else {
          sums.add<true>(v, m, part, group, channels, tiles);
        }
      }
    }
  });
  sums.write(dw);
}

}  // namespace unet::winograd
