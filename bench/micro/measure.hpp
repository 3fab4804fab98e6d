#pragma once

#include "allocations.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ron::bench {

/// What one call of a case does.
struct work_done {
  std::size_t operations = 1;
  std::size_t bytes = 0;
};

using sample_clock = std::chrono::steady_clock;

inline double ns_of(sample_clock::duration d) {
  return std::chrono::duration<double, std::nano>(d).count();
}

/// The value below which `percent` of `values` lie; sorts them.
inline double percentile(std::vector<double>& values, unsigned percent) {
  if (values.empty())
    return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, values.size() * percent / 100)];
}

/// Calls that take at least this long together are one batch: the clock (about 50 ns for the two
/// readings) is then a quarter of a percent of what it measures.
constexpr auto batch_min = std::chrono::microseconds{20};

template <class F>
std::size_t calls_per_batch(F& call) {
  for (std::size_t n = 1;; n *= 2) {
    const auto start = sample_clock::now();
    for (std::size_t i = 0; i < n; ++i)
      call();
    if (sample_clock::now() - start >= batch_min)
      return n;
  }
}

/// Runs `call` as the body of a benchmark. An iteration of google-benchmark is a batch. Reported:
///   items_per_second, bytes_per_second   operations and bytes of all batches over the time of all
///   p50_ns, p95_ns                       of the batches, each as its mean time per operation
///   allocs                               heap allocations per operation, counted exactly
/// A percentile of batches is smoother than one of single operations would be: a stall of the
/// machine shows in p95, a slow operation among fast ones does not. `per_call` is what one call
/// does.
template <class F>
void measure(benchmark::State& state, work_done per_call, F call) {
  const auto calls = calls_per_batch(call);
  const auto per_batch = static_cast<double>(calls * per_call.operations);
  std::vector<double> times;
  times.reserve(static_cast<std::size_t>(state.max_iterations));
  const auto before = allocations();
  for (auto _ : state) {
    const auto start = sample_clock::now();
    for (std::size_t i = 0; i < calls; ++i)
      call();
    times.push_back(ns_of(sample_clock::now() - start) / per_batch);
  }
  const auto allocated = static_cast<double>(allocations() - before);
  const auto batches = static_cast<double>(times.size());
  const auto total = static_cast<std::int64_t>(calls * times.size());
  state.SetItemsProcessed(total * static_cast<std::int64_t>(per_call.operations));
  state.SetBytesProcessed(total * static_cast<std::int64_t>(per_call.bytes));
  state.counters["allocs"] = batches == 0 ? 0 : allocated / (batches * per_batch);
  state.counters["p50_ns"] = percentile(times, 50);
  state.counters["p95_ns"] = percentile(times, 95);
}

} // namespace ron::bench
