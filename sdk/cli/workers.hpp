#pragma once

#include "contact.hpp"
#include "core/error.hpp"
#include "options.hpp"
#include "output.hpp"
#include "ron/client.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ron::cli {

/// Does a list of jobs with a few connections side by side. A job is anything with a member
/// `std::optional<core::error> error`, which is set when it failed.
template <class Job>
class workers {
public:
  workers(const target& t, std::vector<Job>& jobs) : target_(t), jobs_(jobs) {}

  /// Calls `work(client, job)` once for each job, on `count` threads; returns when all are done.
  template <class F>
  void run(std::size_t count, F work) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < std::min(count, jobs_.size()); ++i)
      threads.emplace_back([this, &work] { loop(work); });
    for (auto& t : threads)
      t.join();
  }

private:
  Job* next() {
    std::lock_guard guard{mutex_};
    return at_ < jobs_.size() ? &jobs_[at_++] : nullptr;
  }

  template <class F>
  void loop(F& work) {
    std::optional<sdk::client> client;
    while (auto* job = next()) {
      if (!client) {
        auto c = connect(target_);
        if (!c) {
          job->error = c.error();
          continue;
        }
        client.emplace(std::move(*c));
      }
      core::result<void> ok = work(*client, *job);
      if (ok)
        continue;
      job->error = ok.error();
      if (exit_code_of(ok.error().code) == exit_unavailable)
        client.reset(); // the connection may be gone; the next job tries a new one
    }
  }

  const target& target_;
  std::vector<Job>& jobs_;
  std::mutex mutex_;
  std::size_t at_ = 0;
};

} // namespace ron::cli
