#pragma once

#include "core/actor/actor.hpp"
#include "oap/session.hpp"
#include "transport/link.hpp"
#include "transport/oap_line.hpp"
#include "transport/oap_messages.hpp"
#include "transport/oap_service.hpp"

#include <boost/asio/steady_timer.hpp>

#include <list>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace ron::transport {

class oap_connection;

struct oap_connection_state {
  static constexpr const char* name = "oap.connection";
  std::unique_ptr<oap_connection> connection; ///< closes its link when it goes
};

using oap_connection_self = core::dynamic_self<oap_connection_state>;

/// One OAP/1 connection of the accepting side. Owns the link, the session, which knows frames, and
/// the line, which knows deadlines; every stream has an actor (a slot). One read of the link
/// becomes many frames, and the events of each stream one message to its actor. What the streams
/// say is written once per turn.
///
/// Backpressure: the session refuses frames while the link is behind or the peer has granted no
/// more; what it refused waits here, at most `oap_stream_state::chunks_max` chunks a stream.
class oap_connection final : public link_events {
public:
  oap_connection(oap_connection_self self, oap_service_ptr service, oap_link_factory make_link,
                 wire via);
  ~oap_connection();

  /// Accepts no more streams, ends those that only wait, ends when the open ones have.
  void drain();
  /// What a stream wants to send.
  void from_stream(stream_output& out);

  // -- link_events -------------------------------------------------------------------
  void link_opened(const link_info& info) override;
  void link_read(core::bytes slice) override;
  void link_read_end(bool clean) override;
  void link_written() override;
  void link_breach(oap::reason why) override;
  void link_partial() override;
  void link_failed(const core::error& why) override;

private:
  /// The actor of a stream and what it said that is not with the session yet.
  struct slot {
    caf::actor actor;
    std::list<stream_item> pending{};             ///< mostly empty, and then it costs nothing
    oap::events events{};                         ///< of this read, emptied by `deliver`
    std::uint32_t room = 0;                       ///< chunks taken that the stream was not told of
    std::optional<core::instant> blocked_since{}; ///< since when nothing of `pending` moves
    bool starved = false;                         ///< for longer than `starved_after`
  };
  struct idle_slot {
    caf::actor actor;
    core::instant since;
  };

  using slot_map = std::unordered_map<oap::corr_t, slot>;
  /// What came of a stream's output so far.
  struct progress {
    slot& of;
    oap::corr_t corr;
    core::instant began; ///< of framing; the epoch if it is not timed
    std::uint32_t freed = 0;
    std::uint32_t turn = 0; ///< events that the peer takes, if `want_turn` was answered
    bool moved = false;
  };

  void pump();
  void write_later();
  void take_events();
  void happened(oap::corr_t corr, oap::event e);
  void deliver();
  void advance(oap::corr_t corr, slot& s);
  core::instant timed_now() const noexcept;
  bool give(progress& how, stream_item& item);
  void settle_slot(const progress& how);
  void retire(oap::corr_t corr);
  void retire(slot_map::iterator s);
  caf::actor take_actor();
  void write_out();
  void read_on();
  void settle();
  void arm();
  void trim_idle(core::instant now);
  void end_stalled(core::instant now);
  void block(slot& s, std::optional<core::instant> since);
  void find_starved(core::instant now);
  void count();
  void count_held();
  void log_rejects();
  std::uint64_t frames_in() const noexcept;
  void end(ending how);
  core::instant now() const noexcept {
    return service_->clock().now();
  }

  oap_connection_self self_;
  oap_service_ptr service_;
  wire via_;
  oap_line line_;
  link_ptr link_;
  link_info info_;
  std::optional<oap::session> session_;
  slot_map slots_;                                       ///< <= max_streams
  std::vector<idle_slot> idle_;                          ///< <= max_streams
  std::vector<oap::corr_t> touched_;                     ///< slots with `events`
  oap::events events_;
  std::vector<core::bytes> out_;
  oap::counters counted_;
  oap::reject_notes rejects_;
  std::int64_t staged_ = 0;      ///< as exported
  std::int64_t granted_ = 0;
  std::int64_t unacknowledged_ = 0;
  boost::asio::steady_timer timer_;
  std::optional<core::instant> armed_; ///< when the timer fires; never later than needed
  core::instant sweep_at_{};           ///< when streams are looked at that do not move
  core::instant starve_at_{};          ///< when blocked streams are looked at
  std::size_t blocked_ = 0;            ///< slots with `blocked_since`
  std::uint32_t advances_ = 0; ///< that gave the session chunks; every sixteenth is timed
  bool reading_ = false;
  bool read_ended_ = false;
  bool ended_ = false;
  ending how_ = ending::clean;
};

caf::behavior make_oap_connection(oap_connection_self self, oap_service_ptr service,
                                  oap_link_factory make_link, wire via);

} // namespace ron::transport
