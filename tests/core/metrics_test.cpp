#include "core/metrics.hpp"

#include "core/chunk_pool.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ron::core::metrics {

enum class colour : std::uint8_t { red, green, blue };
enum class size : std::uint8_t { small, large };

std::string_view to_string(colour c) noexcept {
  constexpr std::string_view names[] = {"red", "green", "blue"};
  return names[static_cast<std::size_t>(c)];
}

std::string_view to_string(size s) noexcept {
  return s == size::small ? "small" : "large";
}

template <>
inline constexpr std::size_t label_count<colour> = 3;
template <>
inline constexpr std::size_t label_count<size> = 2;

namespace {

using namespace std::chrono_literals;

/// The sample lines of an exposition, without comments.
std::vector<std::string> samples(const registry& r) {
  std::vector<std::string> out;
  std::istringstream in{r.expose()};
  for (std::string line; std::getline(in, line);)
    if (!line.starts_with('#'))
      out.push_back(line);
  return out;
}

bool shows(const registry& r, std::string_view line) {
  return std::ranges::contains(samples(r), line);
}

TEST(Metrics, AnEmptyRegistryShowsNothing) {
  registry r;
  EXPECT_EQ(r.expose(), "");
  EXPECT_EQ(r.series(), 0u);
}

TEST(Metrics, AllSeriesOfAClosedSetExistAtZero) {
  registry r;
  counter<colour, size> c{r, "things_total", "Things.", {"colour", "size"}};
  EXPECT_EQ(samples(r), (std::vector<std::string>{
                          "things_total{colour=\"red\",size=\"small\"} 0",
                          "things_total{colour=\"red\",size=\"large\"} 0",
                          "things_total{colour=\"green\",size=\"small\"} 0",
                          "things_total{colour=\"green\",size=\"large\"} 0",
                          "things_total{colour=\"blue\",size=\"small\"} 0",
                          "things_total{colour=\"blue\",size=\"large\"} 0",
                        }));
  c.add(colour::green, size::large);
  c.add_n(5, colour::green, size::large);
  EXPECT_EQ(c.value(colour::green, size::large), 6u);
  EXPECT_EQ(c.value(colour::green, size::small), 0u);
  EXPECT_TRUE(shows(r, "things_total{colour=\"green\",size=\"large\"} 6"));
  EXPECT_EQ(samples(r).size(), 6u);
}

TEST(Metrics, RejectReasonsAreALabel) {
  registry r;
  counter<reject_reason> rejected{r, "rejected_total", "Refused requests.", {"reason"}};
  rejected.add(reject_reason_of(ec::stream_limit).value());
  EXPECT_EQ(samples(r).size(), reject_reason_count);
  EXPECT_TRUE(shows(r, "rejected_total{reason=\"quota\"} 1"));
  EXPECT_TRUE(shows(r, "rejected_total{reason=\"store_quota\"} 0"));
}

TEST(Metrics, HelpAndTypeAreTold) {
  registry r;
  counter<> c{r, "a_total", "All of a."};
  updown<> u{r, "b", "Open b."};
  histogram<> h{r, "c_seconds", "Time of c."};
  auto text = r.expose();
  EXPECT_NE(text.find("# HELP a_total All of a.\n# TYPE a_total counter\n"), std::string::npos);
  EXPECT_NE(text.find("# TYPE b gauge\n"), std::string::npos);
  EXPECT_NE(text.find("# TYPE c_seconds histogram\n"), std::string::npos);
  EXPECT_EQ(r.names(), (std::vector<std::string>{"a_total", "b", "c_seconds"}));
}

TEST(Metrics, ThreadsLoseNothing) {
  registry r;
  counter<colour> c{r, "c_total", "c", {"colour"}};
  updown<> u{r, "u", "u"};
  histogram<> h{r, "h_seconds", "h"};
  constexpr int rounds = 100'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i) {
        c.add(i % 2 == 0 ? colour::red : colour::blue);
        u.add();
        if (i % 4 != 0)
          u.sub();
        h.observe(std::chrono::microseconds{i % 1'000});
      }
    });
  for (int i = 0; i < 20; ++i)
    EXPECT_FALSE(r.expose().empty()); // scraping at the same time
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(c.value(colour::red), 1u * rounds);
  EXPECT_EQ(c.value(colour::green), 0u);
  EXPECT_EQ(c.value(colour::blue), 1u * rounds);
  EXPECT_EQ(u.value(), rounds / 2);
  EXPECT_EQ(h.count(), 2u * rounds);
  // Each thread observes 0 to 999 us a hundred times.
  EXPECT_EQ(h.sum_at(0), 2 * 100 * 499'500 * 1'000ull);
}

