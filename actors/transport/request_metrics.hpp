#pragma once

#include "core/metrics.hpp"
#include "transport/operation.hpp"

#include <array>
#include <string_view>

namespace ron::transport {

/// Metric label `status`: a closed set.
enum class outcome : std::uint8_t {
  ok,
  error,
  throttled, ///< 429 and 503: come back later
};
inline constexpr std::size_t outcome_count = 3;

constexpr std::string_view to_string(outcome o) noexcept {
  constexpr std::array<std::string_view, outcome_count> names{"ok", "error", "throttled"};
  return names[static_cast<std::size_t>(o)];
}

constexpr outcome outcome_of(std::uint16_t status) noexcept {
  if (status == 429 || status == 503)
    return outcome::throttled;
  return status < 400 ? outcome::ok : outcome::error;
}

} // namespace ron::transport

template <>
inline constexpr std::size_t ron::core::metrics::label_count<ron::transport::route>
  = ron::transport::route_count;
template <>
inline constexpr std::size_t ron::core::metrics::label_count<ron::transport::outcome>
  = ron::transport::outcome_count;

namespace ron::transport {

/// What every wire counts of its requests, in the same families. Built with the node's registry,
/// as often as there are wires. Any thread.
struct request_metrics {
  explicit request_metrics(core::metrics::registry& r)
    : requests{r, "http_requests_total", "Requests answered, both wires", {"route", "status"}},
      latency{r, "request_latency_seconds", "From the head to the end of the answer", {"route"}},
      rejected{r, "rejected_total", "Requests refused", {"reason"}},
      in_flight{r, "inflight_requests", "Requests being served, long polls not counted",
                {"route"}} {
    // nop
  }

  /// A request for `op` is being served. `op` may be null: nothing was found.
  void begin(const operation* op) noexcept {
    if (op && !op->waits)
      in_flight.add(op->label);
  }
  /// It is over; once for each `begin`. Long polls have no latency: they wait on purpose.
  void end(const operation* op, core::instant::duration took, std::uint16_t status,
           core::ec why) noexcept {
    const auto label = op ? op->label : route::other;
    requests.add(label, outcome_of(status));
    if (auto reason = core::reject_reason_of(why); reason && status >= 400)
      rejected.add(*reason);
    if (!op || op->waits)
      return;
    in_flight.sub(label);
    latency.observe(took, label);
  }

  core::metrics::counter<route, outcome> requests;
  core::metrics::histogram<route> latency;
  core::metrics::counter<core::reject_reason> rejected;
  core::metrics::updown<route> in_flight;
};

} // namespace ron::transport
