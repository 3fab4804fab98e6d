#pragma once

#include "ron/wire.hpp"

#include <cstdint>

namespace ron::sdk {

/// What the wires over a TCP socket share. Blocking, with deadlines; one thread.
class socket_wire : public wire {
public:
  ~socket_wire() override;
  socket_wire(const socket_wire&) = delete;
  socket_wire& operator=(const socket_wire&) = delete;
  bool independent_streams() const noexcept override { return false; }

protected:
  /// Takes over `fd`, which is non-blocking and connected.
  explicit socket_wire(int fd);

  /// Writes all of `slices`, as they are. Errors: downstream_timeout, degraded.
  core::result<void> write_all(const std::vector<core::bytes>& slices, core::instant deadline);
  /// Writes what the socket takes at once, for a last word nobody waits for.
  void write_some(const std::vector<core::bytes>& slices) noexcept;
  /// What one read brings, valid until the next; empty at the end. Errors: as `write_all`.
  core::result<core::byte_view> read_some(core::instant deadline);

private:
  core::result<void> wait(short events, core::instant deadline, const char* what);

  int fd_;
  std::vector<std::uint8_t> input_;
};

/// OAP/1 through an onion service, where Tor encrypts and proves who the node is.
core::result<std::unique_ptr<wire>> dial_onion(const client_options& options,
                                               core::instant deadline);

} // namespace ron::sdk
