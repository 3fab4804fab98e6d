// Pieces of work of the transport that are counted (counted.hpp): TLS without sockets, and the
// bound on inflation. Keys and signatures are random, so the figures of a handshake differ in the
// third digit.

#include "core/crypto/tls_session.hpp"
#include "gate/counted.hpp"
#include "transport/oap_inflate.hpp"

#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace ron;
using core::config::pq_mode;
using core::crypto::tls_context;
using core::crypto::tls_session;
using core::crypto::tls_ticket;

template <class T>
T value_of(core::result<T> r) {
  if (r)
    return std::move(*r);
  std::fprintf(stderr, "transport_count: %s\n", r.error().message.c_str());
  std::exit(1);
}

void must(bool ok) {
  if (!ok)
    std::abort();
}

/// Both sides' settings, made once.
struct tls_world {
  explicit tls_world(pq_mode pq)
      : identity(value_of(core::crypto::identity::make_development())),
        server(value_of(
          tls_context::make_server({.certificate = identity,
                                    .tickets = std::make_shared<core::crypto::ticket_keys>(),
                                    .alpn = {"oap/1"},
                                    .pq = pq}))),
        client(value_of(tls_context::make_client(
          {.pin = identity->cert_sha256(), .alpn = {"oap/1"}, .pq = pq}))) {
    // nop
  }
  core::crypto::identity_ptr identity;
  tls_context server;
  tls_context client;
};

/// Two sessions joined in memory.
class tls_pair {
public:
  explicit tls_pair(const tls_world& world, const std::optional<tls_ticket>& ticket = std::nullopt)
      : client_(value_of(tls_session::connect(world.client, "localhost", ticket))),
        server_(value_of(tls_session::accept(world.server))),
        room_(tls_session::room_for(1u << 18)) {
    // nop
  }

  void shake_hands() {
    while (carry(client_, server_) + carry(server_, client_) > 0) {
      // goes on
    }
    must(client_.is_open() && server_.is_open());
  }
  std::optional<tls_ticket> ticket() { return client_.take_ticket(); }
  bool resumed() const { return server_.info().resumed; }
  /// `slices` up and the same down; plaintext bytes that arrived.
  std::size_t echo(const std::vector<core::bytes>& slices) {
    must(client_.write(slices).has_value());
    const auto up = carry(client_, server_);
    must(server_.write(slices).has_value());
    return up + carry(server_, client_);
  }

private:
  /// Gives `to` what `from` has to send; bytes of ciphertext or plaintext, whichever is more.
  std::size_t carry(tls_session& from, tls_session& to) {
    sent_.clear();
    from.take_output(sent_);
    std::size_t moved = 0;
    for (const auto& b : sent_) {
      const auto done = value_of(to.feed(b.view(), room_));
      must(done.consumed == b.size());
      moved += std::max(done.consumed, done.produced);
    }
    return moved;
  }

  tls_session client_;
  tls_session server_;
  std::vector<core::bytes> sent_;
  std::vector<std::uint8_t> room_;
};

bench::counted_case handshakes(std::string_view name, pq_mode pq, bool resumed,
                               std::uint64_t count) {
  return {name, count, [=] {
            auto world = std::make_shared<tls_world>(pq);
            std::optional<tls_ticket> ticket;
            if (resumed) {
              tls_pair first{*world};
              first.shake_hands();
              ticket = first.ticket();
              must(ticket.has_value());
            }
            return [world, ticket, resumed, count]() mutable {
              std::uint64_t sum = 0;
              for (std::uint64_t i = 0; i < count; ++i) {
                tls_pair p{*world, ticket};
                p.shake_hands();
                must(p.resumed() == resumed);
                if (resumed)
                  ticket = p.ticket(); // each is good for one connection
                sum += p.resumed() ? 2 : 1;
              }
              return sum;
            };
          }};
}

/// `slices` of `size` bytes in one write, there and back.
bench::counted_case echoes(std::string_view name, std::size_t slices, std::size_t size,
                           std::uint64_t count) {
  return {name, count, [=] {
            auto pair = std::make_shared<tls_pair>(tls_world{pq_mode::off});
            pair->shake_hands();
            std::vector<core::bytes> payload(slices, core::bytes::copy(std::string(size, 'x')));
            return [pair, payload, count] {
              std::uint64_t sum = 0;
              for (std::uint64_t i = 0; i < count; ++i)
                sum += pair->echo(payload);
              return sum;
            };
          }};
}

std::string packed(std::size_t n) {
  const std::string raw(n, 'x');
  std::string out(ZSTD_compressBound(n), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
  return out;
}

/// A mebibyte that is taken, or a bomb of the same length that the bound on the ratio ends.
bench::counted_case inflations(std::string_view name, std::uint64_t ratio_max, bool taken,
                               std::uint64_t count) {
  return {name, count, [=] {
            constexpr std::uint32_t mib = 1u << 20;
            return [=, wire = packed(mib)] {
              std::uint64_t sum = 0;
              transport::inflate_limits limits;
              limits.ratio_max = ratio_max;
              for (std::uint64_t i = 0; i < count; ++i) {
                const auto raw = transport::inflate_frame(
                  {reinterpret_cast<const std::uint8_t*>(wire.data()), wire.size()}, mib, limits);
                must(raw.has_value() == taken);
                sum += raw ? raw->size() : 1;
              }
              return sum;
            };
          }};
}

} // namespace

int main(int argc, char** argv) {
  return bench::count_main(argc, argv,
                           {
                             handshakes("tls_handshake_full", pq_mode::off, false, 8),
                             handshakes("tls_handshake_resumed", pq_mode::off, true, 8),
                             handshakes("tls_handshake_hybrid", pq_mode::require, false, 8),
                             echoes("tls_echo_1024", 1, 1'024, 2'000),
                             echoes("tls_echo_65536", 1, 65'536, 100),
                             echoes("tls_write_coalesce_64k", 64, 1'024, 100),
                             inflations("bounded_inflate_guard_1mib", 1u << 20, true, 50),
                             inflations("bounded_inflate_refuses_1mib", 10, false, 1'000),
                           });
}
