#pragma once

#include "core/actor/actor.hpp"
#include "oap/corr_map.hpp"
#include "oap/session.hpp"
#include "transport/link.hpp"
#include "transport/oap_line.hpp"
#include "transport/oap_outbox.hpp"
#include "transport/oap_service.hpp"
#include "transport/oap_stream.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ron::transport {

class oap_connection;

struct oap_connection_state {
  static constexpr const char* name = "oap.connection";
  std::unique_ptr<oap_connection> connection; ///< closes its link when it goes
};

/// One OAP/1 connection of the accepting side. Owns the link, the session, which knows frames, and
/// the line, which knows deadlines; every stream has an actor (a slot). One read of the link
/// becomes many frames, and what happened to a stream is handed to its actor in place. What the
/// streams say lies in their boxes and is written once per turn.
///
/// Backpressure: the session refuses frames while the link is behind or the peer has granted no
/// more; what it refused stays in the box, at most `oap_stream_state::chunks_max` chunks a stream.
class oap_connection final : public link_events {
public:
  oap_connection(oap_connection_self self, oap_service_ptr service, oap_settings_ptr settings,
                 oap_link_factory make_link, wire via);
  ~oap_connection();

  /// Accepts no more streams, ends those that only wait, ends when the open ones have.
  void drain();
  /// The stream has put something into its box, or its actor has ended.
  void has_spoken(oap::corr_t corr);

  // -- link_events -------------------------------------------------------------------
  void link_opened(const link_info& info) override;
  void link_read(core::bytes slice) override;
  void link_read_end(bool clean) override;
  void link_written() override;
  void link_breach(oap::reason why) override;
  void link_partial() override;
  void link_failed(const core::error& why) override;

private:
  /// An actor for streams, its box, and the stream it serves now.
  struct slot {
    core::port<oap_stream_self> actor;
    std::shared_ptr<oap_outbox> box;
    oap::corr_t corr = 0;                         ///< 0: it is idle
    core::instant idle_since{};
    std::optional<core::instant> blocked_since{}; ///< since when nothing of the box moves
    bool starved = false;                         ///< for longer than `starved_after`
    bool waits = false; ///< the session will say when it takes more (`oap::credit`)
  };
  /// What came of a stream's output so far.
  struct progress {
    std::uint32_t turn = 0; ///< events that the peer takes, if `want_turn` was answered
    std::uint32_t freed = 0;
    bool moved = false;
    bool over = false; ///< our half has ended: the session may know the stream no more
  };

  void pump();
  void hand_out();
  void write_soon();
  void write_later();
  void take_events();
  void happened(oap::corr_t corr, std::span<oap::event> events);
  void listen();
  void take_from(slot& s, progress& how);
  bool give(slot& s, stream_item& item, progress& how);
  void settle_slot(slot& s, const progress& how);
  void advance(oap::corr_t corr);
  void retire(slot& s);
  void lose(slot& s);
  void vacate(slot& s);
  void drop_idle();
  slot& occupy(oap::corr_t corr);
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
  const oap_settings_ptr settings_;
  wire via_;
  oap_line line_;
  link_ptr link_;
  link_info info_;
  std::optional<oap::session> session_;
  std::vector<std::unique_ptr<slot>> slots_; ///< all, idle ones too; <= max_streams
  oap::corr_map<slot*> open_;                ///< those that serve a stream
  std::vector<slot*> idle_;                  ///< those that serve none, longest idle first
  std::vector<oap::corr_t> speaking_;        ///< streams to look at; each once, and those they were
  std::vector<oap::corr_t> heard_;           ///< scratch of `listen`
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
  std::uint32_t turns_ = 0;    ///< that gave the session chunks; every sixteenth is timed
  bool collecting_ = false; ///< a read is being handed out; what streams say is looked at after it
  bool silent_ = false;     ///< one of them has not spoken: its answer is on its way
  bool reading_ = false;
  bool read_ended_ = false;
  bool ended_ = false;
  ending how_ = ending::clean;
};

caf::behavior make_oap_connection(oap_connection_self self, oap_service_ptr service,
                                  oap_settings_ptr settings, oap_link_factory make_link, wire via);

} // namespace ron::transport
