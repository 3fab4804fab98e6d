#include "transport/quic/connection.hpp"

#include "core/crypto/tls_ticket.hpp"
#include "core/ids.hpp"
#include "transport/quic/connection_impl.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ron::transport::quic {

using core::instant;
using core::result;

namespace {

constexpr std::size_t client_dcid_bytes = 16;
constexpr std::uint64_t id_limit = 4; ///< of the peer's ids that we keep for migration
/// How long acknowledgements wait for something to go with (`connection::impl::may_wait`).
constexpr ngtcp2_duration answer_patience = NGTCP2_MILLISECONDS;
constexpr std::size_t params_max = 256; ///< bytes of remembered transport parameters

core::instant instant_of(ngtcp2_tstamp t) noexcept {
  return instant{std::chrono::nanoseconds{static_cast<std::int64_t>(t)}};
}

} // namespace

// -- birth and death -----------------------------------------------------------------

connection::impl::impl(connection& o, id_source& source, const path& w, instant now)
    : owner(o), ids(source), where(w), last_time(to_native(now)) {
  ngtcp2_ccerr_default(&error);
}

connection::impl::~impl() {
  if (ssl)
    take_leave_of_tls();
  conn.reset();
  for (const auto& id : own_ids)
    ids.retire_id(id);
}

ngtcp2_settings connection::impl::settings_of(const connection_settings& s, instant now) {
  const auto longest = static_cast<std::uint16_t>(std::clamp<std::size_t>(
    s.payload_max, NGTCP2_MAX_UDP_PAYLOAD_SIZE + 1, NGTCP2_MAX_TX_UDP_PAYLOAD_SIZE));
  probes.back() = longest;
  for (auto& size : probes)
    size = std::min(size, longest);
  ngtcp2_settings out;
  ngtcp2_settings_default(&out);
  out.initial_ts = to_native(now);
  out.max_tx_udp_payload_size = longest;
  out.pmtud_probes = probes.data();
  out.pmtud_probeslen = probes.size();
  out.cc_algo = s.bbr ? NGTCP2_CC_ALGO_BBR : NGTCP2_CC_ALGO_CUBIC;
  out.max_window = 0; // `receive_window` does it
  window = {s.window, s.window_max};
  out.max_stream_window = s.stream_window_max;
  out.ack_thresh = s.ack_every;
  out.handshake_timeout = to_native(s.handshake_timeout);
  return out;
}

ngtcp2_transport_params connection::impl::params_of(const connection_settings& s, side who) {
  ngtcp2_transport_params out;
  ngtcp2_transport_params_default(&out);
  out.initial_max_data = s.window;
  out.initial_max_stream_data_bidi_local = s.stream_window;
  out.initial_max_stream_data_bidi_remote = s.stream_window;
  out.initial_max_streams_bidi = who == side::server ? std::uint64_t{s.streams_max} + 1 : 0;
  out.max_idle_timeout = to_native(s.idle_timeout);
  out.active_connection_id_limit = id_limit;
  return out;
}

connection::connection() = default;
connection::~connection() = default;

result<std::unique_ptr<connection>> connection::start(std::unique_ptr<connection> c,
                                                      const core::crypto::tls_context& tls,
                                                      const std::string& server_name,
                                                      const resumption& from, int made) {
  if (made != 0)
    return core::fail(core::ec::internal, std::string{"QUIC: "} + ngtcp2_strerror(made));
  if (auto ok = c->impl_->start_tls(tls, server_name, from); !ok)
    return std::unexpected{ok.error()};
  return c;
}

