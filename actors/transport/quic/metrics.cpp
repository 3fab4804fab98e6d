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

std::string_view to_string(early_outcome e) noexcept {
  switch (e) {
  case early_outcome::accepted:
    return "accepted";
  case early_outcome::rejected:
    return "rejected";
  }
  return "?";
}

quic_metrics::quic_metrics(core::metrics::registry& r)
    : datagrams(r, "quic_datagrams_total", "UDP datagrams of the QUIC listener", {"direction"}),
      sends(r, "quic_sends_total",
            "System calls that sent datagrams; one sends many where the kernel cuts them (GSO)"),
      answers(r, "quic_stateless_answers_total",
              "Answers to datagrams that belong to no connection", {"kind"}),
      drops(r, "quic_dropped_total", "Datagrams that were dropped", {"reason"}),
      forwarded(r, "quic_forwarded_total",
                "Datagrams handed to the shard that has their connection"),
      unfinished(r, "quic_handshakes_unfinished", "QUIC handshakes under way"),
      packets_lost(r, "quic_packets_lost_total",
                   "Packets of ours that were lost, counted when their connection ends"),
      key_updates(r, "quic_key_updates_total",
                  "Changes of packet keys by either side, counted when their connection ends"),
      early_data(r, "quic_early_data_total",
                 "Handshakes whose client had early data (0-RTT), counted at their end",
                 {"outcome"}),
      early_held(r, "quic_early_held_total",
                 "Streams in early data that had to wait for the end of the handshake"),
      slow_streams(r, "quic_slow_streams_total",
                   "Streams ended because a frame that had begun came too slowly") {
  // nop
}

} // namespace ron::transport::quic
