#include "core/ids.hpp"
#include "transport/quic/connection_impl.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ron::transport::quic {

namespace {

using impl = connection::impl;

impl& self(void* user) {
  return *static_cast<impl*>(user);
}

void random(std::uint8_t* out, std::size_t n, const ngtcp2_rand_ctx*) {
  core::random_bytes({out, n});
}

int new_id(ngtcp2_conn*, ngtcp2_cid* id, ngtcp2_stateless_reset_token* token, std::size_t size,
           void* user) {
  auto& me = self(user);
  reset_token reset{};
  const auto made = me.ids.make_id(me.owner, reset);
  if (made.size != size)
    return NGTCP2_ERR_CALLBACK_FAILURE;
  me.own_ids.push_back(made);
  *id = to_native(made);
  std::memcpy(token->data, reset.data(), reset.size());
  return 0;
}

int remove_id(ngtcp2_conn*, const ngtcp2_cid* id, void* user) {
  auto& me = self(user);
  const auto gone = of_native(*id);
  std::erase(me.own_ids, gone);
  me.ids.retire_id(gone);
  return 0;
}

/// RFC 9001, 8.1: without a protocol there is no connection.
int refuse_protocol(ngtcp2_conn* conn) {
  constexpr std::uint8_t no_application_protocol = 120;
  ngtcp2_conn_set_tls_alert(conn, no_application_protocol);
  return NGTCP2_ERR_CALLBACK_FAILURE;
}

int crypto_data(ngtcp2_conn* conn, ngtcp2_encryption_level level, std::uint64_t offset,
                const std::uint8_t* data, std::size_t n, void* user) {
  if (self(user).ssl)
    return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, n, user);
  constexpr std::uint8_t unexpected_message = 10; // RFC 9001, 4.4 and 6; RFC 8446, 6
  ngtcp2_conn_set_tls_alert(conn, unexpected_message);
  return NGTCP2_ERR_CRYPTO;
}

int stream_data(ngtcp2_conn* conn, std::uint32_t flags, std::int64_t id, std::uint64_t,
                const std::uint8_t* data, std::size_t n, void* user, void*) {
  auto& me = self(user);
  const bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
  if (me.state == connection::phase::handshake && me.who == side::server && !me.early) {
    if (!me.speaks_oap())
      return refuse_protocol(conn);
    me.early = true; // only early data comes before the end of the handshake
  }
  // The window of a stream opens as it is read: OAP/1 grants frames, the connection's window bounds
  // what nobody took.
  if (!fin)
    ngtcp2_conn_extend_max_stream_offset(conn, id, n);
  me.events->on_stream_data(id, {data, n}, fin);
  return 0;
}

int stream_opened(ngtcp2_conn*, std::int64_t id, void* user) {
  auto& opened = self(user).streams_opened;
  opened = std::max(opened, static_cast<std::uint64_t>(id) / 4 + 1);
  return 0;
}

int stream_reset(ngtcp2_conn* conn, std::int64_t id, std::uint64_t, std::uint64_t code, void* user,
                 void*) {
  (void)conn;
  self(user).events->on_stream_reset(id, code);
  return 0;
}

int stream_stopped(ngtcp2_conn*, std::int64_t id, std::uint64_t code, void* user, void*) {
  auto& me = self(user);
  if (auto* s = me.find(id))
    me.kill(*s); // ngtcp2 answers with RESET_STREAM
  me.events->on_stream_stopped(id, code);
  return 0;
}

int stream_closed(ngtcp2_conn*, std::uint32_t, std::int64_t id, std::uint64_t, void* user, void*) {
  auto& me = self(user);
  if (auto* s = me.find(id)) {
    me.kill(*s);
    me.streams.erase(id);
  }
  if (me.who == side::server)
    me.allow_streams();
  me.events->on_stream_closed(id);
  return 0;
}

int acknowledged(ngtcp2_conn*, std::int64_t id, std::uint64_t offset, std::uint64_t n, void* user,
                 void*) {
  if (auto* s = self(user).find(id))
    s->queue.acknowledged(offset + n);
  return 0;
}