result<std::unique_ptr<connection>> connection::connect(const connection_settings& settings,
                                                        const core::crypto::tls_context& tls,
                                                        const std::string& server_name,
                                                        const path& where, id_source& ids,
                                                        instant now, const resumption& from) {
  std::unique_ptr<connection> c{new connection};
  c->impl_ = std::make_unique<impl>(*c, ids, where, now);
  auto& me = *c->impl_;
  me.who = side::client;
  me.early_allowed = settings.early_data;
  me.ack_every = settings.ack_every;
  me.key_bytes = settings.key_bytes;
  auto native = me.settings_of(settings, now);
  native.token = from.token.data();
  native.tokenlen = from.token.size();
  const auto params = impl::params_of(settings, side::client);
  const auto callbacks = impl::callbacks(side::client);
  ngtcp2_cid dcid{};
  dcid.datalen = client_dcid_bytes;
  core::random_bytes({dcid.data, dcid.datalen});
  reset_token unused{};
  me.own_ids.push_back(ids.make_id(*c, unused));
  const auto scid = to_native(me.own_ids.back());
  const auto p = to_native(where);
  ngtcp2_conn* made = nullptr;
  const int rc = ngtcp2_conn_client_new(&made, &dcid, &scid, &p, NGTCP2_PROTO_VER_V1, &callbacks,
                                        &native, &params, nullptr, &me);
  me.conn.reset(made);
  return start(std::move(c), tls, server_name, from, rc);
}

result<std::unique_ptr<connection>> connection::accept(const connection_settings& settings,
                                                       const core::crypto::tls_context& tls,
                                                       const first_packet& first, const path& where,
                                                       id_source& ids, secrets_ptr keys,
                                                       instant now) {
  std::unique_ptr<connection> c{new connection};
  c->impl_ = std::make_unique<impl>(*c, ids, where, now);
  auto& me = *c->impl_;
  me.tokens = std::move(keys);
  me.early_allowed = settings.early_data;
  me.ack_every = settings.ack_every;
  me.key_bytes = settings.key_bytes;
  auto native = me.settings_of(settings, now);
  native.token = first.token.data();
  native.tokenlen = first.token.size();
  native.token_type = first.retried ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  auto params = impl::params_of(settings, side::server);
  me.streams_allowed = params.initial_max_streams_bidi;
  params.original_dcid = to_native(first.retried ? *first.retried : first.dcid);
  params.original_dcid_present = 1;
  if (first.retried) {
    params.retry_scid = to_native(first.dcid);
    params.retry_scid_present = 1;
  }
  reset_token token{};
  me.own_ids.push_back(ids.make_id(*c, token));
  params.stateless_reset_token_present = 1;
  std::memcpy(params.stateless_reset_token, token.data(), token.size());
  const auto callbacks = impl::callbacks(side::server);
  const auto scid = to_native(me.own_ids.back());
  const auto dcid = to_native(first.scid);
  const auto p = to_native(where);
  ngtcp2_conn* made = nullptr;
  const int rc = ngtcp2_conn_server_new(&made, &dcid, &scid, &p, first.version, &callbacks, &native,
                                        &params, nullptr, &me);
  me.conn.reset(made);
  return start(std::move(c), tls, {}, {}, rc);
}

void connection::set_events(stream_events& to) noexcept {
  impl_->events = &to;
}

// -- in --------------------------------------------------------------------------------

ngtcp2_tstamp connection::impl::at(instant now) {
  last_time = std::max(last_time, to_native(now));
  return last_time;
}

void connection::on_datagram(const path& from, core::byte_view datagram, instant now) {
  auto& me = *impl_;
  if (datagram.empty())
    return;
  me.bytes_in += datagram.size();
  if (me.state == phase::closing && !me.close_due) {
    // The 1st, 2nd, 4th, ... is answered (RFC 9000, 10.2.1).
    ++me.late;
    me.farewell_due = (me.late & (me.late - 1)) == 0;
    return;
  }
  if (me.state == phase::draining || me.state == phase::over || me.close_due)
    return;
  me.held = true; // what was lost goes again
  if (me.unanswered++ == 0)
    me.unanswered_since = me.at(now);
  me.unanswered_bytes += datagram.size();
  const auto p = to_native(from);
  const ngtcp2_pkt_info info{.ecn = from.ecn};
  const int rc =
    ngtcp2_conn_read_pkt(me.conn.get(), &p, &info, datagram.data(), datagram.size(), me.at(now));
  switch (rc) {
  case 0:
    if (me.ssl && me.who == side::server && me.state == phase::open)
      me.let_go_of_tls();
    return;
  case NGTCP2_ERR_DRAINING:
    return me.begin_draining(now);
  case NGTCP2_ERR_RETRY: // the endpoint asks for addresses itself, before there is a connection
  case NGTCP2_ERR_DROP_CONN:
    return me.end_silently("dropped");
  default:
    return me.fail(rc);
  }
}

