#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "oap/session.hpp"
#include "ron/client.hpp"
#include "ron/wire.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ron::sdk {

/// A wire under an OAP session. Blocking; one thread.
class connection {
public:
  /// Connects and says HELLO; the peer's HELLO has been read when this returns, unless the wire is
  /// early: then all that is sent goes with it.
  static core::result<std::unique_ptr<connection>>
  open(const client_options& options, oap::session_settings settings = usual_settings());
  /// What the client says in its HELLO.
  static oap::session_settings usual_settings();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// The session: commands are queued by it and sent by the next `step`.
  oap::session& session() noexcept { return session_; }

  /// Sends what is queued and, unless there are events already, waits for the peer until
  /// `deadline`. Returns what happened, never empty. Errors: downstream_timeout, degraded.
  core::result<oap::events> step(core::instant deadline);

  /// Waits, if need be, until one more stream may be opened: a node refuses more than twice
  /// max_streams in a second (OAP1.md, credit).
  void pace();

  std::string tls_description() const { return wire_->description(); }

private:
  connection(std::unique_ptr<wire> w, oap::session_settings settings)
      : wire_(std::move(w)), session_(oap::role::dialer, std::move(settings)) {
    // nop
  }
  core::result<void> receive(core::instant deadline);

  std::unique_ptr<wire> wire_;
  oap::session session_;
  std::vector<core::bytes> plain_;
  core::instant window_{}; ///< when the second of `opened_` began
  std::uint32_t opened_ = 0;
};

} // namespace ron::sdk