int more_stream_data(ngtcp2_conn*, std::int64_t id, std::uint64_t, void* user, void*) {
  auto& me = self(user);
  if (auto* s = me.find(id); s && s->blocked) {
    s->blocked = false;
    me.stand_in_line(*s);
  }
  return 0;
}

int more_streams(ngtcp2_conn*, std::uint64_t, void* user) {
  auto& me = self(user);
  if (me.events && me.state == connection::phase::open)
    me.events->on_streams_allowed();
  return 0;
}

int was_reset(ngtcp2_conn*, const ngtcp2_pkt_stateless_reset2*, void* user) {
  self(user).ending.silent = true;
  return 0;
}

int keep_token(ngtcp2_conn*, const std::uint8_t* token, std::size_t n, void* user) {
  if (n <= connection::token_max)
    self(user).given_token.assign(token, token + n);
  return 0;
}

int update_key(ngtcp2_conn* conn, std::uint8_t* rx_secret, std::uint8_t* tx_secret,
               ngtcp2_crypto_aead_ctx* rx, std::uint8_t* rx_iv, ngtcp2_crypto_aead_ctx* tx,
               std::uint8_t* tx_iv, const std::uint8_t* current_rx, const std::uint8_t* current_tx,
               std::size_t n, void* user) {
  ++self(user).keys_made;
  return ngtcp2_crypto_update_key_cb(conn, rx_secret, tx_secret, rx, rx_iv, tx, tx_iv, current_rx,
                                     current_tx, n, user);
}

int shook_hands(ngtcp2_conn* conn, void* user) {
  auto& me = self(user);
  if (!me.speaks_oap())
    return refuse_protocol(conn);
  me.fate = me.early_verdict();
  if (std::exchange(me.early, false) && me.who == side::client && me.fate != early_fate::accepted) {
    ngtcp2_conn_tls_early_data_rejected(conn);
    if (!me.repeat_early())
      return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  me.state = connection::phase::open;
  if (me.events)
    me.events->on_open();
  if (me.who == side::server && me.tokens) { // spares the peer Retry next time
    std::uint8_t token[NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN];
    const auto& key = me.tokens->token_key();
    const auto n =
      ngtcp2_crypto_generate_regular_token(token, key.data(), key.size(), me.where.remote.get(),
                                           me.where.remote.size, ngtcp2_conn_get_timestamp(conn));
    if (n > 0)
      ngtcp2_conn_submit_new_token(conn, token, static_cast<std::size_t>(n));
  }
  return 0;
}

} // namespace

ngtcp2_callbacks connection::impl::callbacks(side s) {
  ngtcp2_callbacks out{};
  if (s == side::client) {
    out.client_initial = ngtcp2_crypto_client_initial_cb;
    out.recv_retry = ngtcp2_crypto_recv_retry_cb;
    out.recv_new_token = keep_token;
    out.extend_max_local_streams_bidi = more_streams;
  } else {
    out.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    out.stream_open = stream_opened;
  }
  out.recv_crypto_data = crypto_data;
  out.encrypt = ngtcp2_crypto_encrypt_cb;
  out.decrypt = ngtcp2_crypto_decrypt_cb;
  out.hp_mask = ngtcp2_crypto_hp_mask_cb;
  out.update_key = update_key;
  out.recv_stateless_reset2 = was_reset;
  out.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
  out.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
  out.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
  out.get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb;
  out.rand = random;
  out.get_new_connection_id2 = new_id;
  out.remove_connection_id = remove_id;
  out.handshake_completed = shook_hands;
  out.recv_stream_data = stream_data;
  out.stream_reset = stream_reset;
  out.stream_stop_sending = stream_stopped;
  out.stream_close = stream_closed;
  out.acked_stream_data_offset = acknowledged;
  out.extend_max_stream_data = more_stream_data;
  return out;
}

} // namespace ron::transport::quic
