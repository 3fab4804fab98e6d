#pragma once

#include "core/config.hpp"
#include "core/metrics.hpp"
#include "node/oap_health.hpp"
#include "node/readiness.hpp"
#include "transport/oap_service.hpp"

#include <vector>

namespace ron::core::metrics {

template <>
inline constexpr std::size_t label_count<node::oap_page> = node::oap_page_count;

} // namespace ron::core::metrics

namespace ron::node {

/// The limits that the keys `oap.*` set.
oap_health_limits health_limits_of(const core::config::oap_section& c);

/// True if what is framed here is read here: a session of each side, HELLO both ways, one stream.
/// Takes less than a millisecond.
bool oap_parser_works();

/// Looks at the connections of the OAP listener: readiness keys for the monitor, gauges for those
/// who scrape. One thread at a time.
class oap_watch {
public:
  oap_watch(transport::oap_service_ptr service, const oap_health_limits& limits,
            core::metrics::registry& registry);

  /// Takes a sample and appends `oap_parser_ready`, `oap_reject_rate_ok`, `oap_ack_window_ok` and
  /// `oap_backpressure_ok`.
  void look(std::vector<readiness_key>& keys, core::instant now);

private:
  oap_sample sample() const;
  void show();

  transport::oap_service_ptr service_;
  oap_health health_;
  bool parser_works_;
  core::metrics::gauge<> parser_ready_;
  core::metrics::gauge<> reject_rate_ok_;
  core::metrics::gauge<> ack_window_ok_;
  core::metrics::gauge<> backpressure_ok_;
  core::metrics::gauge<> reject_ratio_;
  core::metrics::gauge<> starved_seconds_;
  core::metrics::gauge<oap_page> page_;
};

} // namespace ron::node
