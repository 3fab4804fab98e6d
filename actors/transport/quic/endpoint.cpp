#include "transport/quic/endpoint.hpp"

#include "core/ids.hpp"
#include "core/log.hpp"
#include "transport/quic/ngtcp2_types.hpp"

#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ron::transport::quic {

using core::byte_view;
using core::instant;

namespace {

constexpr std::size_t initial_bytes_min = 1'200; // RFC 9000, 14.1
constexpr std::uint64_t connection_refused = 0x2;
constexpr std::uint64_t invalid_token = 0xb;

} // namespace

endpoint::endpoint(std::uint8_t shard, next_settings settings, endpoint_limits limits,
                   next_tls tls, secrets_ptr keys, endpoint_host& host)
    : shard_(shard), settings_(std::move(settings)), limits_(limits), tls_(std::move(tls)),
      keys_(std::move(keys)), host_(host) {
  // nop
}

endpoint::~endpoint() = default;

std::uint8_t endpoint::shard_of(byte_view datagram) noexcept {
  constexpr std::size_t id_at_long = 6;  // flags, version, length of the id
  constexpr std::size_t id_at_short = 1; // flags
  if (datagram.empty())
    return 0;
  const auto at = (datagram[0] & 0x80) != 0 ? id_at_long : id_at_short;
  return at < datagram.size() ? datagram[at] : std::uint8_t{0};
}

void endpoint::on_datagram(const path& from, byte_view datagram, instant now) {
  if (datagram.empty()) { // UDP allows it, ngtcp2 does not expect it
    ++counters_.dropped_junk;
    return;
  }
  ngtcp2_version_cid head{};
  const int rc = ngtcp2_pkt_decode_version_cid(&head, datagram.data(), datagram.size(), id_bytes);
  if (rc == NGTCP2_ERR_VERSION_NEGOTIATION) {
    if (datagram.size() < initial_bytes_min)
      ++counters_.dropped_junk;
    else if (accepting_ && may_answer(now))
      say_versions(from, {head.dcid, head.dcidlen}, {head.scid, head.scidlen});
    return;
  }
  if (rc != 0 || head.dcidlen > connection_id::size_max) {
    ++counters_.dropped_junk;
    return;
  }
  auto known = by_id_.find(connection_id::of(head.dcid, head.dcidlen));
  if (known == by_id_.end()) {
    if (head.version != 0)
      on_stranger(from, datagram, now);
    else if (may_answer(now))
      say_reset(from, datagram);
    return;
  }
  auto& c = *known->second;
  c.on_datagram(from, datagram, now);
  look(c);
}

void endpoint::on_timer(connection& c, instant now) {
  c.on_timer(now);
  look(c);
}

void endpoint::look(connection& c) {
  auto& e = connections_.find(&c)->second;
  if (e.shaking && c.state() != connection::phase::handshake) {
    e.shaking = false;
    --unfinished_;
  }
  host_.touched(c);
}

// -- strangers -----------------------------------------------------------------------

void endpoint::on_stranger(const path& from, byte_view datagram, instant now) {
  ngtcp2_pkt_hd head{};
  if (ngtcp2_accept(&head, datagram.data(), datagram.size()) != 0) {
    ++counters_.dropped_junk;
    return;
  }
  first_packet first;
  first.version = head.version;
  first.dcid = of_native(head.dcid);
  first.scid = of_native(head.scid);
  if (!accepting_) {
    if (may_answer(now))
      say_refused(from, first, connection_refused);
    return;
  }
  bool bad = false;
  const bool proven = validate(from, {head.token, head.tokenlen}, first, now, bad);
  if (bad) {
    if (may_answer(now))
      say_refused(from, first, invalid_token);
    return;
  }
  if (!proven && unfinished_ >= limits_.retry_from) {
    if (may_answer(now))
      say_retry(from, first, now);
    return;
  }
  if (unfinished_ >= limits_.unfinished_max) {
    ++counters_.dropped_full; // the client tries again by itself
    return;
  }
  if (!host_.may_accept(from.remote)) {
    if (may_answer(now))
      say_refused(from, first, connection_refused);
    return;
  }
  open(from, datagram, first, now);
}

/// True if the token shows that the peer receives at its address. `bad`: it comes from a Retry of
/// ours, but not to this peer or not lately (RFC 9000, 8.1.2); other bad tokens are as good as
/// none.
bool endpoint::validate(const path& from, byte_view token, first_packet& first, instant now,
                        bool& bad) {
  if (token.empty())
    return false;
  const auto& key = keys_->token_key();
  const auto t = to_native(now);
  const auto dcid = to_native(first.dcid);
  if (token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
    ngtcp2_cid original{};
    const int rc = ngtcp2_crypto_verify_retry_token2(
      &original, token.data(), token.size(), key.data(), key.size(), first.version,
      from.remote.get(), from.remote.size, &dcid, to_native(limits_.retry_life), t);
    bad = rc != 0;
    if (rc == 0) {
      first.retried = of_native(original);
      first.token = token;
    }
    return rc == 0;
  }
  if (token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR
      || ngtcp2_crypto_verify_regular_token(token.data(), token.size(), key.data(), key.size(),
                                            from.remote.get(), from.remote.size,
                                            to_native(limits_.token_life), t)
           != 0)
    return false;
  first.token = token;
  return true;
}

