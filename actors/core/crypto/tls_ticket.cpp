#include "core/crypto/tls_ticket.hpp"

#include <openssl/ssl.h>

#include <utility>

namespace ron::core::crypto {

struct tls_ticket::impl {
  tls_context context; // keeps the context alive, so that its address stays its name
  std::string server_name;
  ssl_session_ptr session;
};

tls_ticket make_ticket(const tls_context& context, std::string server_name,
                       ssl_session_ptr session) {
  // OpenSSL marks the session of a connection that ends without close_notify as not resumable: a
  // copy is not that connection's, and what a broken connection left is what is wanted most.
  if (ssl_session_ptr own{SSL_SESSION_dup(session.get())})
    session = std::move(own);
  return tls_ticket{
    std::make_shared<tls_ticket::impl>(context, std::move(server_name), std::move(session))};
}

bool offer_ticket(const tls_ticket& ticket, ssl_st* ssl, const tls_context& context,
                  const std::string& server_name) {
  const auto& old = ticket.get();
  return old.context.native() == context.native() && old.server_name == server_name
         && SSL_set_session(ssl, old.session.get()) == 1;
}

bool allows_early_data(const tls_ticket& ticket) {
  return SSL_SESSION_get_max_early_data(ticket.get().session.get()) == 0xffff'ffff;
}

} // namespace ron::core::crypto
