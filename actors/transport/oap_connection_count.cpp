// What an OAP connection exports and logs.
#include "transport/oap_connection.hpp"

#include "core/log.hpp"
#include "oap/reject.hpp"
#include "transport/reject_detail.hpp"

#include <numeric>

namespace ron::transport {

/// Exports what the session has counted since the last time.
void oap_connection::count() {
  if (!session_)
    return;
  count_held();
  auto& m = service_->wire();
  const auto& c = session_->counters();
  auto add = [](auto& family, std::uint64_t n, auto... label) {
    if (n != 0) // most are: a turn knows few kinds of frames
      family.add_n(n, label...);
  };
  for (std::size_t i = 0; i < oap::bucket_count; ++i)
    add(m.rejects, c.rejects[i] - counted_.rejects[i], static_cast<oap::bucket>(i));
  for (std::size_t i = 0; i < oap::kind_count; ++i) {
    add(m.frames, c.frames_in[i] - counted_.frames_in[i], static_cast<oap::kind>(i));
    add(m.frames_out, c.frames_out[i] - counted_.frames_out[i], static_cast<oap::kind>(i));
  }
  add(m.streams_total, c.streams - counted_.streams);
  add(m.starts_refused, c.starts_refused - counted_.starts_refused);
  add(m.window_stalls, c.window_stalls - counted_.window_stalls);
  counted_ = c;
}

/// Exports what the session holds and owes now.
void oap_connection::count_held() {
  auto& m = service_->wire();
  const auto show = [](auto& gauge, std::int64_t& shown, std::uint64_t value, auto... label) {
    const auto now = static_cast<std::int64_t>(value);
    if (now != shown)
      gauge.add_n(now - std::exchange(shown, now), label...);
  };
  show(m.staging_bytes, staged_, ended_ ? 0 : session_->staging_bytes());
  show(m.credit, granted_, ended_ ? 0 : session_->committed_frames(), direction::in);
  show(m.credit, unacknowledged_, ended_ ? 0 : session_->inflight(), direction::out);
}

std::uint64_t oap_connection::frames_in() const noexcept {
  const auto& in = session_->counters().frames_in;
  return std::accumulate(in.begin(), in.end(), std::uint64_t{0});
}

/// One line for each bad frame; the log throttles them. Nothing of what the peer sent is in it.
void oap_connection::log_rejects() {
  if (!session_->take_rejects(rejects_))
    return;
  for (const auto& r : rejects_) {
    const auto& about = oap::info(r.why);
    const auto d = detail_of(r.why, session_->limits(), session_->hello_received());
    core::log::info("oap", "frame rejected",
                    {{"reason", about.name},
                     {"bucket", oap::to_string(about.bucket)},
                     {"scope", about.scope == oap::scope::stream ? "stream" : "connection"},
                     {"offset", r.offset},
                     {"length", r.length},
                     {"field", d.field},
                     {"field_offset", d.field_offset},
                     {"limit", d.limit},
                     {"knob", d.knob},
                     {"corr_id", r.corr},
                     {"connection", self_->id()},
                     {"peer", info_.peer}});
  }
}

} // namespace ron::transport
