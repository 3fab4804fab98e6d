#pragma once

#include "storage/backend.hpp"

#include <atomic>
#include <cstdint>

namespace ron::storage {

/// What both back ends count. Any thread.
struct counters {
  std::atomic<std::uint64_t> objects{0};
  std::atomic<std::uint64_t> bytes{0};    ///< of stored objects, with their overhead
  std::atomic<std::uint64_t> puts_open{0};
  std::atomic<std::uint64_t> pending{0};  ///< bytes added and not yet stored
  std::atomic<std::uint64_t> puts{0};
  std::atomic<std::uint64_t> puts_failed{0};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> reads_cold{0};
  std::atomic<std::uint64_t> bytes_in{0};
  std::atomic<std::uint64_t> bytes_out{0};
  std::atomic<std::uint64_t> verified{0};
  std::atomic<std::uint64_t> corrupt{0};
  std::atomic<std::uint64_t> scrubbed{0};
  std::atomic<std::uint64_t> releases_lost{0};
  std::atomic<bool> writable{true};

  static void bump(std::atomic<std::uint64_t>& x, std::uint64_t n = 1) noexcept {
    x.fetch_add(n, std::memory_order_relaxed);
  }
  static void drop(std::atomic<std::uint64_t>& x, std::uint64_t n = 1) noexcept {
    x.fetch_sub(n, std::memory_order_relaxed);
  }

  backend_load load() const noexcept {
    return {puts_open.load(std::memory_order_relaxed), pending.load(std::memory_order_relaxed)};
  }
  void fill(storage_stats& out) const noexcept {
    auto get = [](const auto& x) { return x.load(std::memory_order_relaxed); };
    out.objects = get(objects);
    out.bytes = get(bytes);
    out.puts_open = get(puts_open);
    out.pending_bytes = get(pending);
    out.puts = get(puts);
    out.puts_failed = get(puts_failed);
    out.reads = get(reads);
    out.reads_cold = get(reads_cold);
    out.bytes_in = get(bytes_in);
    out.bytes_out = get(bytes_out);
    out.verified = get(verified);
    out.corrupt = get(corrupt);
    out.scrubbed = get(scrubbed);
    out.releases_lost = get(releases_lost);
    out.writable = writable.load(std::memory_order_relaxed);
  }
};

} // namespace ron::storage
