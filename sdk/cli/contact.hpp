#pragma once

#include "core/error.hpp"
#include "core/json_fwd.hpp"
#include "options.hpp"
#include "ron/client.hpp"

#include <optional>
#include <string>

namespace ron::cli {

/// Where the node is and how to be let in; from the options every command has and RONCTL_NODE,
/// RONCTL_ADMIN, RONCTL_CAP in the environment.
struct target {
  address node{"127.0.0.1", 9443};
  address admin{"127.0.0.1", 9600};
  bool quic = false;       ///< not TLS over TCP
  bool early_data = false; ///< 0-RTT where the node allows it
  std::optional<address> socks; ///< of a tor daemon; set for every onion address
  std::string pin;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  core::config::pq_mode pq = core::config::pq_mode::off;
  std::string token;      ///< binary; from --cap FILE or RONCTL_CAP, never from the command line
  sdk::milliseconds timeout{5'000};
};

/// What a node on this machine tells its own user over the abstract socket `@ron-<admin port>`.
struct first_contact {
  std::string cert_sha256;
  std::string token;      ///< binary
  std::string token_text; ///< as it came, base64url
};

/// Options every command has.
extern const std::span<const option_spec> common_options;

core::result<target> target_of(const arguments& args);

/// Errors: degraded when no node of this user listens there.
core::result<first_contact> ask_operator_socket(std::uint16_t admin_port);

/// A connected client. For a loopback node without --pin or --ca it asks the operator socket
/// first; elsewhere it needs one of them.
core::result<sdk::client> connect(const target& t);

/// `GET path` from the admin listener as JSON. Errors: degraded, downstream_5xx.
core::result<core::json> admin_get(const target& t, const std::string& path);

} // namespace ron::cli
