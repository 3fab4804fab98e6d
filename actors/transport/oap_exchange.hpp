#pragma once

#include "transport/exchange.hpp"
#include "transport/oap_stream.hpp"

#include <list>
#include <optional>

namespace ron::transport {

/// What a frame of the opener adds to the body of its request.
struct body_frame {
  core::bytes data{};
  std::uint32_t raw_len = 0; ///< non-zero: `data` is zstd of exactly this size
  bool last = false;         ///< nothing follows
  bool piece = false;        ///< more pieces of the same frame follow
};

/// One request on an OAP stream. Owned by the operation that serves it; its stream knows it weakly
/// and cuts the tie (`detach`) when the stream is over. Lives on the stream's shard.
class oap_exchange final : public exchange {
public:
  oap_exchange(oap_stream_self self, call c, bool reply_objects)
    : self_(self), call_(std::move(c)), reply_objects_(reply_objects) {
    // nop
  }
  ~oap_exchange() override;

  // -- exchange --------------------------------------------------------------------
  const call& request() const noexcept override { return call_; }
  const principal& caller() const noexcept override { return admitted_.who; }
  core::any_actor* self() noexcept override { return self_; }
  void read_body(body_handler then) override;
  void reply(answer a) override;
  void fail(core::error e) override;
  void begin(object_head head) override;
  void write(core::bytes chunk, room_handler room) override;
  void finish() override;
  void begin_events(core::json about) override;
  void want_room(events_handler room) override;
  void push(event e) override;
  void beat() override {} // the connection has its own ways to find out whether the peer is alive
  bool head_only() const noexcept override { return false; }
  bool cancelled() const noexcept override { return cancelled_; }
  void on_cancel(std::function<void()> f) override { on_cancel_ = std::move(f); }

  // -- for the stream ----------------------------------------------------------------
  void admitted(admission a) { admitted_ = std::move(a); }
  /// A piece of the body arrived. It stays compressed until the operation asks for it, so that
  /// credit bounds what waits here; one inflated frame (<= 8 MiB) at most is held.
  void body(body_frame f);
  /// The connection took chunks, or the peer takes `turn` events: the operation may write on.
  void offer_room(std::uint32_t turn = 0);
  /// The node drains: what only waits ends, and whoever serves it is told.
  void drain();
  /// The caller is gone: runs the cancel handler once; every later call does nothing.
  void cancel();
  /// A deadline is looked at: fails the request if one has passed. Returns when to look again.
  core::instant check(core::instant now);
  bool answer_began() const noexcept { return began_ || over_; }

private:
  const oap_settings& limits() const noexcept;
  std::uint16_t status() const noexcept;
  void hand_out_body();
  void give(body_frame f);
  bool inflate_front();
  void stage(const body_frame& f) noexcept;
  void unstage(const body_frame& f) noexcept;
  void drop_body();
  void over(std::uint16_t status, core::ec why);

  oap_stream_self self_;
  call call_;
  admission admitted_;
  const bool reply_objects_;
  std::list<body_frame> body_;        ///< bounded by our window; one of it inflated. Mostly empty,
                                      ///< and then it costs nothing
  bool ended_ = false;                ///< behind `body_` comes its end, which has no bytes
  body_handler wants_body_;
  core::instant body_since_{};        ///< since when a piece is waited for
  room_handler wants_room_;
  events_handler wants_turn_;
  std::function<void()> on_cancel_;
  std::optional<object_head> head_;   ///< of an answer that has begun
  bool began_ = false;                ///< the result map is out, bytes follow
  bool first_chunk_ = true;
  bool over_ = false;
  bool cancelled_ = false;
};

} // namespace ron::transport
