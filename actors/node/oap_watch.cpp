#include "node/oap_watch.hpp"

#include "core/log.hpp"
#include "oap/session.hpp"

namespace ron::node {

namespace {

constexpr double ten_thousand = 10'000;
constexpr double percent = 100;

/// Moves what one side has to say to the other.
void pass(oap::session& from, oap::session& to) {
  std::vector<core::bytes> out;
  while (from.take(out)) {
    for (auto& slice : out)
      to.on_bytes(std::move(slice), {});
    out.clear();
  }
}

} // namespace

oap_health_limits health_limits_of(const core::config::oap_section& c) {
  oap_health_limits l;
  l.rejects_max = c.rejects_max / ten_thousand;
  l.rejects_least = c.rejects_least;
  l.oversize_max = c.oversize_max;
  l.rejects_window = c.rejects_window;
  l.starved_share = c.starved_share / percent;
  l.starvation_max = c.starvation_max;
  l.starvation_window = c.starvation_window;
  l.staging_max = c.staging_max;
  l.page_decode_s = std::chrono::duration<double>(c.page_decode).count();
  l.page_rejects = c.page_rejects / ten_thousand;
  l.page_starvation = c.page_starvation;
  l.page_after = c.page_after;
  return l;
}

bool oap_parser_works() {
  oap::session dialer{oap::role::dialer, {}};
  oap::session acceptor{oap::role::acceptor, {}};
  pass(dialer, acceptor);
  pass(acceptor, dialer);
  const auto corr = dialer.open({.name = "ping", .end = true});
  pass(dialer, acceptor);
  return corr && dialer.hello_received() && acceptor.hello_received()
         && acceptor.is_open(*corr) && !acceptor.is_closed();
}

oap_watch::oap_watch(transport::oap_service_ptr service, const oap_health_limits& limits,
                     core::metrics::registry& r)
  : service_(std::move(service)),
    health_(limits),
    parser_works_(oap_parser_works()),
    parser_ready_(r, "oap_parser_ready", "1: frames are read as they are written"),
    reject_rate_ok_(r, "oap_reject_rate_ok", "1: few frames are bad; oap.rejects-max"),
    ack_window_ok_(r, "oap_ack_window_ok", "1: no starvation for windows; oap.starvation-max"),
    backpressure_ok_(r, "oap_backpressure_ok", "1: little is staged; oap.staging-max"),
    reject_ratio_(r, "oap_reject_ratio", "Bad frames by frames over oap.rejects-window"),
    starved_seconds_(r, "oap_ack_starved_seconds",
                     "Starvation for windows within oap.starvation-window"),
    page_(r, "oap_page", "1: a limit that calls a human holds; oap.page-*", {"limit"}) {
  show();
}

void oap_watch::look(std::vector<readiness_key>& keys, core::instant now) {
  health_.sample(sample(), now);
  show();
  keys.push_back({.name = "oap_parser_ready", .ok = parser_works_, .hard = true});
  // Strangers who send garbage or take nothing have the load steered away, they shut nobody out.
  keys.push_back({.name = "oap_reject_rate_ok", .ok = health_.reject_rate_ok(), .hard = false,
                  .advisory = true});
  keys.push_back({.name = "oap_ack_window_ok", .ok = health_.ack_window_ok(), .hard = false,
                  .advisory = true});
  keys.push_back({.name = "oap_backpressure_ok", .ok = health_.backpressure_ok(), .hard = false});
}

oap_sample oap_watch::sample() const {
  const auto& wire = service_->wire();
  const auto level = [](std::int64_t n) { return n > 0 ? static_cast<std::uint64_t>(n) : 0; };
  oap_sample s;
  for (std::size_t i = 0; i < oap::kind_count; ++i)
    s.frames += wire.frames.value(static_cast<oap::kind>(i));
  for (std::size_t i = 0; i < oap::bucket_count; ++i)
    s.rejects += wire.rejects.value(static_cast<oap::bucket>(i));
  s.oversize = wire.rejects.value(oap::bucket::frame_oversize);
  s.streams = level(wire.streams.value());
  s.starved = level(wire.streams_starved.value());
  s.staging_bytes = level(wire.staging_bytes.value());
  s.decode_p95_s = wire.decode_p95.value();
  return s;
}

void oap_watch::show() {
  parser_ready_.set(parser_works_);
  reject_rate_ok_.set(health_.reject_rate_ok());
  ack_window_ok_.set(health_.ack_window_ok());
  backpressure_ok_.set(health_.backpressure_ok());
  reject_ratio_.set(health_.reject_ratio());
  starved_seconds_.set(std::chrono::duration<double>(health_.starvation()).count());
  for (std::size_t i = 0; i < oap_page_count; ++i) {
    const auto p = static_cast<oap_page>(i);
    if (health_.pages(p) && page_.value(p) == 0)
      core::log::error("oap", "a limit that calls a human holds", {{"limit", to_string(p)}});
    page_.set(health_.pages(p), p);
  }
}

} // namespace ron::node
