#pragma once

#include "core/metrics.hpp"
#include "oap/frame.hpp"
#include "oap/reject.hpp"
#include "transport/connection_budget.hpp"
#include "transport/ending.hpp"

#include <cstdint>
#include <string_view>

namespace ron::transport {

/// Who listens; metric label.
enum class entrance : std::uint8_t { http, https, oap_tls, oap_quic, oap_tor };
inline constexpr std::size_t entrance_count = 5;
std::string_view to_string(entrance e) noexcept;

/// How a TLS handshake ended; metric label.
enum class handshake : std::uint8_t { full, resumed, failed, timeout };
inline constexpr std::size_t handshake_count = 4;
std::string_view to_string(handshake h) noexcept;

/// How a question to the authority of the certificate ended.
enum class ocsp_fetch : std::uint8_t { fetched, failed };
inline constexpr std::size_t ocsp_fetch_count = 2;
std::string_view to_string(ocsp_fetch f) noexcept;

/// What the keys of a handshake were agreed on with; metric label.
enum class key_exchange : std::uint8_t { classic, hybrid };
inline constexpr std::size_t key_exchange_count = 2;
std::string_view to_string(key_exchange k) noexcept;

enum class direction : std::uint8_t { in, out };
inline constexpr std::size_t direction_count = 2;
std::string_view to_string(direction d) noexcept;

} // namespace ron::transport

namespace ron::core::metrics {

template <>
inline constexpr std::size_t label_count<transport::entrance> = transport::entrance_count;
template <>
inline constexpr std::size_t label_count<transport::handshake> = transport::handshake_count;
template <>
inline constexpr std::size_t label_count<transport::key_exchange> = transport::key_exchange_count;
template <>
inline constexpr std::size_t label_count<transport::ocsp_fetch> = transport::ocsp_fetch_count;
template <>
inline constexpr std::size_t label_count<transport::ending> = transport::ending_count;
template <>
inline constexpr std::size_t label_count<transport::direction> = transport::direction_count;
template <>
inline constexpr std::size_t label_count<transport::refusal> = transport::refusal_count;
template <>
inline constexpr std::size_t label_count<oap::bucket> = oap::bucket_count;
template <>
inline constexpr std::size_t label_count<oap::kind> = oap::kind_count;

} // namespace ron::core::metrics

namespace ron::transport {

/// Sockets, whatever they carry. One per node.
struct socket_metrics {
  explicit socket_metrics(core::metrics::registry& r);

  core::metrics::counter<entrance> accepted;
  core::metrics::counter<entrance, refusal> refused;
  core::metrics::updown<entrance> connections;
  core::metrics::counter<handshake> handshakes;
  core::metrics::histogram<key_exchange> handshake_seconds; ///< complete ones
  core::metrics::counter<> pq_downgrades;     ///< hybrid was preferred, the peer could not
  core::metrics::updown<> handshakes_waiting; ///< for their turn, `transport.accept-permits`
  core::metrics::counter<> handshakes_deferred;
  core::metrics::counter<direction> bytes;
};

/// What the TLS listeners show and how old it is. One per node.
struct tls_metrics {
  explicit tls_metrics(core::metrics::registry& r);

  core::metrics::gauge<> pq_enabled; ///< 1 when `transport.pq` is prefer or require
  core::metrics::counter<> ticket_rotations;
  core::metrics::gauge<> cert_not_after;   ///< Unix time
  core::metrics::gauge<> ocsp_next_update; ///< Unix time; 0: nothing is stapled, or it has no end
  core::metrics::counter<ocsp_fetch> ocsp_fetches;
};

/// OAP/1 connections of the accepting side. One per node.
struct oap_metrics {
  explicit oap_metrics(core::metrics::registry& r);

  core::metrics::counter<oap::bucket> rejects;
  core::metrics::counter<oap::kind> frames; ///< received; rejected ones are not in
  core::metrics::counter<oap::kind> frames_out;
  core::metrics::updown<> streams;
  core::metrics::counter<> streams_total;
  core::metrics::counter<> starts_refused;
  core::metrics::counter<ending> endings;
  core::metrics::counter<> window_stalls;
  core::metrics::updown<> streams_starved;   ///< their answer waits for the peer's window
  core::metrics::updown<> staging_bytes;     ///< unfinished frames and bodies nobody took yet
  core::metrics::updown<direction> credit;   ///< frames granted to peers; frames not acknowledged
  core::metrics::histogram<> decode_seconds; ///< per read, divided by its frames
  core::metrics::window_quantile decode_p95;
  core::metrics::histogram<> encode_seconds; ///< per batch, divided by its frames
  core::metrics::window_quantile encode_p95;
};

} // namespace ron::transport
