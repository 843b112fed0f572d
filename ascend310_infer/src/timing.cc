#include "timing.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <numeric>
#include <sstream>

namespace unet {
namespace {

// Nearest rank: the smallest value that at least this share of all values does not exceed.
double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

std::string Timing::report() const {
  const double sum = std::accumulate(runs_.begin(), runs_.end(), 0.0);
  const double mean = sum / static_cast<double>(runs_.size());
  std::ostringstream text;
  text << std::fixed << std::setprecision(3);
  // The first line is that of the model zoo.
  text << "NN inference cost average time: " << mean * 1e3 << " ms of infer_count " << runs_.size() << "\n"
       << "median: " << median(runs_) * 1e3 << " ms\n"
       << "p95: " << quantile(runs_, 0.95) * 1e3 << " ms\n"
       << "batch size: " << batch_size_ << "\n"
       << "images per second: " << static_cast<double>(images_) / elapsed_ << " (" << images_ << " images in "
       << elapsed_ << " s with reading and writing)\n"
       << "share of that time in which the network ran: " << sum / elapsed_ << "\n";
  return text.str();
}

}  // namespace unet
