#include "core/metrics.hpp"

#include "core/chunk_pool.hpp"
#include "core/memory.hpp"

#include <prometheus/check_names.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace ron::core::metrics {

namespace {

constexpr double latency_bounds[] = {
  0.000'01, 0.000'025, 0.000'05, 0.000'1, 0.000'25, 0.000'5, 0.001, 0.002'5, 0.005, 0.01, 0.02,
  0.05,     0.08,      0.1,      0.15,    0.2,      0.5,     1,     2,       5,     10,
};
constexpr double fine_bounds[] = {
  0.000'001, 0.000'002, 0.000'005, 0.000'01, 0.000'02, 0.000'05, 0.000'1, 0.000'2, 0.000'5,
  0.001,     0.002,     0.005,     0.01,     0.02,     0.05,     0.1,     0.25,    0.5,     1,
};

/// A row for each thread that is likely to count, as a power of two.
std::size_t row_count() noexcept {
  auto threads = std::max(2u, std::thread::hardware_concurrency());
  return std::clamp<std::size_t>(std::bit_ceil(std::size_t{threads} * 2), 4, rows_max);
}

std::size_t series_of(const descriptor& d) noexcept {
  std::size_t n = 1;
  for (const auto& l : d.labels)
    n *= l.values.size();
  return n;
}

std::vector<std::uint64_t> to_ticks(const descriptor& d) {
  std::vector<std::uint64_t> out;
  for (auto b : d.bounds)
    out.push_back(static_cast<std::uint64_t>(std::llround(b / d.scale)));
  return out;
}

prometheus::MetricType type_of(kind k) noexcept {
  switch (k) {
    case kind::counter: return prometheus::MetricType::Counter;
    case kind::histogram: return prometheus::MetricType::Histogram;
    default: return prometheus::MetricType::Gauge;
  }
}

/// The label values of series `i`; the last label moves fastest.
std::vector<prometheus::ClientMetric::Label> labels_of(const descriptor& d, std::size_t i) {
  std::vector<prometheus::ClientMetric::Label> out(d.labels.size());
  for (auto l = d.labels.size(); l-- > 0;) {
    const auto& dim = d.labels[l];
    out[l] = {dim.name, dim.values[i % dim.values.size()]};
    i /= dim.values.size();
  }
  return out;
}

void fill_histogram(const detail::family& f, std::size_t series,
                    prometheus::ClientMetric::Histogram& out) {
  auto base = series * f.cells_per_series;
  for (std::size_t b = 0; b <= f.about.bounds.size(); ++b) {
    out.sample_count += f.cells.sum(base + b);
    auto bound = b < f.about.bounds.size() ? f.about.bounds[b] : HUGE_VAL;
    out.bucket.push_back({out.sample_count, bound});
  }
  out.sample_sum
    = static_cast<double>(f.cells.sum(base + f.about.bounds.size() + 1)) * f.about.scale;
}

prometheus::MetricFamily collect(const detail::family& f) {
  prometheus::MetricFamily out{f.about.name, f.about.help, type_of(f.about.kind), {}};
  for (std::size_t i = 0; i < f.series; ++i) {
    auto& m = out.metric.emplace_back();
    m.label = labels_of(f.about, i);
    switch (f.about.kind) {
      case kind::counter: m.counter.value = static_cast<double>(f.cells.sum(i)); break;
      case kind::updown:
        m.gauge.value = static_cast<double>(static_cast<std::int64_t>(f.cells.sum(i)));
        break;
      case kind::gauge: m.gauge.value = std::bit_cast<double>(f.cells.sum(i)); break;
      case kind::histogram: fill_histogram(f, i, m.histogram); break;
    }
  }
  return out;
}

void check(const descriptor& d) {
  auto refuse = [&d](const char* why) {
    throw std::logic_error{"metric \"" + d.name + "\": " + why};
  };
  if (!prometheus::CheckMetricName(d.name))
    refuse("illegal name");
  for (const auto& l : d.labels) {
    if (!prometheus::CheckLabelName(l.name))
      refuse("illegal label");
    if (l.values.empty())
      refuse("label without values");
  }
  if (series_of(d) > series_max)
    refuse("too many series");
  if ((d.kind == kind::histogram) == d.bounds.empty() || !std::ranges::is_sorted(d.bounds))
    refuse("wrong bounds");
}

} // namespace