TEST(Metrics, MoreThreadsThanRowsLoseNothing) {
  registry r;
  counter<> c{r, "c_total", "c"};
  for (std::size_t i = 0; i < 2 * rows_max; ++i)
    std::thread{[&c] { c.add(); }}.join();
  EXPECT_EQ(c.value(), 2 * rows_max);
}

TEST(Metrics, UpdownMayGoBelowZeroOnOneThread) {
  registry r;
  updown<size> u{r, "open", "Open.", {"size"}};
  u.add_n(3, size::small);
  std::thread{[&u] { u.add_n(-5, size::small); }}.join();
  EXPECT_EQ(u.value(size::small), -2);
  EXPECT_TRUE(shows(r, "open{size=\"small\"} -2"));
}

TEST(Metrics, AGaugeIsWhatWasSetLast) {
  registry r;
  gauge<> g{r, "ratio", "A ratio."};
  EXPECT_TRUE(shows(r, "ratio 0"));
  g.set(0.25);
  std::thread{[&g] { g.set(-1.5); }}.join();
  EXPECT_EQ(g.value(), -1.5);
  EXPECT_TRUE(shows(r, "ratio -1.5"));
}

TEST(Metrics, HistogramBucketsIncludeTheirBound) {
  registry r;
  constexpr double bounds[] = {0.001, 0.01};
  histogram<size> h{r, "t_seconds", "t", {"size"}, bounds};
  h.observe(-1s, size::small);
  h.observe(1ms, size::small);
  h.observe(1ms + 1ns, size::small);
  h.observe(10ms, size::small);
  h.observe(1s, size::small);
  EXPECT_TRUE(shows(r, "t_seconds_bucket{size=\"small\",le=\"0.001\"} 2"));
  EXPECT_TRUE(shows(r, "t_seconds_bucket{size=\"small\",le=\"0.01\"} 4"));
  EXPECT_TRUE(shows(r, "t_seconds_bucket{size=\"small\",le=\"+Inf\"} 5"));
  EXPECT_TRUE(shows(r, "t_seconds_count{size=\"small\"} 5"));
  EXPECT_TRUE(shows(r, "t_seconds_count{size=\"large\"} 0"));
  EXPECT_EQ(h.sum_at(0), 1'012'000'001u);
}

TEST(Metrics, HistogramsCountInTheUnitOfTheirName) {
  registry r;
  constexpr double ms_bounds[] = {1, 100};
  constexpr double byte_bounds[] = {64, 4096};
  histogram<> ms{r, "lookup_ms", "Lookups.", {}, ms_bounds};
  histogram<> sizes{r, "frame_bytes", "Frames.", {}, byte_bounds, 1};
  ms.observe(50ms);
  sizes.observe_n(4096);
  EXPECT_TRUE(shows(r, "lookup_ms_bucket{le=\"1\"} 0"));
  EXPECT_TRUE(shows(r, "lookup_ms_bucket{le=\"100\"} 1"));
  EXPECT_TRUE(shows(r, "lookup_ms_sum 50"));
  EXPECT_TRUE(shows(r, "frame_bytes_bucket{le=\"4096\"} 1"));
  EXPECT_TRUE(shows(r, "frame_bytes_sum 4096"));
}

TEST(Metrics, TheStandardBucketsRiseAndReachFarEnough) {
  for (auto b : {latency_buckets(), fine_buckets()})
    EXPECT_TRUE(std::ranges::is_sorted(b, std::less_equal{}));
  EXPECT_EQ(latency_buckets().front(), 10e-6);
  EXPECT_EQ(latency_buckets().back(), 10);
  for (auto slo : {0.02, 0.08, 0.15, 0.2}) // where promises are measured
    EXPECT_TRUE(std::ranges::contains(latency_buckets(), slo)) << slo;
}

TEST(Metrics, TheSameDeclarationIsTheSameFamily) {
  registry r;
  counter<colour> a{r, "c_total", "c", {"colour"}};
  counter<colour> b{r, "c_total", "c", {"colour"}};
  a.add(colour::red);
  b.add(colour::red);
  EXPECT_EQ(a.value(colour::red), 2u);
  EXPECT_EQ(r.names().size(), 1u);
}

TEST(Metrics, AnotherDeclarationUnderTheSameNameIsABug) {
  registry r;
  counter<colour> a{r, "c_total", "c", {"colour"}};
  EXPECT_THROW((counter<size>{r, "c_total", "c", {"size"}}), std::logic_error);
  EXPECT_THROW((counter<colour>{r, "c_total", "other", {"colour"}}), std::logic_error);
  EXPECT_THROW((updown<colour>{r, "c_total", "c", {"colour"}}), std::logic_error);
  EXPECT_THROW((callback{r, kind::gauge, "c_total", "c", [] { return 1.0; }}), std::logic_error);
}

TEST(Metrics, IllegalDeclarationsAreBugs) {
  registry r;
  EXPECT_THROW((counter<>{r, "with space", "c"}), std::logic_error);
  EXPECT_THROW((counter<>{r, "", "c"}), std::logic_error);
  EXPECT_THROW((counter<colour>{r, "c_total", "c", {"no-dash"}}), std::logic_error);
  EXPECT_THROW((counter<colour>{r, "c_total", "c", {}}), std::logic_error);
  EXPECT_THROW((listed_counter{r, "l_total", "l", "x", {}}), std::logic_error);
  constexpr double falling[] = {2, 1};
  EXPECT_THROW((histogram<>{r, "h_seconds", "h", {}, falling}), std::logic_error);
  EXPECT_THROW((histogram<>{r, "h_seconds", "h", {}, std::span<const double>{}}),
               std::logic_error);
  EXPECT_EQ(r.series(), 0u);
}

TEST(Metrics, TheNumberOfSeriesIsBounded) {
  registry r;
  std::vector<std::string> many(series_max);
  for (std::size_t i = 0; i < many.size(); ++i)
    many[i] = std::to_string(i);
  listed_counter full{r, "full_total", "f", "i", many};
  EXPECT_EQ(r.series(), series_max);
  many.push_back("one more");
  EXPECT_THROW((listed_counter{r, "over_total", "o", "i", many}), std::logic_error);
}

TEST(Metrics, TheNumberOfFamiliesIsBounded) {
  registry r;
  for (std::size_t i = 0; i < families_max; ++i)
    counter<>{r, "c" + std::to_string(i) + "_total", "c"}.add();
  EXPECT_THROW((counter<>{r, "one_more_total", "c"}), std::logic_error);
  EXPECT_THROW((callback{r, kind::gauge, "one_more", "c", [] { return 1.0; }}), std::logic_error);
  EXPECT_EQ(samples(r).size(), families_max);
}

TEST(Metrics, ListedFamiliesAreClosedToo) {
  registry r;
  listed_updown alive{r, "actors_alive", "Actors.", "type", {"connection", "stream"}};
  alive.add(1);
  alive.add(1, 4);
  alive.sub(1);
  alive.add(2);
  alive.add(99, -1);
  EXPECT_EQ(alive.value(1), 4);
  EXPECT_EQ(samples(r), (std::vector<std::string>{"actors_alive{type=\"connection\"} 0",
                                                  "actors_alive{type=\"stream\"} 4"}));
  listed_counter c{r, "l_total", "l", "x", {"a"}};
  c.add(0, 3);
  c.add(1);
  EXPECT_EQ(c.value(0), 3u);
}

TEST(Metrics, CallbacksAreAskedAtAScrapeAndLeaveWithTheirHandle) {
  registry r;
  double now = 1;
  {
    callback one{r, kind::gauge, "one", "o", [&now] { return now; }};
    callback more{r, kind::counter, "more_total", "m", "x", {"a", "b"},
                  [](std::size_t i) { return static_cast<double>(i) * 10; }};
    now = 2.5;
    EXPECT_EQ(samples(r), (std::vector<std::string>{"one 2.5", "more_total{x=\"a\"} 0",
                                                    "more_total{x=\"b\"} 10"}));
  }
  EXPECT_EQ(r.expose(), "");
}

TEST(WindowQuantile, IsOfTheLastMinute) {
  registry r;
  histogram<size> h{r, "decode_seconds", "d", {"size"}, fine_buckets()};
  window_quantile p95{r, "decode_p95_seconds", "p", h};
  instant now{1h};
  auto pass = [&](std::chrono::seconds d) {
    for (auto end = now + d; now < end;) {
      now += 1s;
      r.tick(now);
    }
  };
  r.tick(now);
  EXPECT_EQ(p95.value(), 0);
  for (int i = 0; i < 90; ++i)
    h.observe(3us, size::small);
  for (int i = 0; i < 10; ++i)
    h.observe(40us, size::large);
  pass(1s);
  EXPECT_GT(p95.value(), 20e-6);
  EXPECT_LE(p95.value(), 50e-6);
  EXPECT_TRUE(shows(r, "decode_p95_seconds 3.5e-05"));
  pass(30s);
  EXPECT_GT(p95.value(), 20e-6);
  for (int i = 0; i < 1'000; ++i)
    h.observe(3us, size::small);
  pass(1s);
  EXPECT_LE(p95.value(), 5e-6);
  pass(70s);
  EXPECT_EQ(p95.value(), 0); // all of it is older than a minute
}

TEST(WindowQuantile, WhatLiesAboveAllBoundsIsTheLastBound) {
  registry r;
  histogram<> h{r, "h_seconds", "h"};
  window_quantile p{r, "h_p50_seconds", "p", h, 0.5};
  h.observe(1h);
  r.tick(instant{1h});
  EXPECT_EQ(p.value(), 10);
}

TEST(WindowQuantile, SurvivesALongPauseOfTheTicks) {
  registry r;
  histogram<> h{r, "h_seconds", "h"};
  window_quantile p{r, "h_p95_seconds", "p", h};
  instant now{1h};
  r.tick(now);
  h.observe(3ms);
  now += 10min;
  r.tick(now);
  EXPECT_GT(p.value(), 0); // happened since the last look
  now += 61s;
  r.tick(now);
  EXPECT_EQ(p.value(), 0);
}

TEST(WindowQuantile, LeavesWithItsHandle) {
  registry r;
  histogram<> h{r, "h_seconds", "h"};
  { window_quantile p{r, "h_p95_seconds", "p", h}; }
  r.tick(instant{1h});
  EXPECT_EQ(r.names(), std::vector<std::string>{"h_seconds"});
}

TEST(ProcessMetrics, AreTheStandardOnes) {
  registry r;
  {
    process_metrics p{r};
    std::set<std::string> names;
    for (const auto& line : samples(r)) {
      names.insert(line.substr(0, line.find(' ')));
      EXPECT_GT(std::stod(line.substr(line.find(' '))), 0) << line;
    }
    EXPECT_EQ(names, (std::set<std::string>{
                       "process_cpu_seconds_total", "process_max_fds", "process_open_fds",
                       "process_resident_memory_bytes", "process_start_time_seconds",
                       "process_virtual_memory_bytes"}));
  }
  EXPECT_EQ(r.series(), 0u);
}

TEST(ChunkPoolMetrics, ShowWhatIsHeld) {
  registry r;
  chunk_pool_metrics m{r};
  const auto value_of = [&](std::string_view name) {
    for (const auto& line : samples(r))
      if (line.starts_with(std::string{name} + ' '))
        return std::stod(line.substr(line.find(' ')));
    return -1.0;
  };
  const auto before = value_of("chunk_pool_used_bytes");
  ASSERT_GE(before, 0);
  auto* piece = chunk_pool::take();
  EXPECT_EQ(value_of("chunk_pool_used_bytes") - before, chunk_pool::piece_bytes);
  EXPECT_GE(value_of("chunk_pool_bytes"), chunk_pool::region_bytes);
  chunk_pool::give_back(piece);
  EXPECT_EQ(value_of("chunk_pool_used_bytes"), before);
}

} // namespace
} // namespace ron::core::metrics
