#include "core/actor/helper_pool.hpp"

#include <pthread.h>

#include <algorithm>

namespace ron::core {

helper_pool::helper_pool(std::string name, std::size_t threads, std::size_t bound)
  : name_(name.substr(0, 15)), bound_(std::max<std::size_t>(1, bound)) {
  for (std::size_t i = 0; i < std::max<std::size_t>(1, threads); ++i)
    threads_.emplace_back([this] { work_loop(); });
}

helper_pool::~helper_pool() {
  stop();
}

bool helper_pool::submit(job work) {
  std::lock_guard guard{mutex_};
  if (stopping_ || queue_.size() >= bound_) {
    ++refused_;
    return false;
  }
  queue_.push_back(std::move(work));
  high_water_ = std::max(high_water_, queue_.size());
  wake_.notify_one();
  return true;
}

void helper_pool::work_loop() {
  ::pthread_setname_np(::pthread_self(), name_.c_str());
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty())
      return;
    {
      auto work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
    } // its captures end here, without the lock
    lock.lock();
    ++done_;
  }
}

void helper_pool::stop() {
  {
    std::lock_guard guard{mutex_};
    stopping_ = true;
    wake_.notify_all();
  }
  for (auto& thread : threads_)
    if (thread.joinable())
      thread.join();
}

helper_pool_stats helper_pool::stats() const {
  std::lock_guard guard{mutex_};
  return {.threads = threads_.size(),
          .bound = bound_,
          .waiting = queue_.size(),
          .high_water = high_water_,
          .done = done_,
          .refused = refused_};
}

} // namespace ron::core