namespace detail {

cell_rows::cell_rows(std::size_t cells, std::size_t rows)
  : lines_per_row_((cells + 7) / 8),
    mask_(rows - 1),
    lines_(std::make_unique<line[]>(lines_per_row_ * rows)) {
  // nop
}

std::uint64_t cell_rows::sum(std::size_t i) const noexcept {
  std::uint64_t out = 0;
  for (std::size_t r = 0; r <= mask_; ++r)
    out += cell(r, i).load(std::memory_order_relaxed);
  return out;
}

family::family(descriptor d, std::size_t rows)
  : about(std::move(d)),
    series(series_of(about)),
    cells_per_series(about.kind == kind::histogram ? about.bounds.size() + 2 : 1),
    bounds_ticks(to_ticks(about)),
    cells(series * cells_per_series, about.kind == kind::gauge ? 1 : rows) {
  // nop
}

/// Snapshots of a histogram's buckets over the last minute.
struct quantile_window {
  static constexpr std::chrono::seconds step{5};
  static constexpr std::size_t snapshots_max = window_quantile::window / step + 1;

  struct snapshot {
    instant at;
    std::vector<std::uint64_t> buckets;
  };

  quantile_window(const family& f, double q) : of(f), quantile(q) {
    // nop
  }

  std::vector<std::uint64_t> read() const {
    std::vector<std::uint64_t> out(of.about.bounds.size() + 1);
    for (std::size_t s = 0; s < of.series; ++s)
      for (std::size_t b = 0; b < out.size(); ++b)
        out[b] += of.cells.sum(s * of.cells_per_series + b);
    return out;
  }

  void tick(instant now) {
    auto buckets = read();
    // The base is the youngest snapshot that is a whole window old; older ones are done with.
    while (past.size() > 1 && now - past[1].at >= window_quantile::window)
      past.pop_front();
    auto recent = buckets;
    if (!past.empty())
      for (std::size_t b = 0; b < recent.size(); ++b)
        recent[b] -= past.front().buckets[b];
    value.store(quantile_of(recent), std::memory_order_relaxed);
    if (past.empty() || now - past.back().at >= step) {
      if (past.size() >= snapshots_max)
        past.pop_front();
      past.push_back({now, std::move(buckets)});
    }
  }

  /// Linear inside the bucket; the last bound for what lies above it.
  double quantile_of(const std::vector<std::uint64_t>& buckets) const noexcept {
    std::uint64_t total = 0;
    for (auto n : buckets)
      total += n;
    if (total == 0)
      return 0;
    auto rank = quantile * static_cast<double>(total);
    double below = 0;
    for (std::size_t b = 0; b < of.about.bounds.size(); ++b) {
      auto here = static_cast<double>(buckets[b]);
      if (here > 0 && below + here >= rank) {
        auto low = b == 0 ? 0.0 : of.about.bounds[b - 1];
        return low + (of.about.bounds[b] - low) * std::max(0.0, rank - below) / here;
      }
      below += here;
    }
    return of.about.bounds.back();
  }

  const family& of;
  double quantile;
  std::deque<snapshot> past; ///< oldest first
  std::atomic<double> value{0};
};

} // namespace detail

struct registry::impl final : prometheus::Collectable {
  struct asked {
    descriptor about;
    std::function<double(std::size_t)> value;
  };
  /// Declared families are kept for good, asked ones go with their handle.
  struct entry {
    std::unique_ptr<detail::family> counted;
    std::unique_ptr<asked> callback;
    const descriptor& about() const noexcept { return counted ? counted->about : callback->about; }
  };

  mutable std::mutex mutex;
  std::vector<entry> entries;
  std::vector<std::shared_ptr<detail::quantile_window>> windows;
  std::size_t rows = row_count();

