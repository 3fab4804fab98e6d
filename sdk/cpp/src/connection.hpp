#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/crypto/tls_session.hpp"
#include "core/error.hpp"
#include "oap/session.hpp"
#include "ron/client.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ron::sdk {

/// A blocking TCP socket under a TLS session under an OAP session. One thread.
class connection {
public:
  /// Connects and says HELLO; the peer's HELLO has been read when this returns.
  static core::result<std::unique_ptr<connection>>
  open(const client_options& options, const oap::session_settings& settings = usual_settings());
  /// What the client says in its HELLO.
  static oap::session_settings usual_settings();
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// The session: commands are queued by it and sent by the next `step`.
  oap::session& session() noexcept { return *session_; }

  /// Sends what is queued and, unless there are events already, waits for the peer until
  /// `deadline`. Returns what happened, never empty. Errors: downstream_timeout, degraded.
  core::result<oap::events> step(core::instant deadline);

  /// Waits, if need be, until one more stream may be opened: a node refuses more than twice
  /// max_streams in a second (OAP1.md, credit).
  void pace();

  std::string tls_description() const;

private:
  explicit connection(int fd) : fd_(fd) {}
  core::result<void> handshake(const client_options& options, core::instant deadline);
  core::result<void> flush(core::instant deadline);
  core::result<void> receive(core::instant deadline);
  core::result<void> wait(short events, core::instant deadline, const char* what);

  int fd_;
  std::optional<core::crypto::tls_session> tls_;
  std::optional<oap::session> session_;
  std::vector<core::bytes> plain_;
  std::vector<core::bytes> cipher_;
  std::vector<std::uint8_t> input_;
  core::instant window_{};      ///< when the second of `opened_` began
  std::uint32_t opened_ = 0;
};

} // namespace ron::sdk
