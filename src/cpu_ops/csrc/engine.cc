#include "engine.h"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <thread>

namespace unet {
namespace {

std::atomic<int> wanted_threads{1};

// Its workers wait for a job, take its parts one by one, and wait again. The caller works too.
class ThreadPool : public dnnl::threadpool_interop::threadpool_iface {
 public:
  explicit ThreadPool(int threads) : threads_(threads) {
    for (int i = 1; i < threads; ++i) std::thread([this] { serve(); }).detach();
  }

  int get_num_threads() const override { return threads_; }
  bool get_in_parallel() const override { return in_parallel(); }
  uint64_t get_flags() const override { return 0; }   // parallel_for returns when the work is done

  void parallel_for(int parts, const std::function<void(int, int)>& body) override {
    if (parts == 1 || threads_ == 1 || in_parallel()) {
      for (int i = 0; i < parts; ++i) body(i, parts);
      return;
    }
    auto job = std::make_shared<Job>(Job{&body, parts});
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = job;
      ++generation_;
    }
    wake_.notify_all();
    in_parallel() = true;
    work(*job);
    in_parallel() = false;
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [&] { return job->done == parts; });
  }

 private:
  struct Job {
    const std::function<void(int, int)>* body;
    int parts;
    std::atomic<int> next{0};
    int done = 0;   // guarded by mutex_

    Job(const std::function<void(int, int)>* b, int p) : body(b), parts(p) {}
    Job(Job&& other) : body(other.body), parts(other.parts) {}
  };

  static bool& in_parallel() {
    static thread_local bool inside = false;
    return inside;
  }

  void work(Job& job) {
    int mine = 0;
    for (int i; (i = job.next.fetch_add(1)) < job.parts; ++mine) (*job.body)(i, job.parts);
    if (mine == 0) return;
    std::lock_guard<std::mutex> lock(mutex_);
    job.done += mine;
    if (job.done == job.parts) finished_.notify_all();
  }

  void serve() {
    in_parallel() = true;
    uint64_t seen = 0;
    while (true) {
      std::shared_ptr<Job> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_;
        job = job_;
      }
      work(*job);
    }
  }

  const int threads_;
  std::mutex mutex_;
  std::condition_variable wake_, finished_;
  std::shared_ptr<Job> job_;
  uint64_t generation_ = 0;
};

// Never destroyed: its workers wait until the process ends.
ThreadPool& pool() {
  static auto* instance = new ThreadPool(wanted_threads);
  return *instance;
}

// Blocks that scratch() hands out, in order. The n-th block of one operator is reused as the n-th block of the next. If
// it is too small, a larger one replaces it.
struct Scratch {
  struct Block {
    void* data = nullptr;
    size_t bytes = 0;
  };
  std::vector<Block> blocks;
  size_t used = 0;

  void* take(size_t bytes) {
    if (used == blocks.size()) blocks.emplace_back();
    Block& block = blocks[used++];
    if (block.bytes < bytes) {
      std::free(block.data);
      block.bytes = (bytes + 63) / 64 * 64;
      block.data = std::aligned_alloc(64, block.bytes);
      if (!block.data) {
        block.bytes = 0;
        throw std::bad_alloc();
      }
    }
    return block.data;
  }
};

Scratch& scratch_blocks() {
  static auto* instance = new Scratch();
  return *instance;
}

}  // namespace

int threads() { return pool().get_num_threads(); }

void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  // The parts depend only on the size, so that results do not depend on the number of threads.
  const int64_t most_parts = 256;
  const int64_t parts = std::max<int64_t>(1, std::min(most_parts, count / std::max<int64_t>(grain, 1)));
  pool().parallel_for(static_cast<int>(parts), [&](int part, int of) {
    body(count * part / of, count * (part + 1) / of);
  });
}

dnnl::engine& engine() {
  static auto* instance = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *instance;
}

dnnl::stream& stream() {
  static auto* instance = new dnnl::stream(dnnl::threadpool_interop::make_stream(engine(), &pool()));
  return *instance;
}

void* scratch(size_t bytes) { return scratch_blocks().take(bytes); }

dnnl::memory scratch_memory(const dnnl::memory::desc& desc) {
  return dnnl::memory(desc, engine(), scratch(desc.get_size()));
}

int64_t Tensor::size() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

int run(const char* name, Operator op, int count, void** params, int* ndims, int64_t** shapes, const char** dtypes) {
  static std::mutex one_at_a_time;
  std::lock_guard<std::mutex> lock(one_at_a_time);
  try {
    scratch_blocks().used = 0;
    std::vector<Tensor> tensors;
    for (int i = 0; i < count; ++i) {
      if (std::strcmp(dtypes[i], "float32") != 0) throw std::runtime_error(std::string("got ") + dtypes[i]);
      tensors.push_back({static_cast<float*>(params[i]), std::vector<int64_t>(shapes[i], shapes[i] + ndims[i])});
    }
    op(tensors);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
}

}  // namespace unet

// Sets the number of threads. It counts until the first operator runs.
extern "C" void unet_set_threads(int count) { unet::wanted_threads = count; }

// Whether the processor has units for products of bfloat16 numbers, and oneDNN may use them. Without such units, these
// products take longer than those of float32 numbers.
extern "C" int unet_has_matrix_units() {
  const auto found = static_cast<int>(dnnl::get_effective_cpu_isa());
  const auto wanted = static_cast<int>(dnnl::cpu_isa::avx512_core_amx);
  return (found & wanted) == wanted;
}
