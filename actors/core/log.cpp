#include "core/log.hpp"

#include "core/log_format.hpp"
#include "core/log_sink.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <shared_mutex>

namespace ron::core::log {

namespace {

/// The limiter of one place in the code: a token bucket as one number, the time at which the
/// bucket will be full again.
struct site {
  std::atomic<std::uint64_t> key{0}; ///< 0 = free
  std::atomic<const char*> file{nullptr};
  std::atomic<std::uint32_t> line{0};
  std::atomic<std::int64_t> full_at_ns{0};
  std::atomic<std::uint32_t> suppressed{0};
};

constexpr std::size_t site_count = 1'024; ///< more places than that share limiters

struct state {
  std::array<site, site_count> sites;
  std::atomic<std::int64_t> interval_ns{100'000'000}; ///< a token per; 0 = no limit
  std::atomic<std::int64_t> depth_ns{2'000'000'000};  ///< interval x burst
  std::atomic<std::uint64_t> lines{0};
  std::atomic<std::uint64_t> suppressed{0};
  std::atomic<std::uint64_t> dropped_before{0}; ///< by sinks replaced since

  std::shared_mutex mutex; ///< of the members below; held shared while a line is written
  std::unique_ptr<line_sink> sink = std::make_unique<line_sink>(2);
  log::format format = format::automatic;
  system_clock own_clock;
  const clock* time = &own_clock;
};

/// Never destroyed: threads may log until the process ends.
state& st() {
  static auto* s = new state;
  return *s;
}

std::uint64_t key_of(const std::source_location& where) noexcept {
  auto h = reinterpret_cast<std::uintptr_t>(where.file_name()) * 0x9e3779b97f4a7c15u;
  h ^= (static_cast<std::uint64_t>(where.line()) << 16 | where.column()) * 0xff51afd7ed558ccdu;
  h ^= h >> 32;
  return h | 1;
}

site& site_of(state& s, const std::source_location& where) noexcept {
  constexpr std::size_t probes_max = 16;
  auto key = key_of(where);
  for (std::size_t i = 0; i < probes_max; ++i) {
    auto& x = s.sites[((key >> 1) + i) & (site_count - 1)];
    auto seen = x.key.load(std::memory_order_relaxed);
    if (seen == 0 && x.key.compare_exchange_strong(seen, key, std::memory_order_relaxed)) {
      x.file.store(where.file_name(), std::memory_order_relaxed);
      x.line.store(where.line(), std::memory_order_relaxed);
      return x;
    }
    if (seen == key)
      return x;
  }
  return s.sites[(key >> 1) & (site_count - 1)];
}

bool take_token(state& s, site& x, std::int64_t now_ns) noexcept {
  auto interval = s.interval_ns.load(std::memory_order_relaxed);
  if (interval == 0)
    return true;
  auto depth = s.depth_ns.load(std::memory_order_relaxed);
  auto full_at = x.full_at_ns.load(std::memory_order_relaxed);
  for (;;) {
    auto next = std::max(full_at, now_ns) + interval;
    if (next - now_ns > depth)
      return false;
    if (x.full_at_ns.compare_exchange_weak(full_at, next, std::memory_order_relaxed))
      return true;
  }
}

/// `s.mutex` is held, shared.
void put(state& s, const record& r) {
  bool text = s.format == format::text || (s.format == format::automatic && s.sink->terminal());
  if (s.sink->write(text ? format_text(r) : format_json(r)))
    s.lines.fetch_add(1, std::memory_order_relaxed);
}

std::string_view file_only(const char* path) noexcept {
  std::string_view p{path};
  auto actors = p.rfind("actors/");
  return actors == p.npos ? p.substr(p.rfind('/') + 1) : p.substr(actors);
}

} // namespace

void configure(const options& o) {
  auto& s = st();
  for (std::size_t i = 0; i < components.size(); ++i) {
    auto own = o.levels.find(components[i]);
    detail::levels[i].least.store(own == o.levels.end() ? o.least : own->second,
                                  std::memory_order_relaxed);
  }
  auto interval = o.rate == 0 ? 0 : std::int64_t{1'000'000'000} / o.rate;
  s.interval_ns.store(interval, std::memory_order_relaxed);
  s.depth_ns.store(interval * std::max<std::uint32_t>(o.burst, 1), std::memory_order_relaxed);
  auto sink = std::make_unique<line_sink>(o.fd);
  std::unique_lock guard{s.mutex};
  s.dropped_before.fetch_add(s.sink->dropped(), std::memory_order_relaxed);
  s.sink = std::move(sink);
  s.format = o.format;
  s.time = o.time != nullptr ? o.time : &s.own_clock;
}

bool set_level(std::string_view component_name, level least) noexcept {
  auto i = std::ranges::find(components, component_name);
  if (i == components.end())
    return false;
  detail::levels[static_cast<std::size_t>(i - components.begin())].least.store(
    least, std::memory_order_relaxed);
  return true;
}

level level_of(component c) noexcept {
  return detail::levels[c.index()].least.load(std::memory_order_relaxed);
}

counters stats() noexcept {
  auto& s = st();
  std::shared_lock guard{s.mutex};
  return {s.lines.load(std::memory_order_relaxed), s.suppressed.load(std::memory_order_relaxed),
          s.dropped_before.load(std::memory_order_relaxed) + s.sink->dropped()};
}

void report_suppressed() {
  auto& s = st();
  std::shared_lock guard{s.mutex};
  for (auto& x : s.sites) {
    auto n = x.suppressed.exchange(0, std::memory_order_relaxed);
    const auto* file = x.file.load(std::memory_order_relaxed);
    if (n == 0 || file == nullptr)
      continue;
    auto place
      = std::string{file_only(file)} + ':' + std::to_string(x.line.load(std::memory_order_relaxed));
    const field values[] = {{"place", place}};
    put(s, {.wall_ms = s.time->wall_ms(),
            .severity = level::warn,
            .component = "core",
            .message = "log lines left out",
            .values = values,
            .suppressed = n});
  }
}

void detail::write(component c, level l, std::string_view message, fields fs,
                   std::source_location where) {
  if (l >= level::off)
    return;
  auto& s = st();
  std::shared_lock guard{s.mutex};
  auto& x = site_of(s, where);
  auto now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                  s.time->now().time_since_epoch())
                  .count();
  if (!take_token(s, x, now_ns)) {
    x.suppressed.fetch_add(1, std::memory_order_relaxed);
    s.suppressed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  put(s, {.wall_ms = s.time->wall_ms(),
          .severity = l,
          .component = c.name(),
          .message = message,
          .values = {fs.begin(), fs.size()},
          .suppressed = x.suppressed.exchange(0, std::memory_order_relaxed)});
}

} // namespace ron::core::log
