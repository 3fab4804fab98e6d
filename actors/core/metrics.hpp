#pragma once

#include "core/clock.hpp"
#include "core/error.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

/// Counters, gauges and histograms of a node.
///
/// Labels are enumerations with a fixed number of values, so that no request can make a series:
/// all series of a family exist at 0 from the start and there are never more. Declare families as
/// members of a struct that is built once with the node's registry:
///
///     struct metrics {
///       explicit metrics(core::metrics::registry& r)
///         : rejected{r, "rejected_total", "Requests refused.", {"reason"}} {}
///       core::metrics::counter<core::reject_reason> rejected;
///     };
///
/// Counting takes no lock: each thread adds to a row of its own, a scrape sums the rows. Handles
/// are used from any thread and do not outlive the registry.
namespace ron::core::metrics {

/// Number of values of a label enumeration, which also has `to_string`. Specialise it next to the
/// enumeration: `template <> inline constexpr std::size_t label_count<route> = route_count;`
template <class E>
inline constexpr std::size_t label_count = 0;

template <>
inline constexpr std::size_t label_count<reject_reason> = reject_reason_count;

template <class E>
concept label = std::is_enum_v<E> && (label_count<E> > 0) && requires(E e) {
  { to_string(e) } -> std::convertible_to<std::string_view>;
};

inline constexpr std::size_t series_max = 4'096;     ///< of one family
inline constexpr std::size_t families_max = 1'024;   ///< of one registry
inline constexpr std::size_t rows_max = 64;          ///< threads that count without sharing

/// Seconds, 10 us to 10 s.
std::span<const double> latency_buckets() noexcept;
/// Seconds, 1 us to 1 s: work of the processor alone.
std::span<const double> fine_buckets() noexcept;

/// A label and its values.
struct dimension {
  std::string name;
  std::vector<std::string> values;
  bool operator==(const dimension&) const = default;
};

/// `updown` is summed over threads, `gauge` is what was set last.
enum class kind : std::uint8_t { counter, updown, gauge, histogram };

/// Everything that is said about a family when it is declared.
struct descriptor {
  metrics::kind kind = kind::counter;
  std::string name;
  std::string help;
  std::vector<dimension> labels;
  std::vector<double> bounds; ///< of a histogram, rising, in the unit of its name
  double scale = 1;           ///< a histogram's unit per tick observed, e.g. 1e-9 for ns -> s
  bool operator==(const descriptor&) const = default;
};

namespace detail {

inline std::atomic<unsigned> threads_seen{0};
inline constexpr unsigned unknown_thread = ~0u;
inline thread_local unsigned thread_row = unknown_thread;

inline unsigned row_of_thread() noexcept {
  if (thread_row == unknown_thread) [[unlikely]]
    thread_row = threads_seen.fetch_add(1, std::memory_order_relaxed);
  return thread_row;
}

/// Cells in rows; a row never shares a cache line with another.
class cell_rows {
public:
  /// `rows` is a power of two.
  cell_rows(std::size_t cells, std::size_t rows);

  void add(std::size_t i, std::uint64_t n) noexcept {
    cell(row_of_thread() & mask_, i).fetch_add(n, std::memory_order_relaxed);
  }
  /// Only for families with one row.
  void set(std::size_t i, std::uint64_t v) noexcept {
    cell(0, i).store(v, std::memory_order_relaxed);
  }
  /// Over all rows; wraps as unsigned numbers do.
  std::uint64_t sum(std::size_t i) const noexcept;

private:
  struct alignas(64) line {
    std::atomic<std::uint64_t> cells[8];
  };
  std::atomic<std::uint64_t>& cell(std::size_t r, std::size_t i) const noexcept {
    return lines_[r * lines_per_row_ + i / 8].cells[i % 8];
  }
  std::size_t lines_per_row_;
  std::size_t mask_;
  std::unique_ptr<line[]> lines_;
};

/// A declared family. Owned by the registry.
struct family {
  family(descriptor d, std::size_t rows);
  descriptor about;
  std::size_t series;
  std::size_t cells_per_series; ///< histogram: one for each bound, one above, one for the sum
  std::vector<std::uint64_t> bounds_ticks;
  cell_rows cells;
};

template <label... Es>
inline constexpr std::size_t combinations = (std::size_t{1} * ... * label_count<Es>);

template <label... Es>
std::size_t index_of(Es... es) noexcept {
  std::size_t i = 0;
  ((i = i * label_count<Es> + static_cast<std::size_t>(es)), ...);
  return i;
}

template <label... Es>
std::vector<dimension> dimensions(const std::array<std::string_view, sizeof...(Es)>& names) {
  std::vector<dimension> out;
  [[maybe_unused]] auto add = [&]<class E>(std::type_identity<E>) {
    dimension d{std::string{names[out.size()]}, {}};
    for (std::size_t v = 0; v < label_count<E>; ++v)
      d.values.emplace_back(to_string(static_cast<E>(v)));
    out.push_back(std::move(d));
  };
  (add(std::type_identity<Es>{}), ...);
  return out;
}

} // namespace detail

/// All families of a node and their text form. Built first, destroyed last; passed by reference.
class registry {
public:
  registry();
  registry(const registry&) = delete;
  registry& operator=(const registry&) = delete;
  ~registry();

