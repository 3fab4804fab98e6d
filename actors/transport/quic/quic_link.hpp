#pragma once

#include "core/error.hpp"
#include "transport/link.hpp"
#include "transport/metrics.hpp"
#include "transport/quic/connection.hpp"
#include "transport/quic/frame_lanes.hpp"

#include <memory>
#include <optional>
#include <string>

namespace ron::transport::quic {

class hub;

/// One QUIC connection as the link of an OAP connection: what is read are whole frames of all
/// streams, what is written is sorted onto them. Made by the hub when the peer's first packet came;
/// an actor owns it from the end of the handshake on.
///
/// Bounds: what was read and not asked for is bounded by the connection's flow-control window, what
/// was written and not sent shows as `backlog`.
class quic_link final : public link {
public:
  /// `c` lives in the endpoint of `owner` until `detach`.
  quic_link(std::weak_ptr<hub> owner, connection& c, std::string peer, std::uint32_t frame_max);
  ~quic_link() override;

  // -- for who makes the OAP connection ------------------------------------------------------
  /// The actor that the link belongs to; before `start`.
  void belong_to(link_owner owner) { owner_.emplace(owner); }

  // -- link ----------------------------------------------------------------------------------
  void start() override;
  void read(std::size_t partial, std::size_t missing) override;
  void write(std::vector<core::bytes>& slices) override;
  std::size_t backlog() const noexcept override;
  /// Of stream 0 alone: the others have clocks of their own (`frame_lanes::age`).
  std::size_t unfinished_bytes() const noexcept override { return lanes_.unfinished_control(); }
  void shutdown_write() override;
  void close() override;
  std::uint64_t bytes_in() const noexcept override;
  std::uint64_t bytes_out() const noexcept override;

  // -- for the hub ---------------------------------------------------------------------------
  frame_lanes& lanes() noexcept { return lanes_; }
  /// Datagrams came or time passed: tells the owner what it waits for.
  void look();
  /// A quarter of `patience` went by (`frame_lanes::age`). The streams that were too slow.
  std::size_t age(std::chrono::milliseconds patience);
  /// Packets went out: tells the owner if its backlog is gone.
  void sent();
  /// The connection is gone.
  void detach();

private:
  bool has_news() const noexcept;
  void tell();
  void tell_end();
  template <class F>
  void post(F f);

  std::weak_ptr<hub> hub_;
  connection* connection_;
  frame_lanes lanes_;
  std::string peer_;
  std::optional<link_owner> owner_;
  core::crypto::tls_info tls_;
  connection_ending ending_;   ///< once the connection is over
  std::uint64_t bytes_in_ = 0; ///< likewise
  std::uint64_t bytes_out_ = 0;
  bool reading_ = false;
  bool behind_ = false;       ///< a flush left a backlog
  bool over_ = false;         ///< the connection carries no more bytes
  bool told_ = false;         ///< the owner knows how it ended
  bool told_partial_ = false; ///< the owner knows of an unfinished frame
  bool shut_down_ = false;
  bool closed_ = false;
};

using quic_link_ptr = std::shared_ptr<quic_link>;

} // namespace ron::transport::quic
