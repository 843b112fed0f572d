// Winograd's F(4x4, 3x3): a tile of 4x4 results takes 36 multiplications a pair of channels instead of 144.
//
// The 6x6 inputs of a tile are transformed, V = B' d B, and so is the filter, U = G g G'. For each of the 36 points a
// matrix product multiplies and sums the channels, M = V U. The results are Y = A' M A. (A. Lavin and S. Gray, "Fast
// algorithms for convolutional neural networks", CVPR 2016.) The gradient of the weights is in winograd_gradient.cc.
#include "winograd.h"

#include <atomic>
#include <cstring>

#include "winograd_tiles.h"

namespace unet::winograd {
namespace {

// Filters. The nine numbers of one start at out * out_step + in * in_step; the gradient turns them by 180 degrees.
struct Weights {
  const float* data;
  int64_t ins, in_step, out_step;
  bool turned;
};

// The transformed filters of some outputs: for each point and each panel of outputs a matrix of inputs x kPanel.
struct Filters {
  int64_t ins, outs, panels, step;
  float* data;

  static int64_t step_of(int64_t ins, int64_t outs) { return round_up(outs, kPanel) * ins + kLanes; }
  static int64_t size(int64_t ins, int64_t outs) { return kPoints * step_of(ins, outs); }

  Filters(float* at, const Weights& w, int64_t first, int64_t outputs)
      : ins(w.ins), outs(outputs), panels((outputs + kPanel - 1) / kPanel), step(step_of(ins, outs)), data(at) {
    parallel(panels * 2, 1, [&](int64_t begin, int64_t end) {
      for (int64_t out = begin * kLanes; out < end * kLanes; out += kLanes) {
        for (int64_t in = 0; in < ins; ++in) {
          Vec g[3][3] = {}, u[kPatch][kPatch];
          for (int lane = 0; lane < std::min<int64_t>(kLanes, outs - out); ++lane) {
            const float* from = w.data + in * w.in_step + (first + out + lane) * w.out_step;
            for (int i = 0; i < 9; ++i) g[i / 3][i % 3][lane] = from[w.turned ? 8 - i : i];
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

// How the threads share the tiles of y, and how much memory each of them needs.
struct Blocks {
  Grid grid;
  int64_t tiles, count, workers;

  explicit Blocks(const Tensor& y)
      : grid(y), tiles(std::min(kTiles, round_up((grid.count + threads() - 1) / threads(), kRows))),
        count((grid.count + tiles - 1) / tiles), workers(std::min<int64_t>(threads(), count)) {}

  int64_t own(int64_t ins, int64_t outs) const { return Points::size(tiles, ins) + Points::size(tiles, outs) + outs; }
};

// Computes the channels of y that belong to `filters`, from `first_out` on. `work` is memory for the threads and for a
// row of zeros.
void convolve(const Tensor& x, const Filters& filters, int64_t first_out, int64_t pad, const float* bias, bool relu,
              const Tensor& y, const Blocks& blocks, float* work) {
  const int64_t ins = filters.ins, outs = filters.outs, tiles = blocks.tiles, own = blocks.own(ins, outs);
  const Grid& grid = blocks.grid;
  float* zeros = work + blocks.workers * own;
  std::memset(zeros, 0, sizeof(float) * ins);
  std::atomic<int64_t> next{0};
  parallel(blocks.workers, 1, [&](int64_t worker, int64_t) {
    const Points v(work + worker * own, tiles, ins), m(v.data + Points::size(tiles, ins), tiles, outs);
    // Target for the pixels of a tile that are outside y. From its channel `first_out` on it is this thread's memory.
    float* nowhere = m.data + Points::size(tiles, outs) - first_out;
    for (int64_t block; (block = next.fetch_add(1)) < blocks.count;) {
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
          const Vec add = bias ? load(bias + first_out + c) : Vec{};
          for (int j = 0; j < kTile * kTile; ++j) {
            Vec value = result[j / kTile][j % kTile] + add;
            if (relu) value = value < 0.f ? Vec{} : value;   // NaN stays
            store(at[j / kTile][j % kTile] + first_out + c, value);
          }
        }
      }
    }
  });
}

void convolve(const Tensor& x, const Weights& weights, int64_t pad, const float* bias, bool relu, const Tensor& y) {
  const Blocks blocks(y);
  const int64_t ins = weights.ins, outs = y.channels(), most = at_once(ins, outs);
  auto* at = static_cast<float*>(scratch(sizeof(float) * Filters::size(ins, most)));
  auto* work = static_cast<float*>(scratch(sizeof(float) * (blocks.workers * blocks.own(ins, most) + ins)));
  for (int64_t first = 0; first < outs; first += most) {
    convolve(x, Filters(at, weights, first, std::min(most, outs - first)), first, pad, bias, relu, y, blocks, work);
  }
}

}  // namespace

bool pays(const Tensor& w, const Tensor& y) {
  const int64_t tiles = Grid(y).count;
  return w.shape[2] == 3 && w.shape[0] % kLanes == 0 && w.shape[1] % kLanes == 0 && tiles >= 48 &&
         tiles * kTile * kTile <= 1.5 * y.rows();
}

void forward(const Tensor& x, const Tensor& w, const float* bias, bool relu, const Tensor& y) {
  const int64_t ins = x.channels(), pad = (y.shape[1] - x.shape[1] + 2) / 2;
  convolve(x, Weights{w.data, ins, 9, 9 * ins, false}, pad, bias, relu, y);
}

void backward_data(const Tensor& w, const Tensor& dy, const Tensor& dx) {
  const int64_t ins = dx.channels(), outs = dy.channels();
  const int64_t pad = (dx.shape[1] - dy.shape[1] + 2) / 2;
  convolve(dy, Weights{w.data, outs, 9 * ins, 9, true}, pad, nullptr, false, dx);
}

}  // namespace unet::winograd
