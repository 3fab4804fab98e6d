#include "omnigate/rate.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace ron::omnigate {

namespace {

constexpr gcra::nanos second = 1'000'000'000;
constexpr gcra::nanos sweep_every = second / 10;

} // namespace

gcra::nanos gcra::take(nanos& tat, nanos now, rate_limit limit) noexcept {
  if (limit.per_second == 0)
    return 0;
  const nanos interval = second / limit.per_second;
  const nanos tolerance = interval * (std::max<std::uint32_t>(limit.burst, 1) - 1);
  const nanos start = std::max(tat, now);
  if (start - now > tolerance)
    return start - now - tolerance;
  tat = start + interval;
  return 0;
}

gcra::nanos shared_bucket::take(gcra::nanos now) noexcept {
  const auto limit = limit_.load(std::memory_order_relaxed);
  auto seen = tat_.load(std::memory_order_relaxed);
  for (;;) {
    auto next = seen;
    if (auto wait = gcra::take(next, now, limit); wait > 0 || next == seen)
      return wait;
    if (tat_.compare_exchange_weak(seen, next, std::memory_order_relaxed))
      return 0;
  }
}

keyed_buckets::keyed_buckets(rate_limit limit, std::size_t keys_max)
  : limit_(limit), per_stripe_(std::max<std::size_t>(keys_max / stripes, 1)) {
  // nop
}

gcra::nanos keyed_buckets::take(std::string_view key, gcra::nanos now) {
  const auto limit = limit_.load(std::memory_order_relaxed);
  if (limit.per_second == 0)
    return 0;
  auto& s = stripes_[hash{}(key) % stripes];
  std::lock_guard guard{s.mutex};
  if (auto i = s.tat.find(key); i != s.tat.end())
    return gcra::take(i->second, now, limit);
  if (s.tat.size() >= per_stripe_ && now >= s.next_sweep) {
    std::erase_if(s.tat, [now](const auto& entry) { return entry.second <= now; });
    s.next_sweep = now + sweep_every;
  }
  if (s.tat.size() >= per_stripe_)
    return gcra::take(s.overflow, now, limit);
  return gcra::take(s.tat.emplace(std::string{key}, 0).first->second, now, limit);
}

std::size_t keyed_buckets::size() const {
  std::size_t n = 0;
  for (const auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    n += s.tat.size();
  }
  return n;
}

std::string address_key(std::string_view peer) {
  auto colon = peer.rfind(':');
  auto host = std::string{peer.substr(0, colon)};
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1)
    return host;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    char text[INET_ADDRSTRLEN];
    return inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text) ? text : host;
  }
  std::fill(std::begin(v6.s6_addr) + 7, std::end(v6.s6_addr), std::uint8_t{0});
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(AF_INET6, &v6, text, sizeof text) ? std::string{text} + "/56" : host;
}

} // namespace ron::omnigate
