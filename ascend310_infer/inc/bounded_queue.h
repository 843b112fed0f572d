#ifndef UNET_INFER_BOUNDED_QUEUE_H
#define UNET_INFER_BOUNDED_QUEUE_H

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

namespace unet {

// Passes values from one thread to another. A full queue makes the writer wait, so that memory stays bounded.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  // Returns false if the queue is closed: nobody takes the value any more.
  bool push(T value) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || values_.size() < capacity_; });
    if (closed_) return false;
    values_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }

  // Returns nothing if the queue is closed and empty.
  std::optional<T> pop() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return closed_ || !values_.empty(); });
    if (values_.empty()) return std::nullopt;
    std::optional<T> value(std::move(values_.front()));
    values_.pop_front();
    changed_.notify_all();
    return value;
  }

  void close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
  bool closed_ = false;
};

// Closes queues at the end of a scope, however it ends, so that no thread waits for one that has ended.
template <class... Queues>
class Closing {
 public:
  explicit Closing(Queues&... queues) : queues_(queues...) {}
  ~Closing() {
    std::apply([](auto&... queues) { (queues.close(), ...); }, queues_);
  }
  Closing(const Closing&) = delete;
  Closing& operator=(const Closing&) = delete;

 private:
  std::tuple<Queues&...> queues_;
};

}  // namespace unet

#endif
