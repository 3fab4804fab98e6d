#pragma once

#include "core/metrics.hpp"
#include "transport/tor/unavailable.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace ron::core::metrics {

template <>
inline constexpr std::size_t label_count<transport::tor::trouble> = transport::tor::trouble_count;

} // namespace ron::core::metrics

namespace ron::transport::tor {

/// How the onion service stands, for readiness, metrics and people. One writer, any reader, any
/// thread.
class onion_status {
public:
  explicit onion_status(core::metrics::registry& registry);

  /// 0..100: how far the daemon has got with finding its network; 0 without a daemon.
  std::uint32_t bootstrap() const noexcept { return bootstrap_.load(std::memory_order_relaxed); }
  bool is_published() const noexcept { return published_.load(std::memory_order_relaxed); }
  /// "<56 letters>.onion:port"; empty before it was published for the first time.
  std::string address() const;
  /// Why it is not published, if something went wrong since it was.
  std::optional<unavailable> failure() const;

  // -- the actor ---------------------------------------------------------------------
  void set(std::uint32_t bootstrap, bool published, const std::string& address);
  void fail(const unavailable& why);

private:
  std::atomic<std::uint32_t> bootstrap_{0};
  std::atomic<bool> published_{false};
  mutable std::mutex mutex_;
  std::string address_;
  std::optional<unavailable> failure_;
  core::metrics::callback bootstrap_shown_;
  core::metrics::callback published_shown_;
  core::metrics::counter<trouble> failures_;
};

} // namespace ron::transport::tor