  entry* find(std::string_view name) {
    auto i = std::ranges::find(entries, name, [](const entry& e) { return e.about().name; });
    return i == entries.end() ? nullptr : &*i;
  }

  void check_room() const {
    if (entries.size() >= families_max)
      throw std::logic_error{"too many metric families"};
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::lock_guard guard{mutex};
    std::vector<prometheus::MetricFamily> out;
    out.reserve(entries.size());
    for (const auto& e : entries) {
      if (e.counted) {
        out.push_back(collect(*e.counted));
        continue;
      }
      const auto& d = e.callback->about;
      auto& f = out.emplace_back(d.name, d.help, type_of(d.kind));
      for (std::size_t i = 0; i < series_of(d); ++i) {
        auto& m = f.metric.emplace_back();
        m.label = labels_of(d, i);
        (d.kind == kind::counter ? m.counter.value : m.gauge.value) = e.callback->value(i);
      }
    }
    return out;
  }

  void add(descriptor d, std::function<double(std::size_t)> f) {
    check(d);
    std::lock_guard guard{mutex};
    check_room();
    if (find(d.name) != nullptr)
      throw std::logic_error{"metric \"" + d.name + "\" is declared twice"};
    entries.push_back({nullptr, std::make_unique<asked>(std::move(d), std::move(f))});
  }

  void remove(std::string_view name) {
    std::lock_guard guard{mutex};
    std::erase_if(entries, [name](const entry& e) { return e.callback && e.about().name == name; });
  }
};

registry::registry() : impl_(std::make_unique<impl>()) {
  // nop
}

registry::~registry() = default;

detail::family& registry::declare(descriptor d) {
  check(d);
  std::lock_guard guard{impl_->mutex};
  if (auto* known = impl_->find(d.name)) {
    if (!known->counted || known->about() != d)
      throw std::logic_error{"metric \"" + d.name + "\" is declared twice and differently"};
    return *known->counted;
  }
  impl_->check_room();
  auto f = std::make_unique<detail::family>(std::move(d), impl_->rows);
  return *impl_->entries.emplace_back(std::move(f), nullptr).counted;
}

std::string registry::expose() const {
  return prometheus::TextSerializer{}.Serialize(impl_->Collect());
}

void registry::tick(instant now) {
  std::lock_guard guard{impl_->mutex};
  for (auto& w : impl_->windows)
    w->tick(now);
}

std::vector<std::string> registry::names() const {
  std::lock_guard guard{impl_->mutex};
  std::vector<std::string> out;
  for (const auto& e : impl_->entries)
    out.push_back(e.about().name);
  return out;
}

std::size_t registry::series() const {
  std::lock_guard guard{impl_->mutex};
  std::size_t n = 0;
  for (const auto& e : impl_->entries)
    n += series_of(e.about());
  return n;
}

std::span<const double> latency_buckets() noexcept {
  return latency_bounds;
}

std::span<const double> fine_buckets() noexcept {
  return fine_bounds;
}

void histogram_base::observe_at(std::size_t series, std::uint64_t ticks) noexcept {
  const auto& bounds = family_.bounds_ticks;
  auto bucket = static_cast<std::size_t>(std::ranges::lower_bound(bounds, ticks) - bounds.begin());
  auto base = series * family_.cells_per_series;
  family_.cells.add(base + bucket, 1);
  family_.cells.add(base + bounds.size() + 1, ticks);
}

std::uint64_t histogram_base::count_at(std::size_t series) const noexcept {
  std::uint64_t n = 0;
  for (std::size_t b = 0; b <= family_.bounds_ticks.size(); ++b)
    n += family_.cells.sum(series * family_.cells_per_series + b);
  return n;
}

std::uint64_t histogram_base::sum_at(std::size_t series) const noexcept {
  return family_.cells.sum(series * family_.cells_per_series + family_.bounds_ticks.size() + 1);
}

namespace {

descriptor listed(kind k, std::string_view name, std::string_view help, std::string_view label,
                  std::vector<std::string> values) {
  return {.kind = k,
          .name = std::string{name},
          .help = std::string{help},
          .labels = {{std::string{label}, std::move(values)}},
          .bounds = {}};
}

} // namespace

