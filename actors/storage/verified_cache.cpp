#include "storage/verified_cache.hpp"

#include <utility>

namespace ron::storage {

verified_cache::verified_cache(std::uint64_t bytes_max, std::size_t piece_bytes)
  : piece_bytes_(piece_bytes) {
  set_max(bytes_max);
}

std::size_t verified_cache::place_hash::operator()(const place& p) const noexcept {
  // Both numbers are ours, so nobody can choose collisions; the finaliser of SplitMix64 mixes them.
  auto x = p.object * 0x9E3779B97F4A7C15u + p.group;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return static_cast<std::size_t>(x ^ (x >> 31));
}

std::optional<core::bytes> verified_cache::find(std::uint64_t object, std::uint64_t group) {
  place at{object, group};
  auto& s = stripe_of(at);
  std::lock_guard guard{s.mutex};
  auto i = s.entries.find(at);
  if (i == s.entries.end()) {
    ++s.misses;
    return std::nullopt;
  }
  ++s.hits;
  s.order.splice(s.order.begin(), s.order, i->second);
  return i->second->data;
}

void verified_cache::put(std::uint64_t object, std::uint64_t group, const core::bytes& data) {
  auto cost = data.size() + entry_bytes;
  place at{object, group};
  auto& s = stripe_of(at);
  std::lock_guard guard{s.mutex};
  const auto share = bytes_max_.load(std::memory_order_relaxed) / stripes; // `set_max` locks later
  if (cost > share || s.entries.contains(at))
    return;
  if (!seen_before(s, place_hash{}(at))) {
    ++s.passed;
    return;
  }
  s.order.push_front({at, data});
  s.entries.emplace(at, s.order.begin());
  s.bytes += cost;
  shrink(s, share);
}

bool verified_cache::seen_before(stripe& s, std::uint64_t hash) noexcept {
  if (s.seen.empty())
    return true; // too small a cache to remember anything
  return std::exchange(s.seen[hash / stripes % s.seen.size()], hash) == hash;
}

void verified_cache::shrink(stripe& s, std::uint64_t share) {
  while (s.bytes > share) {
    auto& oldest = s.order.back();
    s.bytes -= oldest.data.size() + entry_bytes;
    s.entries.erase(oldest.at);
    s.order.pop_back();
    ++s.evicted;
  }
}

void verified_cache::set_max(std::uint64_t bytes_max) {
  bytes_max_.store(bytes_max, std::memory_order_relaxed);
  const auto share = bytes_max / stripes;
  for (auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    shrink(s, share);
    s.seen.assign(share / piece_bytes_ * seen_per_piece, 0);
    s.seen.shrink_to_fit();
  }
}

cache_stats verified_cache::stats() const {
  cache_stats out;
  out.bytes_max = bytes_max_.load(std::memory_order_relaxed);
  for (const auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    out.hits += s.hits;
    out.misses += s.misses;
    out.evicted += s.evicted;
    out.passed += s.passed;
    out.bytes += s.bytes;
    out.groups += s.entries.size();
  }
  return out;
}

} // namespace ron::storage
