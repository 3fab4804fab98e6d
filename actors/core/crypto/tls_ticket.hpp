#pragma once

#include "core/crypto/openssl.hpp"
#include "core/crypto/tls_session.hpp"

#include <string>

/// Tickets for whoever drives OpenSSL: tls_session, and QUIC, which carries TLS itself.
namespace ron::core::crypto {

/// Of what OpenSSL put into the slot (`ticket_slot_index`) of a session that `context` made for
/// `server_name`.
tls_ticket make_ticket(const tls_context& context, std::string server_name,
                       ssl_session_ptr session);

/// Offers the ticket on `ssl`, a new session of `context` for `server_name`. One that comes from
/// another context or server is not offered: a ticket never widens whom a client trusts. True if it
/// was.
bool offer_ticket(const tls_ticket& ticket, ssl_st* ssl, const tls_context& context,
                  const std::string& server_name);

/// True if the server takes early data with this ticket over QUIC (RFC 9001, 4.6.1).
bool allows_early_data(const tls_ticket& ticket);

} // namespace ron::core::crypto
