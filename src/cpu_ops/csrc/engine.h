// What all operators share: threads, the oneDNN engine, scratch memory, and the C functions that MindSpore calls.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <oneapi/dnnl/dnnl_threadpool.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace unet {

// Calls body(begin, end) on parts of [0, count) in parallel. Parts are at least `grain` long. Operators share the threads
// that unet_set_threads has asked for; one operator runs at a time, on all of them.
void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body);
int threads();

dnnl::engine& engine();
dnnl::stream& stream();

// Memory until the operator returns. It grows to the need of the largest operator and is reused by all, whereas oneDNN
// would keep scratch memory of its own for each primitive.
void* scratch(size_t bytes);
dnnl::memory scratch_memory(const dnnl::memory::desc& desc);

// A tensor as MindSpore passes it: float32, contiguous.
struct Tensor {
  float* data;
  std::vector<int64_t> shape;

  int64_t size() const;
  int64_t rows() const { return size() / shape.back(); }   // of an NHWC tensor: N * H * W
  int64_t channels() const { return shape.back(); }
};

// Runs one operator: takes the lock, makes the scratch memory free again, and turns an exception into a status that
// MindSpore raises; the reason goes to standard error.
using Operator = void (*)(std::vector<Tensor>&);
int run(const char* name, Operator op, int count, void** params, int* ndims, int64_t** shapes, const char** dtypes);

// Returns the primitive with this key, and makes it at first use. The key holds all that two primitives of one type can
// differ in.
template <class Primitive>
Primitive& cached(const std::vector<int64_t>& key, const std::function<std::unique_ptr<Primitive>()>& make) {
  static std::map<std::vector<int64_t>, std::unique_ptr<Primitive>> all;
  auto& slot = all[key];
  if (!slot) slot = make();
  return *slot;
}

}  // namespace unet

// Defines the C function `name` that MindSpore loads. Its body works on `t`, inputs first, outputs last.
#define UNET_OPERATOR(name)                                                                                  \
  static void name##_body(std::vector<unet::Tensor>& t);                                                     \
  extern "C" int name(int count, void** params, int* ndims, int64_t** shapes, const char** dtypes, void*,   \
                      void*) {                                                                               \
    return unet::run(#name, name##_body, count, params, ndims, shapes, dtypes);                              \
  }                                                                                                          \
  static void name##_body(std::vector<unet::Tensor>& t)
