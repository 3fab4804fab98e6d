#pragma once

#include "core/bytes.hpp"
#include "core/crypto/tls_context.hpp"
#include "core/crypto/tls_session.hpp"
#include "core/error.hpp"
#include "transport/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ron::bench {

/// Bytes of a resource, `length` of them from `first` on; at least one.
struct byte_range {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
};

/// What all connections ask for, and the bytes that it must consist of.
struct resource {
  std::string host;     ///< for the Host field
  std::string path;     ///< e.g. /v1/o/b3:...
  core::byte_view bytes; ///< every answer is compared with these; outlives the clients
};

/// One HTTP/1.1 connection over TLS that asks for one byte range at a time (RFC 9110, 14.2) and
/// compares status, Content-Range, Content-Length and every byte of the answer with the source.
/// No answer is believed: a client that found a difference is of no use any more. One thread.
class range_client {
public:
  /// Dials 127.0.0.1:`port` and completes the handshake; blocks until then.
  static core::result<range_client> connect(std::uint16_t port,
                                            const core::crypto::tls_context& context,
                                            const resource& what);

  /// The non-blocking socket, to be waited on.
  int native() const noexcept { return fd_.get(); }
  bool busy() const noexcept { return state_ != state::idle; }

  /// Sends a request. Not while `busy`.
  core::result<void> ask(const byte_range& r);
  /// Reads what the socket has. True when the answer is complete and as it must be.
  core::result<bool> readable();

private:
  enum class state : std::uint8_t { idle, head, body };

  range_client(transport::unique_fd fd, core::crypto::tls_session session, const resource& what);

  core::result<void> shake_hands();
  core::result<void> send_output();
  core::result<void> take(core::byte_view plain);
  core::result<void> check_head(std::string_view head) const;
  core::result<void> check_body(core::byte_view v);

  transport::unique_fd fd_;
  core::crypto::tls_session session_;
  const resource* what_;
  state state_ = state::idle;
  byte_range wanted_;
  std::uint64_t seen_ = 0; ///< bytes of the body
  std::string head_;
};

} // namespace ron::bench
