#pragma once

#include "core/crypto/tls_session.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ron::test {

/// Everything that waits in the output of `s`, as one string of ciphertext.
inline std::string drain(core::crypto::tls_session& s) {
  std::vector<core::bytes> out;
  s.take_output(out);
  std::string all;
  for (auto& x : out)
    all += x.text();
  return all;
}

/// Two TLS sessions joined in memory. Verbs: `shake_hands`, `pass`, `say`.
struct tls_pair {
  core::crypto::tls_session client;
  core::crypto::tls_session server;
  std::string client_got{}; ///< plaintext
  std::string server_got{};
  std::optional<core::error> client_error{};
  std::optional<core::error> server_error{};

  /// Feeds `ciphertext` in pieces of `step` bytes; true if the session took it without error.
  static bool feed(core::crypto::tls_session& to, const std::string& ciphertext, std::string& got,
                   std::optional<core::error>& failed, std::size_t step) {
    core::byte_view rest{reinterpret_cast<const std::uint8_t*>(ciphertext.data()),
                         ciphertext.size()};
    std::vector<std::uint8_t> room(core::crypto::tls_session::room_for(step));
    while (!rest.empty()) {
      auto piece = rest.first(std::min(step, rest.size()));
      auto done = to.feed(piece, room);
      if (!done) {
        failed = done.error();
        return false;
      }
      got.append(reinterpret_cast<const char*>(room.data()), done->produced);
      rest = rest.subspan(done->consumed);
      if (done->consumed == 0 && done->produced == 0)
        break;
    }
    return true;
  }

  /// Moves ciphertext both ways until nothing is left or one side fails.
  bool pass(std::size_t step = 1 << 17) {
    for (;;) {
      auto up = drain(client);
      auto down = drain(server);
      if (up.empty() && down.empty())
        return true;
      bool ok = feed(server, up, server_got, server_error, step);
      if (!feed(client, down, client_got, client_error, step) || !ok) {
        feed(client, drain(server), client_got, client_error, step); // an alert
        return false;
      }
    }
  }

  bool open() const { return client.is_open() && server.is_open(); }

  static core::result<void> say(core::crypto::tls_session& from, std::string_view text) {
    std::vector<core::bytes> slices{core::bytes::copy(text)};
    return from.write(slices);
  }
};

/// A development certificate, ticket keys, and contexts made with them.
struct tls_world {
  core::crypto::identity_ptr certificate = core::crypto::identity::make_development().value();
  core::crypto::ticket_keys_ptr tickets = std::make_shared<core::crypto::ticket_keys>();

  core::crypto::tls_server_options server_options() const {
    return {.certificate = certificate, .tickets = tickets, .alpn = {"oap/1"}};
  }
  core::crypto::tls_client_options client_options() const {
    return {.pin = certificate->cert_sha256(), .alpn = {"oap/1"}};
  }
  static tls_pair join(const core::crypto::tls_context& client,
                       const core::crypto::tls_context& server,
                       const std::optional<core::crypto::tls_ticket>& ticket = std::nullopt,
                       const std::string& name = "localhost") {
    return {.client = core::crypto::tls_session::connect(client, name, ticket).value(),
            .server = core::crypto::tls_session::accept(server).value()};
  }
  tls_pair pair() const {
    return join(core::crypto::tls_context::make_client(client_options()).value(),
                core::crypto::tls_context::make_server(server_options()).value());
  }
};

} // namespace ron::test
