#include "pipeline.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "bounded_queue.h"
#include "files.h"

namespace fs = std::filesystem;

namespace unet {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBatchesAhead = 2;
constexpr int kWarmUpRuns = 2;

// The bytes of one batch, and the inputs that they belong to.
struct Batch {
  size_t first;
  size_t count;
  std::vector<char> bytes;
};

using Queue = BoundedQueue<Batch>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The last batch may have fewer images; the rest of it stays zero.
Batch read_batch(const Network& network, const std::vector<Input>& inputs, size_t first, ImageReader* reader) {
  Batch batch{first, std::min(network.batch_size(), inputs.size() - first), std::vector<char>(network.input_bytes())};
  for (size_t index = 0; index < batch.count; ++index) {
    char* destination = batch.bytes.data() + index * network.image_bytes();
    const Input& input = inputs[first + index];
    if (is_image(input.path)) {
      reader->read(input, network.image_shape(), reinterpret_cast<float*>(destination));
    } else {
      read_file(input.path, destination, network.image_bytes());
    }
  }
  return batch;
}

void write_batch(const Network& network, const std::vector<Input>& inputs, const fs::path& results,
                 const Batch& batch) {
  const size_t bytes = batch.bytes.size() / network.batch_size();
  for (size_t index = 0; index < batch.count; ++index) {
    write_file(results / inputs[batch.first + index].result_name(), batch.bytes.data() + index * bytes, bytes);
  }
}

}  // namespace

Timing run_pipeline(Network* network, const std::vector<Input>& inputs, const fs::path& results) {
  // The first runs prepare memory and kernels. They are slower and not timed.
  for (int run = 0; run < kWarmUpRuns; ++run) {
    network->predict(std::vector<char>(network->input_bytes()));
  }
  make_folder(results);
  Timing timing(inputs.size(), network->batch_size());
  Queue loaded(kBatchesAhead);
  Queue finished(kBatchesAhead);
  const auto start = Clock::now();
  auto reader = std::async(std::launch::async, [&] {
    const Closing<Queue> closing(loaded);
    ImageReader pictures;
    for (size_t first = 0; first < inputs.size(); first += network->batch_size()) {
      if (!loaded.push(read_batch(*network, inputs, first, &pictures))) return;
    }
  });
  // Made before the writer and again after it: if a thread cannot start, the other must not wait for it.
  const Closing<Queue> closing_reader(loaded);
  auto writer = std::async(std::launch::async, [&] {
    const Closing<Queue> closing(finished);
    while (auto batch = finished.pop()) write_batch(*network, inputs, results, *batch);
  });
  {
    const Closing<Queue, Queue> closing(loaded, finished);
    while (auto batch = loaded.pop()) {
      const auto begin = Clock::now();
      batch->bytes = network->predict(batch->bytes);
      timing.add(seconds_since(begin));
      if (!finished.push(std::move(*batch))) break;
    }
  }
  reader.get();  // throws the exception of the thread
  writer.get();
  timing.finish(seconds_since(start));
  return timing;
}

}  // namespace unet