void connection::on_timer(instant now) {
  auto& me = *impl_;
  if (me.state == phase::over || me.close_due)
    return;
  if (me.state == phase::closing || me.state == phase::draining) {
    if (now >= me.over_at)
      me.state = phase::over;
    return;
  }
  const auto t = me.at(now);
  if (ngtcp2_conn_get_expiry(me.conn.get()) > t)
    return;
  me.held = true; // likewise
  me.said_all = false;
  const int rc = ngtcp2_conn_handle_expiry(me.conn.get(), t);
  if (rc == NGTCP2_ERR_IDLE_CLOSE)
    me.end_silently("idle for too long");
  else if (rc == NGTCP2_ERR_HANDSHAKE_TIMEOUT)
    me.end_silently("the handshake took too long");
  else if (rc != 0)
    me.fail(rc);
}

std::optional<instant> connection::wake_at() const {
  const auto& me = *impl_;
  if (me.state == phase::over)
    return std::nullopt;
  if (me.close_due)
    return instant{};
  if (me.state == phase::closing || me.state == phase::draining)
    return me.over_at;
  if (me.may_wait())
    return instant_of(me.unanswered_since + answer_patience);
  auto t = ngtcp2_conn_get_expiry(me.conn.get());
  if (t == UINT64_MAX)
    return std::nullopt;
  // The end of a pause that holds up nothing needs no timer of its own, many times in a
  // millisecond. What else is due then can wait for one (RFC 9002, 6.1.2: granularity).
  if (t == me.paused_until && !me.held)
    t = std::max<ngtcp2_tstamp>(t, me.last_time + NGTCP2_MILLISECONDS);
  return instant_of(t);
}

/// The connection is broken: CONNECTION_CLOSE says so to the peer.
void connection::impl::fail(int code) {
  if (close_due || state == phase::closing)
    return;
  const auto alert = ngtcp2_conn_get_tls_alert(conn.get());
  if (alert != 0 || code == NGTCP2_ERR_CRYPTO) {
    ngtcp2_ccerr_set_tls_alert(&error, alert, nullptr, 0);
    ending.text = tls_failure();
  } else {
    ngtcp2_ccerr_set_liberr(&error, code, nullptr, 0);
    ending.text = ngtcp2_strerror(code);
  }
  ending.code = error.error_code;
  close_due = true;
}

void connection::impl::end_silently(std::string text) {
  ending.silent = true;
  ending.text = std::move(text);
  state = phase::over;
}

void connection::impl::begin_draining(instant now) {
  const auto* said = ngtcp2_conn_get_ccerr(conn.get());
  ending.by_peer = true;
  ending.application = said->type == NGTCP2_CCERR_TYPE_APPLICATION;
  ending.code = said->error_code;
  ending.text = ending.silent        ? "the peer does not know this connection"
                : ending.application ? "closed by the peer"
                                     : "refused by the peer";
  state = phase::draining;
  over_at = now + std::chrono::nanoseconds{3 * ngtcp2_conn_get_pto(conn.get())};
}

// -- out -------------------------------------------------------------------------------

void connection::impl::write_close(instant now) {
  close_due = false;
  farewell.resize(datagram_max);
  ngtcp2_path_storage ps;
  ngtcp2_path_storage_zero(&ps);
  ngtcp2_pkt_info info{};
  const auto n = ngtcp2_conn_write_connection_close(conn.get(), &ps.path, &info, farewell.data(),
                                                    farewell.size(), &error, at(now));
  farewell.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  farewell.shrink_to_fit();
  state = farewell.empty() ? phase::over : phase::closing;
  farewell_due = !farewell.empty();
  over_at = now + std::chrono::nanoseconds{3 * ngtcp2_conn_get_pto(conn.get())};
}

