#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

/// Side by side measurements: ours and a peer's in turns, in one process and one run, so that a
/// noisy machine is noisy for both.
namespace ron::bench {

/// What one turn did.
struct sample {
  double operations = 0;
  double seconds = 0;
  double cpu = 0; ///< processor seconds of the process
};

/// Processor time of this process so far, in seconds.
double cpu_seconds();

/// Measures a turn whose timed parts are between `start` and `stop`.
class stopwatch {
public:
  void start();
  void stop();
  /// Seconds between all starts and stops.
  double seconds() const noexcept { return sum_.seconds; }
  sample result(double operations) const noexcept;

private:
  sample sum_;
  std::chrono::steady_clock::time_point began_{};
  double cpu_began_ = 0;
};

/// Runs `work`, which returns how much it did, and takes the time.
template <class Work>
sample measure(Work work) {
  stopwatch watch;
  watch.start();
  double operations = work();
  watch.stop();
  return watch.result(operations);
}

/// Repeats `work` until `seconds` of it have passed.
template <class Work>
sample measure_for(double seconds, Work work) {
  stopwatch watch;
  double operations = 0;
  while (watch.seconds() < seconds) {
    watch.start();
    operations += work();
    watch.stop();
  }
  return watch.result(operations);
}

/// One comparison.
struct pair_case {
  std::string name;
  std::string peer;
  std::string unit;
  std::string goal;                            ///< as words
  std::function<sample()> ours;
  std::function<sample()> theirs;
  std::function<double(const sample&)> figure; ///< in `unit`
  bool less_is_better = false;
  std::function<bool(double ours, double ratio)> met;
  std::function<double(const sample&)> cpu;    ///< ns an operation, or percent when idle
  /// More fields of the JSON line, e.g. `,"allocations_per_frame":0`; read after the last turn.
  std::function<std::string()> more;
};

/// Figures that many cases share.
double nanoseconds(const sample& s);
double cpu_nanoseconds(const sample& s);
double per_second(const sample& s);

/// Runs `pairs` turns of each side, progress on stderr, one JSON line with medians on stdout.
/// The ratio is above 1 when ours is better.
void run_pairs(std::string_view bench, const pair_case& c, int pairs);

/// `PROGRAM [PAIRS [SECONDS [CASE]]]`: runs the cases whose name contains CASE. The exit code.
int pairs_main(int argc, char** argv, std::string_view bench,
               const std::function<std::vector<pair_case>(double seconds)>& cases);

} // namespace ron::bench