  /// The text exposition format of Prometheus, version 0.0.4. Any thread; takes a lock that
  /// counting does not take.
  std::string expose() const;

  /// Moves the windows of `window_quantile`. To be called once a second; any thread.
  void tick(instant now);

  /// Names of all families, in order of declaration.
  std::vector<std::string> names() const;
  /// Number of series that `expose` would show; a histogram counts as one for each label value.
  std::size_t series() const;

  /// What handles are made of. Declaring the same again gives the same family; declaring another
  /// one under a name in use, an illegal name or label, or too much throws std::logic_error,
  /// which is a bug of the caller and ends the start of the node.
  detail::family& declare(descriptor d);

private:
  friend class callback;
  friend class window_quantile;
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Goes up. `counter<>` has no labels.
template <label... Es>
class counter {
public:
  using names = std::array<std::string_view, sizeof...(Es)>;
  static_assert(detail::combinations<Es...> <= series_max);

  counter(registry& r, std::string_view name, std::string_view help, names labels = {})
    : family_(r.declare({.kind = kind::counter,
                         .name = std::string{name},
                         .help = std::string{help},
                         .labels = detail::dimensions<Es...>(labels),
                         .bounds = {}})) {
    // nop
  }
  void add(Es... es) noexcept { family_.cells.add(detail::index_of(es...), 1); }
  void add_n(std::uint64_t n, Es... es) noexcept {
    family_.cells.add(detail::index_of(es...), n);
  }
  std::uint64_t value(Es... es) const noexcept {
    return family_.cells.sum(detail::index_of(es...));
  }

private:
  detail::family& family_;
};

/// Goes up and down by steps, from any thread: things that are open, in flight, queued.
template <label... Es>
class updown {
public:
  using names = std::array<std::string_view, sizeof...(Es)>;
  static_assert(detail::combinations<Es...> <= series_max);

  updown(registry& r, std::string_view name, std::string_view help, names labels = {})
    : family_(r.declare({.kind = kind::updown,
                         .name = std::string{name},
                         .help = std::string{help},
                         .labels = detail::dimensions<Es...>(labels),
                         .bounds = {}})) {
    // nop
  }
  void add(Es... es) noexcept { family_.cells.add(detail::index_of(es...), 1); }
  void sub(Es... es) noexcept { family_.cells.add(detail::index_of(es...), ~std::uint64_t{0}); }
  void add_n(std::int64_t n, Es... es) noexcept {
    family_.cells.add(detail::index_of(es...), static_cast<std::uint64_t>(n));
  }
  std::int64_t value(Es... es) const noexcept {
    return static_cast<std::int64_t>(family_.cells.sum(detail::index_of(es...)));
  }

private:
  detail::family& family_;
};

/// Is set: a ratio, a window, a size. The last writer wins.
template <label... Es>
class gauge {
public:
  using names = std::array<std::string_view, sizeof...(Es)>;
  static_assert(detail::combinations<Es...> <= series_max);

  gauge(registry& r, std::string_view name, std::string_view help, names labels = {})
    : family_(r.declare({.kind = kind::gauge,
                         .name = std::string{name},
                         .help = std::string{help},
                         .labels = detail::dimensions<Es...>(labels),
                         .bounds = {}})) {
    // nop
  }
  void set(double v, Es... es) noexcept {
    family_.cells.set(detail::index_of(es...), std::bit_cast<std::uint64_t>(v));
  }
  double value(Es... es) const noexcept {
    return std::bit_cast<double>(family_.cells.sum(detail::index_of(es...)));
  }

private:
  detail::family& family_;
};

/// The part of a histogram that does not depend on its labels.
class histogram_base {
public:
  /// Observations of one series so far.
  std::uint64_t count_at(std::size_t series) const noexcept;
  /// Their sum, in ticks.
  std::uint64_t sum_at(std::size_t series) const noexcept;

protected:
  histogram_base(registry& r, descriptor d) : family_(r.declare(std::move(d))) {
    // nop
  }
  void observe_at(std::size_t series, std::uint64_t ticks) noexcept;

private:
  friend class window_quantile;
  detail::family& family_;
};

/// How often values fell where. Of times: in seconds, or in milliseconds if the name ends in
/// `_ms`. Of other things: their own unit.
template <label... Es>
class histogram : public histogram_base {
public:
  using names = std::array<std::string_view, sizeof...(Es)>;
  static_assert(detail::combinations<Es...> <= series_max);

