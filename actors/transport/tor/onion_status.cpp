#include "transport/tor/onion_status.hpp"

namespace ron::transport::tor {

onion_status::onion_status(core::metrics::registry& registry)
    : bootstrap_shown_(registry, core::metrics::kind::gauge, "tor_bootstrap_progress",
                       "How far the tor daemon has got with finding its network, percent",
                       [this] { return static_cast<double>(bootstrap()); }),
      published_shown_(registry, core::metrics::kind::gauge, "tor_hs_published",
                       "1 while the onion service's descriptor is published",
                       [this] { return is_published() ? 1.0 : 0.0; }),
      failures_(registry, "tor_control_failures_total",
                "Connections to the tor daemon's control port that failed", {"reason"}) {
  // nop
}

std::string onion_status::address() const {
  std::lock_guard guard{mutex_};
  return address_;
}

std::optional<unavailable> onion_status::failure() const {
  std::lock_guard guard{mutex_};
  return failure_;
}

void onion_status::set(std::uint32_t bootstrap, bool published, const std::string& address) {
  bootstrap_.store(bootstrap, std::memory_order_relaxed);
  published_.store(published, std::memory_order_relaxed);
  if (!published)
    return;
  std::lock_guard guard{mutex_};
  address_ = address;
  failure_.reset();
}

void onion_status::fail(const unavailable& why) {
  bootstrap_.store(0, std::memory_order_relaxed);
  published_.store(false, std::memory_order_relaxed);
  failures_.add(why.why);
  std::lock_guard guard{mutex_};
  failure_ = why;
}

} // namespace ron::transport::tor