/// Datagrams of one size behind each other. Pacing (RFC 9002, 7.7) spaces bursts of what ngtcp2
/// calls the send quantum, whatever number of calls they take: a short packet ends one call, and if
/// each call were paced by itself, every short packet would cost a timer. Asking again until there
/// is nothing left, with pacing not in the way, is also how ngtcp2 sees that we had no more to
/// send; without that BBR takes the speed of the application for that of the path.
ngtcp2_ssize connection::impl::write_burst(std::span<std::uint8_t> buffer, ngtcp2_path* to,
                                           ngtcp2_pkt_info* info, std::size_t& segment,
                                           instant now) {
  const auto quantum = ngtcp2_conn_get_send_quantum(conn.get());
  const auto least = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn.get());
  const bool fresh = burst == 0; // pacing knows of all that went out
  const bool full = burst + least > quantum;
  const auto t = fresh ? at(now) : within_burst(now);
  if (full)
    end_burst(t);
  const auto n = ngtcp2_conn_write_aggregate_pkt2(
    conn.get(), to, info, buffer.data(), std::min(buffer.size(), quantum - burst), &segment,
    [](ngtcp2_conn*, ngtcp2_path* p, ngtcp2_pkt_info* i, std::uint8_t* out, std::size_t size,
       ngtcp2_tstamp at,
       void* user) { return static_cast<impl*>(user)->write_packet(p, i, out, size, at); },
    0, t);
  if (n > 0) {
    burst += static_cast<std::size_t>(n);
  } else {
    end_burst(t);
    held = full || (fresh && (held || !line.empty()));
  }
  return n;
}

/// In a burst the time stands still, for a millisecond at most. Pacing counts from the time that
/// the burst ends with: if that were when the last packet was written, what writing and sending
/// took would come on top of each pause, and BBR, which takes what then arrives for the speed of
/// the path, would go slower and slower.
ngtcp2_tstamp connection::impl::within_burst(instant now) {
  constexpr ngtcp2_duration longest = NGTCP2_MILLISECONDS; // what a quantum lasts, at most
  return to_native(now) < last_time + longest ? last_time : at(now);
}

/// The next packet waits as long as pacing wants after all that went out since the last time.
void connection::impl::end_burst(ngtcp2_tstamp t) {
  if (std::exchange(burst, 0) == 0)
    return;
  const auto others = ngtcp2_conn_get_expiry(conn.get());
  ngtcp2_conn_update_pkt_tx_time(conn.get(), t);
  const auto first = ngtcp2_conn_get_expiry(conn.get());
  paused_until = first < others ? first : 0;
}

/// New packet keys when the old ones have been used enough. If it is too early for that (the peer
/// has not shown that it has the last ones), the next packets try again.
void connection::impl::renew_keys(core::instant now) {
  if (key_bytes == 0 || bytes_out - keys_since < key_bytes || state != phase::open)
    return;
  if (ngtcp2_conn_initiate_key_update(conn.get(), at(now)) == 0)
    keys_since = bytes_out;
}

/// There is nothing but acknowledgements to send, and only of a few packets: an answer may follow
/// at once, and they leave with it. Alone, they would cost a system call here and wake the peer for
/// nothing; ngtcp2 would have them wait for an eighth of the round trip only.
bool connection::impl::may_wait() const noexcept {
  constexpr std::size_t few_bytes = 16u << 10; // more is a transfer, whose sender waits for us
  return said_all && unanswered != 0 && unanswered < ack_every && unanswered_bytes < few_bytes
         && line.empty() && !close_due && state == phase::open;
}

