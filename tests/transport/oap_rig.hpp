#pragma once

#include "crypto/tls_pair.hpp"
#include "oap/session.hpp"
#include "support/actor_fixture.hpp"
#include "transport/oap_service.hpp"
#include "transport/sockets.hpp"
#include "transport/tls/tls_link.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// OAP connections and streams of a real shard over real sockets, with toy operations behind them,
/// and a blocking client for the other end.
namespace ron::test {

/// Lets everybody in, or nobody.
class open_gate final : public transport::gate {
public:
  void admit(const transport::call&,
             std::function<void(core::result<transport::admission>)> then) override {
    if (auto e = refuse.load(); e != core::ec::none)
      return then(core::fail(e, "refused by the gate"));
    transport::admission a;
    ++slots;
    a.slot = transport::admission_slot{this, [this](void*) {
                                         --slots;
                                       }};
    then(std::move(a));
  }

  std::atomic<core::ec> refuse{core::ec::none};
  std::atomic<int> slots{0};
};

/// What the toy operations did, seen by the test's thread.
struct oap_world {
  std::atomic<int> cancelled{0};     ///< cancel handlers that ran
  std::atomic<int> bodies_failed{0}; ///< bodies that will not come
  std::atomic<std::uint64_t> uploaded{0};
  std::atomic<std::uint64_t> produced{0};
  std::vector<transport::exchange_ptr> held{}; ///< nobody answers them; their shard's
};

/// `hang` (never answers), `wait` (the same, a long poll), `sink` (swallows a body),
/// `object` (`size` bytes in pieces of 32 KiB), `torn` (one that fails after its first piece),
/// `throw` (throws), `throw.late` (throws when it is given a piece of a body), `ping`, `echo`.
std::vector<transport::operation> oap_toys(oap_world& world);

/// The dialing side: a blocking TLS socket and a session. It reads only in `until` and `at_end`.
class oap_client {
public:
  oap_client(tls_peer peer, oap::session_settings settings);

  oap::session& session() {
    return session_;
  }
  tls_peer& socket() {
    return peer_;
  }

  /// Opens a stream; 0 if that fails. Null `args`: none.
  oap::corr_t open(std::string_view name, core::json args = {}, oap::open_request r = {});
  /// Sends all that the session has for the link.
  bool flush();
  /// Reads until `condition(*this)`; false at the end of the connection and after 20 s.
  bool until(const std::function<bool(const oap_client&)>& condition);
  /// Reads until something matches; null if it never does.
  template <class E>
  const E* find(const std::function<bool(const E&)>& match = [](const E&) { return true; }) {
    const E* hit = nullptr;
    until([&](const oap_client& c) {
      for (const auto& e : c.seen)
        if (auto* x = std::get_if<E>(&e); x && match(*x))
          hit = x;
      return hit != nullptr;
    });
    return hit;
  }
  /// The ERROR that ends stream `corr`; null if none comes.
  const oap::stream_error* error_of(oap::corr_t corr) {
    return find<oap::stream_error>([corr](const auto& e) { return e.corr == corr; });
  }
  /// Waits for the answer's END; false if none comes.
  bool ended(oap::corr_t corr) {
    return find<oap::ended>([corr](const auto& e) { return e.corr == corr; }) != nullptr;
  }
  /// Reads until the other side closes; false if it does not within 20 s.
  bool at_end();
  std::size_t bytes_of(oap::corr_t corr) const;

  bool consumes = true; ///< gives credit for what arrives
  std::vector<oap::event> seen;

private:
  bool pump();
  void take();

  tls_peer peer_;
  oap::session session_;
  oap::events events_;
};

class OapRig : public ShardFixture {
public:
  OapRig();
  ~OapRig() override;

  /// Makes a connection; the settings are those of the first one. `hello` false: nothing was said
  /// after the TLS handshake yet.
  oap_client& dial(int buffer_bytes = 0, oap::session_settings mine = {});
  /// The same, without even a handshake.
  tls_peer dial_socket(int buffer_bytes = 0);
  caf::actor connection(std::size_t i = 0) {
    return connections_.at(i);
  }

  /// Waits until all is as before the first connection, and `n` of them ended `how`.
  bool quiet(transport::ending how, std::uint64_t n = 1);

  /// Other settings for the connections from now on.
  void reload() {
    service_->settings(settings);
  }
  transport::oap_metrics& wire() {
    return service_->wire();
  }
  transport::request_metrics& requests() {
    return service_->requests();
  }

  tls_world world;
  core::system_clock clock;
  core::metrics::registry registry;
  open_gate gate;
  oap_world toys;
  transport::oap_settings settings;

private:
  void start();

  std::shared_ptr<transport::oap_service> service_;
  std::vector<caf::actor> connections_;
  std::vector<std::unique_ptr<oap_client>> clients_;
};

} // namespace ron::test