void endpoint::open(const path& from, byte_view datagram, const first_packet& first, instant now) {
  auto made = connection::accept(settings_(), tls_(), first, from, *this, keys_, now);
  if (!made) {
    core::log::warn("quic", "no connection for a peer", {{"reason", made.error().message}});
    return;
  }
  auto& c = **made;
  entry e{.owned = std::move(*made)};
  if (by_id_.emplace(first.dcid, &c).second)
    e.first = first.dcid;
  connections_.emplace(&c, std::move(e));
  ++unfinished_;
  ++counters_.accepted;
  host_.accepted(c);
  c.on_datagram(from, datagram, now);
  look(c);
}

bool endpoint::may_answer(instant now) {
  using namespace std::chrono_literals;
  if (now - answers_since_ >= 1s) {
    answers_since_ = now;
    answers_ = 0;
  }
  if (answers_ >= limits_.answers_per_second) {
    ++counters_.dropped_rate;
    return false;
  }
  ++answers_;
  return true;
}

void endpoint::say_versions(const path& from, byte_view dcid, byte_view scid) {
  std::array<std::uint8_t, 2 * 256 + 32> out{};
  std::uint8_t unused = 0;
  core::random_bytes({&unused, 1});
  // The second one exists to keep peers used to versions they do not know (RFC 9000, 6.3).
  const std::array<std::uint32_t, 2> versions{NGTCP2_PROTO_VER_V1, 0x1a2a3a4au};
  const auto n = ngtcp2_pkt_write_version_negotiation(out.data(), out.size(), unused, scid.data(),
                                                      scid.size(), dcid.data(), dcid.size(),
                                                      versions.data(), versions.size());
  if (n <= 0)
    return;
  ++counters_.versions;
  host_.send(from, {out.data(), static_cast<std::size_t>(n)});
}

void endpoint::say_retry(const path& from, const first_packet& first, instant now) {
  const auto& key = keys_->token_key();
  const auto id = random_id();
  const auto retry_id = to_native(id);
  const auto dcid = to_native(first.dcid);
  const auto scid = to_native(first.scid);
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2> token{};
  const auto n = ngtcp2_crypto_generate_retry_token2(
    token.data(), key.data(), key.size(), first.version, from.remote.get(), from.remote.size,
    &retry_id, &dcid, to_native(now));
  if (n <= 0)
    return;
  std::array<std::uint8_t, 512> out{};
  const auto size =
    ngtcp2_crypto_write_retry(out.data(), out.size(), first.version, &scid, &retry_id, &dcid,
                              token.data(), static_cast<std::size_t>(n));
  if (size <= 0)
    return;
  ++counters_.retries;
  host_.send(from, {out.data(), static_cast<std::size_t>(size)});
}

void endpoint::say_refused(const path& from, const first_packet& first, std::uint64_t code) {
  const auto dcid = to_native(first.dcid);
  const auto scid = to_native(first.scid);
  std::array<std::uint8_t, 256> out{};
  const auto n = ngtcp2_crypto_write_connection_close(out.data(), out.size(), first.version, &scid,
                                                      &dcid, code, nullptr, 0);
  if (n <= 0)
    return;
  ++counters_.refused;
  host_.send(from, {out.data(), static_cast<std::size_t>(n)});
}

/// Shorter than what it answers, so that two endpoints that forgot each other do not go on for ever
/// (RFC 9000, 10.3.3).
void endpoint::say_reset(const path& from, byte_view datagram) {
  constexpr std::size_t least = 41; // looks like a packet with a long id
  if (datagram.size() <= least + 1) {
    ++counters_.dropped_junk;
    return;
  }
  std::array<std::uint8_t, 64> noise{};
  const auto n = std::min(noise.size(), datagram.size() - 1 - NGTCP2_STATELESS_RESET_TOKENLEN);
  core::random_bytes({noise.data(), n});
  const auto token = keys_->reset_token_of(connection_id::of(datagram.data() + 1, id_bytes));
  ngtcp2_stateless_reset_token native{};
  std::memcpy(native.data, token.data(), token.size());
  std::array<std::uint8_t, 128> out{};
  const auto size =
    ngtcp2_pkt_write_stateless_reset2(out.data(), out.size(), &native, noise.data(), n);
  if (size <= 0)
    return;
  ++counters_.resets;
  host_.send(from, {out.data(), static_cast<std::size_t>(size)});
}

// -- ids -------------------------------------------------------------------------------

connection_id endpoint::random_id() const {
  connection_id id;
  id.size = id_bytes;
  core::random_bytes({id.bytes.data(), id_bytes});
  id.bytes[0] = shard_;
  return id;
}

connection_id endpoint::make_id(connection& owner, reset_token& token) {
  auto id = random_id();
  while (!by_id_.emplace(id, &owner).second)
    id = random_id();
  token = keys_->reset_token_of(id);
  return id;
}

void endpoint::retire_id(const connection_id& id) {
  by_id_.erase(id);
}

void endpoint::forget(connection& c) {
  auto i = connections_.find(&c);
  if (i->second.first.size != 0)
    by_id_.erase(i->second.first);
  if (i->second.shaking)
    --unfinished_;
  connections_.erase(i);
}

} // namespace ron::transport::quic
