#include "transport/metrics.hpp"

namespace ron::transport {

std::string_view to_string(entrance e) noexcept {
  switch (e) {
    case entrance::http: return "http";
    case entrance::https: return "https";
    case entrance::oap_tls: return "oap_tls";
    case entrance::oap_quic: return "oap_quic";
    case entrance::oap_tor: return "oap_tor";
  }
  return "?";
}

std::string_view to_string(handshake h) noexcept {
  switch (h) {
    case handshake::full: return "full";
    case handshake::resumed: return "resumed";
    case handshake::failed: return "failed";
    case handshake::timeout: return "timeout";
  }
  return "?";
}

std::string_view to_string(ocsp_fetch f) noexcept {
  return f == ocsp_fetch::fetched ? "fetched" : "failed";
}

std::string_view to_string(key_exchange k) noexcept {
  return k == key_exchange::hybrid ? "hybrid" : "classic";
}

std::string_view to_string(ending e) noexcept {
  switch (e) {
    case ending::clean: return "clean";
    case ending::reject: return "reject";
    case ending::broken: return "broken";
    case ending::timeout: return "timeout";
    case ending::cut: return "cut";
  }
  return "?";
}

std::string_view to_string(direction d) noexcept {
  return d == direction::in ? "in" : "out";
}

socket_metrics::socket_metrics(core::metrics::registry& r)
  : accepted(r, "transport_accepted_total", "Connections that were let in", {"listener"}),
    refused(r, "transport_refused_total", "Connections closed right after accept",
            {"listener", "reason"}),
    connections(r, "transport_connections", "Open connections", {"listener"}),
    handshakes(r, "transport_handshakes_total", "TLS handshakes by outcome", {"outcome"}),
    handshake_seconds(r, "transport_handshake_seconds",
                      "From accept to the end of the TLS handshake, by key exchange",
                      {"kex"}),
    pq_downgrades(r, "pq_downgrades_total",
                  "Handshakes without the hybrid key exchange that transport.pq prefers"),
    handshakes_waiting(r, "transport_handshakes_waiting",
                       "TLS handshakes that wait for a permit to be computed"),
    handshakes_deferred(r, "transport_handshakes_deferred_total",
                        "TLS handshakes that had to wait for a permit"),
    bytes(r, "transport_bytes_total", "Bytes as they went over the wire", {"direction"}) {
  // nop
}

tls_metrics::tls_metrics(core::metrics::registry& r)
  : pq_enabled(r, "pq_enabled", "1: the hybrid key exchange X25519MLKEM768 is offered"),
    ticket_rotations(r, "transport_ticket_rotations_total",
                     "Times the key of session tickets was replaced"),
    cert_not_after(r, "transport_cert_not_after_timestamp_seconds",
                   "End of the certificate chain of the TLS listeners"),
    ocsp_next_update(r, "transport_ocsp_next_update_timestamp_seconds",
                     "End of the stapled OCSP response; 0: none is stapled"),
    ocsp_fetches(r, "transport_ocsp_fetches_total",
                 "Questions to the certificate's authority by outcome", {"outcome"}) {
  // nop
}

oap_metrics::oap_metrics(core::metrics::registry& r)
  : rejects(r, "oap_rejects_total", "Bad frames by bucket", {"reason"}),
    frames(r, "oap_frames_total", "Frames received, rejected ones not counted", {"kind"}),
    frames_out(r, "oap_frames_sent_total", "Frames sent", {"kind"}),
    streams(r, "oap_streams", "Open streams"),
    streams_total(r, "oap_streams_total", "Streams accepted"),
    starts_refused(r, "oap_starts_refused_total", "STARTs answered with stream_limit or drain"),
    endings(r, "oap_connections_ended_total", "Connections by how they ended", {"ending"}),
    window_stalls(r, "oap_window_stalls_total", "Sends that waited for the peer's window"),
    streams_starved(r, "oap_streams_starved",
                    "Open streams whose answer has waited for the peer since oap.starved-after"),
    staging_bytes(r, "oap_staging_bytes",
                  "Memory held by unfinished frames and by request bodies that wait in streams"),
    credit(r, "oap_credit_frames",
           "in: frames that peers may send or that wait here; out: ours not acknowledged yet",
           {"direction"}),
    decode_seconds(r, "oap_decode_seconds", "Reading one frame, averaged over one read", {},
                   core::metrics::fine_buckets()),
    decode_p95(r, "oap_decode_p95_seconds", "95th percentile of oap_decode_seconds over 60 s",
               decode_seconds),
    encode_seconds(r, "oap_encode_seconds",
                   "Framing one frame, averaged over what a stream sent at once", {},
                   core::metrics::fine_buckets()),
    encode_p95(r, "oap_encode_p95_seconds", "95th percentile of oap_encode_seconds over 60 s",
               encode_seconds) {
  // nop
}

} // namespace ron::transport
