#include "transport/quic/metrics.hpp"

namespace ron::transport::quic {

std::string_view to_string(answer a) noexcept {
  switch (a) {
  case answer::retry:
    return "retry";
  case answer::version:
    return "version";
  case answer::reset:
    return "reset";
  case answer::refused:
    return "refused";
  }
  return "?";
}

std::string_view to_string(drop d) noexcept {
  switch (d) {
  case drop::full:
    return "full";
  case drop::rate:
    return "rate";
  case drop::junk:
    return "junk";
  case drop::forward:
    return "forward";
  case drop::send:
    return "send";
  }
  return "?";
}

quic_metrics::quic_metrics(core::metrics::registry& r)
    : datagrams(r, "quic_datagrams_total", "UDP datagrams of the QUIC listener", {"direction"}),
      answers(r, "quic_stateless_answers_total",
              "Answers to datagrams that belong to no connection", {"kind"}),
      drops(r, "quic_dropped_total", "Datagrams that were dropped", {"reason"}),
      forwarded(r, "quic_forwarded_total",
                "Datagrams handed to the shard that has their connection"),
      unfinished(r, "quic_handshakes_unfinished", "QUIC handshakes under way"),
      packets_lost(r, "quic_packets_lost_total",
                   "Packets of ours that were lost, counted when their connection ends"),
      slow_streams(r, "quic_slow_streams_total",
                   "Streams ended because a frame that had begun came too slowly") {
  // nop
}

} // namespace ron::transport::quic