std::size_t connection::produce(std::span<std::uint8_t> buffer, instant now, path& to,
                                std::size_t& segment) {
  auto& me = *impl_;
  if (me.state == phase::over || me.state == phase::draining)
    return 0;
  if (me.may_wait() && me.at(now) < me.unanswered_since + answer_patience)
    return 0;
  ngtcp2_ssize n = 0;
  if (!me.close_due && me.state != phase::closing) {
    ngtcp2_path_storage ps;
    ngtcp2_path_storage_zero(&ps);
    ngtcp2_pkt_info info{};
    n = me.write_burst(buffer.first(std::min(buffer.size(), burst_max)), &ps.path, &info, segment,
                       now);
    me.said_all = n == 0 && me.state == phase::open;
    if (n == 0)
      me.unanswered_bytes = me.unanswered = 0;
    if (n > 0) {
      me.where = {address::of(ps.path.local.addr, ps.path.local.addrlen),
                  address::of(ps.path.remote.addr, ps.path.remote.addrlen)};
      to = me.where;
      to.ecn = static_cast<std::uint8_t>(info.ecn);
      me.bytes_out += static_cast<std::uint64_t>(n);
      me.renew_keys(now);
      return static_cast<std::size_t>(n);
    }
    if (n < 0)
      me.fail(static_cast<int>(n));
  }
  if (me.close_due)
    me.write_close(now);
  if (me.state != phase::closing || !std::exchange(me.farewell_due, false))
    return 0;
  std::memcpy(buffer.data(), me.farewell.data(), me.farewell.size());
  segment = me.farewell.size();
  to = me.where;
  me.bytes_out += segment;
  return segment;
}

void connection::close(app_code code) {
  auto& me = *impl_;
  if (me.close_due || me.state == phase::closing || me.state == phase::draining
      || me.state == phase::over)
    return;
  ngtcp2_ccerr_set_application_error(&me.error, code, nullptr, 0);
  me.ending.application = true;
  me.ending.code = code;
  me.ending.text = "closed";
  me.close_due = true;
}

bool connection::migrate(const path& to, instant now) {
  const auto p = to_native(to);
  impl_->said_all = false;
  return impl_->state == phase::open
         && ngtcp2_conn_initiate_immediate_migration(impl_->conn.get(), &p, impl_->at(now)) == 0;
}

bool connection::update_keys(instant now) {
  return impl_->state == phase::open
         && ngtcp2_conn_initiate_key_update(impl_->conn.get(), impl_->at(now)) == 0;
}

// -- what holds --------------------------------------------------------------------------

connection::phase connection::state() const noexcept {
  return impl_->close_due ? phase::closing : impl_->state;
}
bool connection::early() const noexcept {
  return impl_->state == phase::handshake && impl_->may_talk();
}
early_fate connection::early_data() const noexcept {
  return impl_->fate;
}
const connection_ending& connection::ending() const noexcept {
  return impl_->ending;
}
resumption connection::take_resumption() {
  auto& me = *impl_;
  resumption out{.token = std::exchange(me.given_token, {})};
  if (me.given_ticket) {
    out.ticket = core::crypto::make_ticket(*me.context, me.server_name, std::move(me.given_ticket));
    if (core::crypto::allows_early_data(*out.ticket)) {
      out.params.resize(params_max);
      const auto n = ngtcp2_conn_encode_0rtt_transport_params(me.conn.get(), out.params.data(),
                                                              out.params.size());
      out.params.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    }
  }
  return out;
}
const path& connection::where() const noexcept {
  return impl_->where;
}
std::size_t connection::unsent_bytes() const noexcept {
  return impl_->unsent;
}
std::size_t connection::held_bytes() const noexcept {
  std::size_t n = 0;
  for (const auto& [id, s] : impl_->streams)
    n += s.queue.held();
  return n;
}
std::uint64_t connection::bytes_in() const noexcept {
  return impl_->bytes_in;
}
std::uint64_t connection::bytes_out() const noexcept {
  return impl_->bytes_out;
}

connection::figures connection::measure() const {
  ngtcp2_conn_info info{};
  ngtcp2_conn_get_conn_info(impl_->conn.get(), &info);
  return {.smoothed_rtt = std::chrono::nanoseconds{info.smoothed_rtt},
          .window = info.cwnd,
          .packets_sent = info.pkt_sent,
          .packets_lost = info.pkt_lost,
          .packets_received = info.pkt_recv,
          .key_updates = std::max<std::uint64_t>(impl_->keys_made, 1) - 1};
}

} // namespace ron::transport::quic
