#pragma once

#include "core/metrics.hpp"
#include "transport/metrics.hpp"

#include <cstdint>
#include <string_view>

namespace ron::transport::quic {

/// What the listener says to datagrams of no connection; metric label.
enum class answer : std::uint8_t { retry, version, reset, refused };
inline constexpr std::size_t answer_count = 4;
std::string_view to_string(answer a) noexcept;

/// Why a datagram was dropped; metric label.
enum class drop : std::uint8_t {
  full,    ///< too many handshakes under way
  rate,    ///< too many answers a second
  junk,    ///< no QUIC that could be answered
  forward, ///< for another shard that is behind
  send,    ///< the kernel did not take it
};
inline constexpr std::size_t drop_count = 5;
std::string_view to_string(drop d) noexcept;

/// What became of a client's early data; metric label.
enum class early_outcome : std::uint8_t { accepted, rejected };
inline constexpr std::size_t early_outcome_count = 2;
std::string_view to_string(early_outcome e) noexcept;

} // namespace ron::transport::quic

namespace ron::core::metrics {

template <>
inline constexpr std::size_t label_count<transport::quic::answer> = transport::quic::answer_count;
template <>
inline constexpr std::size_t label_count<transport::quic::drop> = transport::quic::drop_count;
template <>
inline constexpr std::size_t label_count<transport::quic::early_outcome> =
  transport::quic::early_outcome_count;

} // namespace ron::core::metrics

namespace ron::transport::quic {

/// QUIC listeners. One per node.
struct quic_metrics {
  explicit quic_metrics(core::metrics::registry& r);

  core::metrics::counter<direction> datagrams;
  core::metrics::counter<> sends; ///< system calls that sent them
  core::metrics::counter<answer> answers;
  core::metrics::counter<drop> drops;
  core::metrics::counter<> forwarded;    ///< to the shard that has the connection
  core::metrics::updown<> unfinished;    ///< handshakes under way
  core::metrics::counter<> packets_lost; ///< ours, of connections that have ended
  core::metrics::counter<> key_updates;  ///< of connections that have ended
  core::metrics::counter<early_outcome> early_data; ///< of connections that had some
  core::metrics::counter<> early_held;           ///< streams that had to wait for the handshake
  core::metrics::counter<> slow_streams; ///< ended in the middle of a frame that did not go on
};

} // namespace ron::transport::quic
