#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace ron::omnigate {

/// A rate with a burst: `per_second` requests on average, `burst` at once. 0 a second = no limit.
struct rate_limit {
  std::uint32_t per_second = 0;
  std::uint32_t burst = 0;
  bool operator==(const rate_limit&) const = default;
};
static_assert(std::atomic<rate_limit>::is_always_lock_free);

/// One token bucket as a single number: the theoretical arrival time of the generic cell rate
/// algorithm (ITU-T I.371). The bucket is full when that time lies in the past, so an idle bucket
/// holds no information and may be forgotten.
class gcra {
public:
  using nanos = std::int64_t; ///< monotonic, any origin

  /// Takes one token from the bucket whose state is `tat`.
  /// Returns 0 when granted (and advances `tat`), else the nanoseconds until a token is there.
  static nanos take(nanos& tat, nanos now, rate_limit limit) noexcept;
};

/// A bucket shared by all shards: one atomic, no lock. Any thread.
class shared_bucket {
public:
  explicit shared_bucket(rate_limit limit) noexcept : limit_(limit) {}
  /// Another limit from now on; what was taken before counts as much time as it did then.
  void set(rate_limit limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }
  /// As `gcra::take`; always 0 when there is no limit.
  gcra::nanos take(gcra::nanos now) noexcept;

private:
  std::atomic<rate_limit> limit_;
  alignas(64) std::atomic<gcra::nanos> tat_{0};
};

/// A bucket per key (caller or address), bounded: at most `keys_max` are remembered. When a new
/// key finds no room, buckets that are full again are forgotten first; if none is, the newcomers
/// share one bucket, so that a flood of keys is limited as one caller. Any thread.
class keyed_buckets {
public:
  keyed_buckets(rate_limit limit, std::size_t keys_max);
  /// As `shared_bucket::set`, for each key.
  void set(rate_limit limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }
  gcra::nanos take(std::string_view key, gcra::nanos now);
  /// Keys remembered now; never above `keys_max`.
  std::size_t size() const;

private:
  static constexpr std::size_t stripes = 16; ///< locks; a power of two
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept {
      return std::hash<std::string_view>{}(s);
    }
  };
  struct alignas(64) stripe {
    mutable std::mutex mutex;
    std::unordered_map<std::string, gcra::nanos, hash, std::equal_to<>> tat;
    gcra::nanos overflow = 0;     ///< the shared bucket of keys without a place
    gcra::nanos next_sweep = 0;   ///< sweeping costs a walk: at most ten times a second
  };

  std::atomic<rate_limit> limit_;
  std::size_t per_stripe_;
  std::array<stripe, stripes> stripes_;
};

/// The part of an address that counts as one caller: an IPv4 address, or the /56 of an IPv6 one
/// (a household gets a /56, so a /128 would be no limit at all). `peer` is "address:port" or
/// "[address]:port"; what cannot be parsed counts as itself.
std::string address_key(std::string_view peer);

} // namespace ron::omnigate