  /// Times. `bounds` in the unit of the name.
  histogram(registry& r, std::string_view name, std::string_view help, names labels = {},
            std::span<const double> bounds = latency_buckets())
    : histogram(r, name, help, labels, bounds, name.ends_with("_ms") ? 1e-6 : 1e-9) {
    // nop
  }
  /// Anything: `scale` is the exported unit of one tick, 1 for bytes or hops.
  histogram(registry& r, std::string_view name, std::string_view help, names labels,
            std::span<const double> bounds, double scale)
    : histogram_base(r, {.kind = kind::histogram,
                         .name = std::string{name},
                         .help = std::string{help},
                         .labels = detail::dimensions<Es...>(labels),
                         .bounds = {bounds.begin(), bounds.end()},
                         .scale = scale}) {
    // nop
  }
  /// A time; negative counts as none.
  void observe(std::chrono::nanoseconds d, Es... es) noexcept {
    auto ns = d.count();
    observe_at(detail::index_of(es...), ns > 0 ? static_cast<std::uint64_t>(ns) : 0);
  }
  /// A number of ticks.
  void observe_n(std::uint64_t ticks, Es... es) noexcept {
    observe_at(detail::index_of(es...), ticks);
  }
  std::uint64_t count(Es... es) const noexcept { return count_at(detail::index_of(es...)); }
};

/// A family with one label whose values are only known when the node starts (components, actor
/// types, views of the configuration). Closed from then on; addressed by position.
class listed_counter {
public:
  listed_counter(registry& r, std::string_view name, std::string_view help, std::string_view label,
                 std::vector<std::string> values);
  /// Out of range counts nothing.
  void add(std::size_t i, std::uint64_t n = 1) noexcept {
    if (i < family_.series)
      family_.cells.add(i, n);
  }
  std::uint64_t value(std::size_t i) const noexcept { return family_.cells.sum(i); }

private:
  detail::family& family_;
};

/// As `listed_counter`, up and down.
class listed_updown {
public:
  listed_updown(registry& r, std::string_view name, std::string_view help, std::string_view label,
                std::vector<std::string> values);
  void add(std::size_t i, std::int64_t n = 1) noexcept {
    if (i < family_.series)
      family_.cells.add(i, static_cast<std::uint64_t>(n));
  }
  void sub(std::size_t i) noexcept { add(i, -1); }
  std::int64_t value(std::size_t i) const noexcept {
    return static_cast<std::int64_t>(family_.cells.sum(i));
  }

private:
  detail::family& family_;
};

/// A gauge or counter that is asked when somebody scrapes. The function runs on the scraping
/// thread while the registry is locked: it is quick, does not throw and declares nothing.
/// The family goes away with the handle.
class callback {
public:
  /// `k` is `counter` or `gauge`.
  callback(registry& r, kind k, std::string_view name, std::string_view help,
           std::function<double()> f);
  /// One label; the function gets the position of the value.
  callback(registry& r, kind k, std::string_view name, std::string_view help,
           std::string_view label, std::vector<std::string> values,
           std::function<double(std::size_t)> f);
  callback(const callback&) = delete;
  callback& operator=(const callback&) = delete;
  ~callback();

private:
  registry& registry_;
  std::string name_;
};

namespace detail {
struct quantile_window;
}

/// A gauge with a quantile of what a histogram observed in the last 60 s, all its series
/// together. Moves with `registry::tick`; 0 while there was nothing.
class window_quantile {
public:
  static constexpr std::chrono::seconds window{60};

  window_quantile(registry& r, std::string_view name, std::string_view help,
                  const histogram_base& of, double quantile = 0.95);
  window_quantile(const window_quantile&) = delete;
  window_quantile& operator=(const window_quantile&) = delete;
  ~window_quantile();

  /// In the unit of the histogram, as of the last tick. Any thread.
  double value() const noexcept;

private:
  registry& registry_;
  std::shared_ptr<detail::quantile_window> window_;
  callback shown_;
};

/// The standard `process_*` families: memory, descriptors, processor time, start.
class process_metrics {
public:
  explicit process_metrics(registry& r);
  ~process_metrics();

private:
  struct reader;
  std::shared_ptr<reader> reader_;
  std::vector<std::unique_ptr<callback>> shown_;
};

/// What the process has of `chunk_pool`: its bound is what all that hold chunks may hold together.
class chunk_pool_metrics {
public:
  explicit chunk_pool_metrics(registry& r);

private:
  callback mapped_;
  callback used_;
};

} // namespace ron::core::metrics
