#include "index/cache.hpp"

#include <algorithm>

namespace ron::index {

name_cache::stripe& name_cache::at(std::string_view name) noexcept {
  return stripes_[std::hash<std::string_view>{}(name) % stripes];
}

void name_cache::set_limits(const cache_limits& limits) {
  for (auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    s.limits = limits;
    if (limits.entries_max != 0)
      s.limits.entries_max = std::max<std::size_t>(limits.entries_max / stripes, 1);
    s.by_name.clear();
    s.recent.clear();
  }
}

std::optional<cached_name> name_cache::find(std::string_view name, core::boot_instant now,
                                            ticket& t) {
  auto& s = at(name);
  std::lock_guard guard{s.mutex};
  t = s.generation;
  auto i = s.by_name.find(name);
  if (i == s.by_name.end() || i->second->expires <= now) {
    ++s.misses;
    return std::nullopt;
  }
  ++s.hits;
  s.recent.splice(s.recent.begin(), s.recent, i->second);
  return i->second->value;
}

void name_cache::put(std::string_view name, cached_name value, core::boot_instant now, ticket t) {
  auto& s = at(name);
  std::lock_guard guard{s.mutex};
  if (t != s.generation || s.limits.entries_max == 0)
    return;
  auto life = value.record ? s.limits.ttl : s.limits.negative_ttl;
  if (value.record && value.record->ttl_s != 0)
    life = std::min<std::chrono::milliseconds>(life, std::chrono::seconds{value.record->ttl_s});
  if (auto i = s.by_name.find(name); i != s.by_name.end()) {
    i->second->value = std::move(value);
    i->second->expires = now + life;
    s.recent.splice(s.recent.begin(), s.recent, i->second);
    return;
  }
  if (s.recent.size() >= s.limits.entries_max) {
    s.by_name.erase(s.recent.back().name);
    s.recent.pop_back();
  }
  s.recent.push_front({std::string{name}, std::move(value), now + life});
  s.by_name.emplace(s.recent.front().name, s.recent.begin());
}

void name_cache::drop(std::string_view name) {
  auto& s = at(name);
  std::lock_guard guard{s.mutex};
  ++s.generation;
  if (auto i = s.by_name.find(name); i != s.by_name.end()) {
    auto gone = i->second;
    s.by_name.erase(i);
    s.recent.erase(gone);
  }
}

std::size_t name_cache::size() const {
  std::size_t n = 0;
  for (const auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    n += s.recent.size();
  }
  return n;
}

std::uint64_t name_cache::hits() const noexcept {
  std::uint64_t n = 0;
  for (const auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    n += s.hits;
  }
  return n;
}

std::uint64_t name_cache::misses() const noexcept {
  std::uint64_t n = 0;
  for (const auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    n += s.misses;
  }
  return n;
}

} // namespace ron::index
