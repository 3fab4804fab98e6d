#pragma once

#include "core/crypto/tls_session.hpp"
#include "transport/tor/socks5.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ron::load {

/// What lies between the socket of a load program and OAP/1. Pure; one thread.
class echo_wire {
public:
  virtual ~echo_wire() = default;
  /// Takes what one read brought and appends what it means to `plain`.
  virtual core::result<void> on_bytes(core::byte_view raw, std::vector<core::bytes>& plain) = 0;
  /// Takes what is to be sent; empty slices are nothing. Only when open.
  virtual core::result<void> write(std::vector<core::bytes>& plain) = 0;
  /// Appends what the socket has to send.
  virtual void take_output(std::vector<core::bytes>& raw) = 0;
  /// Nothing is in the way any more.
  virtual bool is_open() const noexcept = 0;
  /// The last word, if the wire has one.
  virtual void shutdown() = 0;
  /// Where there is TLS.
  virtual core::crypto::tls_session* tls() noexcept { return nullptr; }
};

using wire_maker = std::function<core::result<std::unique_ptr<echo_wire>>(
  const std::optional<core::crypto::tls_ticket>& ticket)>;

/// TLS 1.3; `context` must live as long as the connections.
wire_maker tls_wires(const core::crypto::tls_context& context, const std::string& name);

/// SOCKS5 to an onion service, then nothing: Tor encrypts.
wire_maker onion_wires(const transport::tor::socks5_request& to);

} // namespace ron::load
