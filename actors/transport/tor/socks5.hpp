#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "transport/tor/unavailable.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ron::transport::tor {

/// What a SOCKS5 server is asked for.
struct socks5_request {
  std::string host;       ///< 1..255 bytes; resolved by the server, never here
  std::uint16_t port = 0; ///< from 1
  /// Connections with different words share no circuit: they go out as the user name that Tor's
  /// IsolateSOCKSAuth looks at. 0..255 bytes; empty: no authentication is offered.
  std::string isolation;
};

/// The client's half of SOCKS5 CONNECT (RFC 1928) with user name and password (RFC 1929) and the
/// answers Tor adds. Pure: bytes in, bytes out. One connection, one owner.
///
/// Bounds: never holds more than `answer_bytes_max` bytes of the peer; takes not one byte beyond
/// the answer, so what follows belongs to the tunnel.
class socks5_dial {
public:
  static constexpr std::size_t answer_bytes_max = 262; ///< the longest reply: a name of 255 bytes

  /// Error: bad_request for a host, port or word out of range.
  static core::result<socks5_dial> make(socks5_request request);

  /// Bytes that have to be sent now, each once. Empty: nothing.
  std::string take_output();
  /// Bytes that came from the server; returns how many of them were the server's own.
  std::size_t on_bytes(core::byte_view in);
  /// The server closed the connection.
  void on_eof();

  /// The tunnel is open: from here on bytes are the target's.
  bool is_open() const noexcept { return at_ == step::open; }
  /// Set when there will be no tunnel; nothing more is sent or taken.
  const std::optional<unavailable>& failure() const noexcept { return failure_; }

private:
  enum class step : std::uint8_t { method, auth, reply, open, failed };

  explicit socks5_dial(socks5_request request);
  std::size_t wanted() const noexcept;
  void take_answer();
  void connect();
  void fail(trouble why, std::string_view said = {});

  socks5_request request_;
  step at_ = step::method;
  std::string out_;
  std::array<std::uint8_t, answer_bytes_max> in_{};
  std::size_t have_ = 0;
  std::optional<unavailable> failure_;
};

} // namespace ron::transport::tor
