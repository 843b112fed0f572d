#ifndef UNET_INFER_TIMING_H
#define UNET_INFER_TIMING_H

#include <cstddef>
#include <string>
#include <vector>

namespace unet {

// How long the runs of the network took. Each run is one batch.
class Timing {
 public:
  Timing(size_t images, size_t batch_size) : images_(images), batch_size_(batch_size) {}

  void add(double seconds) { runs_.push_back(seconds); }
  void finish(double seconds) { elapsed_ = seconds; }  // of all runs, with their waits for files

  // Returns the text of test_perform_static.txt.
  std::string report() const;

 private:
  size_t images_;
  size_t batch_size_;
  std::vector<double> runs_;
  double elapsed_ = 0;
};

}  // namespace unet

#endif