listed_counter::listed_counter(registry& r, std::string_view name, std::string_view help,
                               std::string_view label, std::vector<std::string> values)
  : family_(r.declare(listed(kind::counter, name, help, label, std::move(values)))) {
  // nop
}

listed_updown::listed_updown(registry& r, std::string_view name, std::string_view help,
                             std::string_view label, std::vector<std::string> values)
  : family_(r.declare(listed(kind::updown, name, help, label, std::move(values)))) {
  // nop
}

callback::callback(registry& r, kind k, std::string_view name, std::string_view help,
                   std::function<double()> f)
  : registry_(r), name_(name) {
  r.impl_->add(
    {.kind = k, .name = name_, .help = std::string{help}, .labels = {}, .bounds = {}},
    [f = std::move(f)](std::size_t) { return f(); });
}

callback::callback(registry& r, kind k, std::string_view name, std::string_view help,
                   std::string_view label, std::vector<std::string> values,
                   std::function<double(std::size_t)> f)
  : registry_(r), name_(name) {
  r.impl_->add(listed(k, name, help, label, std::move(values)), std::move(f));
}

callback::~callback() {
  registry_.impl_->remove(name_);
}

window_quantile::window_quantile(registry& r, std::string_view name, std::string_view help,
                                 const histogram_base& of, double quantile)
  : registry_(r),
    window_(std::make_shared<detail::quantile_window>(of.family_, quantile)),
    shown_(r, kind::gauge, name, help,
           [w = window_] { return w->value.load(std::memory_order_relaxed); }) {
  std::lock_guard guard{r.impl_->mutex};
  r.impl_->windows.push_back(window_);
}

window_quantile::~window_quantile() {
  std::lock_guard guard{registry_.impl_->mutex};
  std::erase(registry_.impl_->windows, window_);
}

double window_quantile::value() const noexcept {
  return window_->value.load(std::memory_order_relaxed);
}

/// One reading of the kernel's files serves all families of a scrape.
struct process_metrics::reader {
  process_usage last;
  instant read_at{};

  const process_usage& get() {
    constexpr std::chrono::milliseconds fresh{50};
    auto now = system_clock{}.now();
    if (read_at == instant{} || now - read_at > fresh) {
      last = read_process_usage();
      read_at = now;
    }
    return last;
  }
};

process_metrics::process_metrics(registry& r) : reader_(std::make_shared<reader>()) {
  auto show = [&](kind k, std::string_view name, std::string_view help, auto pick) {
    shown_.push_back(std::make_unique<callback>(
      r, k, name, help,
      [from = reader_, pick] { return static_cast<double>(pick(from->get())); }));
  };
  using usage = const process_usage&;
  show(kind::gauge, "process_resident_memory_bytes", "Memory in RAM.",
       [](usage u) { return u.resident_bytes; });
  show(kind::gauge, "process_virtual_memory_bytes", "Address space.",
       [](usage u) { return u.virtual_bytes; });
  show(kind::gauge, "process_open_fds", "Open descriptors.", [](usage u) { return u.open_fds; });
  show(kind::gauge, "process_max_fds", "Descriptors that may be open.",
       [](usage u) { return u.max_fds; });
  show(kind::counter, "process_cpu_seconds_total", "Processor time, user and system.",
       [](usage u) { return u.cpu_seconds; });
  show(kind::gauge, "process_start_time_seconds", "Start, in seconds since 1970 UTC.",
       [](usage u) { return u.start_unix_seconds; });
}

process_metrics::~process_metrics() = default;

chunk_pool_metrics::chunk_pool_metrics(registry& r)
  : mapped_(r, kind::gauge, "chunk_pool_bytes", "Memory mapped for chunks, in use or spare.",
            [] {
              return static_cast<double>(chunk_pool::stats().regions * chunk_pool::region_bytes);
            }),
    used_(r, kind::gauge, "chunk_pool_used_bytes", "Part of it that is in use.", [] {
      return static_cast<double>(chunk_pool::stats().pieces * chunk_pool::piece_bytes);
    }) {
  // nop
}

} // namespace ron::core::metrics
