#pragma once

#include "core/bytes.hpp"
#include "core/config_types.hpp"
#include "core/error.hpp"
#include "transport/quic/address.hpp"
#include "transport/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace ron::transport::quic {

/// A UDP socket that moves many datagrams with one system call: the kernel joins those of one
/// sender when it receives (GRO) and cuts what is sent (GSO). Non-blocking. One thread.
class udp_socket {
public:
  /// Joined datagrams of one read; what a thread keeps for all its sockets.
  static constexpr std::size_t read_bytes = 65'536;
  static constexpr std::size_t reads_max = 4; ///< of one `receive`, at most

  enum class outcome : std::uint8_t {
    done,
    full, ///< the kernel takes no more now: wait until the socket is writable
    lost, ///< not sent (too long for the path, no route); QUIC finds out by itself
  };

  /// `fd` is bound.
  explicit udp_socket(unique_fd fd);

  /// What a `receive` brought.
  struct taken {
    std::size_t datagrams = 0;
    bool all = true; ///< there was nothing left
    explicit operator bool() const noexcept { return datagrams != 0; }
  };

  /// Calls `f` with every datagram that is there and its path, ECN codepoint included, up to what
  /// `reads` reads bring (1 .. `reads_max`).
  taken receive(const std::function<void(const path& from, core::byte_view datagram)>& f,
               std::size_t reads = reads_max);

  /// Sends datagrams of `segment` bytes each (the last may be shorter) that lie behind each other,
  /// all marked with `to.ecn`.
  outcome send(const path& to, core::byte_view datagrams, std::size_t segment);

  int fd() const noexcept { return fd_.get(); }
  const address& local() const noexcept { return local_; }

private:
  outcome send_some(const path& to, core::byte_view datagrams, std::size_t segment);

  unique_fd fd_;
  address local_;
  bool any_address_; ///< bound to none in particular: each datagram says where it went
  bool gso_ = true;
};

/// Sockets on one address, one per shard.
struct udp_sockets {
  std::vector<unique_fd> fds;
  core::config::host_port where; ///< with the port that was chosen when 0 was asked for
};

/// Binds `count` sockets to `where`. The kernel gives a datagram to the socket whose number its
/// connection id begins with (decision "QUIC connection ids"). `buffer_bytes`: SO_RCVBUF and
/// SO_SNDBUF; the kernel may allow less. Errors: conflict, bad_request, forbidden, internal.
core::result<udp_sockets> bind_udp(const core::config::host_port& where, std::size_t count,
                                   std::size_t buffer_bytes);

/// A socket of a client on a free port, for peers of the family of `remote`. Errors: internal.
core::result<unique_fd> open_udp(const address& remote, std::size_t buffer_bytes);

/// The addresses that a name stands for. Blocks for DNS. Errors: bad_request.
core::result<std::vector<address>> resolve(const std::string& host, std::uint16_t port);

/// To which local address a socket is bound.
address local_address(int fd);

} // namespace ron::transport::quic
