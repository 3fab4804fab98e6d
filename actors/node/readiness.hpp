#pragma once

#include "core/clock.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ron::node {

/// What `/readyz` says.
enum class readiness : std::uint8_t {
  ready,    ///< reads and writes are served
  degraded, ///< reads are served, writes are sent elsewhere
  unready,  ///< send nothing here
};
std::string_view to_string(readiness r) noexcept;

/// One dependency, looked at now.
struct readiness_key {
  std::string_view name; ///< as listed in `missing`, a literal
  bool ok = false;
  bool hard = true;      ///< hard: without it unready; soft: without it degraded
  /// The degraded node still takes the writes that reach it: what strangers can bring about must
  /// not shut others out.
  bool advisory = false;
};

/// Limits of the hysteresis: quick to step back, slow to come back.
struct readiness_limits {
  double pressure_high = 0.80;  ///< share of any node-wide limit in use that degrades
  double pressure_low = 0.60;   ///< share below which pressure counts as gone
  std::uint32_t samples = 2;    ///< samples in a row above `pressure_high`
  std::chrono::milliseconds hold{2'000}; ///< calm before a step back to ready
};

/// The readiness of the node as a pure machine: samples in, state out. Writes flip first (degraded)
/// so that load is taken away before anything collapses. One owner; evaluated every 250 ms and at
/// the first shed.
class readiness_machine {
public:
  explicit readiness_machine(readiness_limits limits = {}) noexcept : limits_(limits) {}

  /// Takes one sample. `pressure` is the fullest of the node-wide limits, 0..1; `shed` says that
  /// a request was shed since the last sample. Returns the state that holds from now on.
  readiness sample(std::vector<readiness_key> keys, double pressure, bool shed,
                   core::instant now);

  /// From now on unready, whatever the samples say.
  void drain() noexcept { draining_ = true; }

  readiness state() const noexcept { return draining_ ? readiness::unready : state_; }
  /// True while writes are to be refused, not only sent elsewhere.
  bool refuses_writes() const noexcept;
  /// Names of what is not there, "pressure" and "draining" included.
  std::vector<std::string> missing() const;

private:
  readiness_limits limits_;
  readiness state_ = readiness::unready;
  std::vector<readiness_key> keys_;
  std::uint32_t high_samples_ = 0;
  bool pressed_ = false;
  bool draining_ = false;
  core::instant calm_since_{};
  bool calm_ = false;
};

} // namespace ron::node
