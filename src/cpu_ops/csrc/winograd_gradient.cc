// The gradient of the weights: the algorithm of winograd.cc with each of its steps transposed.
#include <atomic>
#include <cstring>

#include "winograd.h"
#include "winograd_tiles.h"

namespace unet::winograd {
namespace {

constexpr int64_t kMostSums = 2 << 20;   // most numbers in all parts of the sums, if there are several: 8 MB

// For each point a matrix of inputs x some outputs, summed over the tiles, in several parts for several threads. The
// number of parts, and so the result, depends only on the shape.
struct Sums {
  int64_t ins, outs, wide, point, size, parts;
  float* data;

  Sums(int64_t inputs, int64_t outputs, int64_t most_parts)
      : ins(inputs), outs(outputs), wide(round_up(outputs, kPanel)), point(ins * wide + kLanes),
        size(kPoints * point), parts(std::max<int64_t>(1, std::min({kMostSums / size, int64_t{8}, most_parts}))),
        data(static_cast<float*>(scratch(sizeof(float) * parts * size))) {}

  // Sets (with kAdd: increases) the sums of a part over some tiles, for `channels` inputs from `first` on.
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

  // Writes the gradient of the weights, (all outputs, ins, 3, 3), for `channels` outputs from `first` on.
  void write(const Tensor& dw, int64_t first, int64_t channels) const {
    parallel(channels / kLanes, 1, [&](int64_t begin, int64_t end) {
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
            for (int i = 0; i < 9; ++i) dw.data[((first + out + lane) * ins + in) * 9 + i] = g[i / 3][i % 3][lane];
          }
        }
      }
    });
  }
};

}  // namespace

void backward_weights(const Tensor& x, const Tensor& dy, const Tensor& dw) {
  const Grid grid(dy);
  const int64_t ins = x.channels(), outs = dy.channels(), zero_count = std::max(ins, outs);
  const int64_t pad = (dy.shape[1] - x.shape[1] + 2) / 2;
  const int64_t most = ins + outs < 256 ? kTiles : 2 * kTiles;   // tiles at once, each time with all sums
  const int64_t outs_at_once = at_once(ins, outs);
  Sums sums(ins, outs_at_once, grid.count / most);
  // If there are fewer parts than threads, the threads share the input channels too.
  const int64_t wanted = (2 * threads() + sums.parts - 1) / sums.parts;
  const int64_t group_size = round_up((ins + wanted - 1) / wanted, kLanes);
  const int64_t groups = (ins + group_size - 1) / group_size;
  const int64_t workers = std::min<int64_t>(threads(), sums.parts * groups);
  const int64_t own = Points::size(most, group_size) + Points::size(most, outs_at_once);
  auto* zeros = static_cast<float*>(scratch(sizeof(float) * (zero_count + workers * own)));
  std::memset(zeros, 0, sizeof(float) * (zero_count + workers * own));
  for (int64_t first_out = 0; first_out < outs; first_out += outs_at_once) {
    const int64_t these = std::min(outs_at_once, outs - first_out);
    std::atomic<int64_t> next{0};
    parallel(workers, 1, [&](int64_t worker, int64_t) {
      const Points v(zeros + zero_count + worker * own, most, group_size);
      const Points m(v.data + Points::size(most, group_size), most, outs_at_once);
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
            into<OutputGradient>(of_y, first_out, these, m, i);
          }
          if (first == begin) {
            sums.add<false>(v, m, part, group, channels, tiles);
          } else {
            sums.add<true>(v, m, part, group, channels, tiles);
          }
        }
      }
    });
    sums.write(dw, first_out, these);
  }
}

}  // namespace unet::winograd
