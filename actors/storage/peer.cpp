#include "storage/peer.hpp"

#include "core/hash.hpp"
#include "core/json.hpp"
#include "core/limits.hpp"
#include "ron/client.hpp"
#include "storage/put_assembler.hpp"
#include "storage/random_seed.hpp"

#include <algorithm>
#include <array>
#include <future>
#include <string_view>
#include <utility>

namespace ron::storage {

using core::bytes;
using core::ec;
using core::fail;
using core::json;
using core::result;

namespace {

/// A connection that was not used for so long is not trusted: the other side may have closed it.
constexpr std::chrono::seconds fresh_for{20};
/// Nor is one that is so old: its capability ends some time.
constexpr std::chrono::minutes connection_life{10};

/// A peer is asked whether it has an object of this size before it is sent again: in an audit, or
/// because a crash came between its answer and ours to the work list.
constexpr std::uint64_t asked_first = 16u << 10;

/// What a peer may take to begin with a group, before the least rate counts.
constexpr std::chrono::seconds proof_grace{10};

std::chrono::steady_clock::time_point now() {
  return std::chrono::steady_clock::now();
}

core::error stopped() {
  return {ec::cancelled, "the node stops"};
}

/// Has the store report to a thread that waits. The outcome always comes, see `outcome`.
template <class T, class F>
result<T> wait_for(F call) {
  // Shared: the thread that reports may still be in `set_value` when this one goes on.
  auto promise = std::make_shared<std::promise<result<T>>>();
  auto future = promise->get_future();
  call([promise](result<T> r) { promise->set_value(std::move(r)); });
  return future.get();
}

/// Writes what comes into the store, a group at a time, and no more than the object has.
class restore {
public:
  restore(backend& db, std::uint64_t bytes_max)
    : assembler_(bytes_max), to_(db.begin(origin::repair)) {
    // nop
  }

  result<void> add(const bytes& piece) {
    if (auto ok = assembler_.add(piece.view()); !ok)
      return fail(ec::bad_digest, "the peer sends more bytes than the object has");
    while (auto group = assembler_.next()) {
      auto ok = wait_for<void>([&](auto then) { to_->add(std::move(*group), std::move(then)); });
      if (!ok)
        return ok;
    }
    return {};
  }
  result<put_result> finish(const core::cid& c) {
    auto last = assembler_.finish();
    if (last.cid != c)
      return fail(ec::bad_digest, "the peer's bytes are another object");
    return wait_for<put_result>(
      [&](auto then) { to_->commit(std::move(last), {}, std::move(then)); });
  }

private:
  put_assembler assembler_;
  std::unique_ptr<upload> to_;
};

/// Lets bytes of one transfer pass: at the pace of all, and not from or to a peer that is so slow
/// that others wait for nothing.
class passage {
public:
  passage(pacer& p, const std::stop_token& stop, std::chrono::seconds grace = transfer_grace)
    : pace_(p), stop_(stop), grace_(grace), began_(now()) {
    // nop
  }

  result<void> admit(std::uint64_t n) {
    const auto asked = now();
    if (too_slow(bytes_, asked - began_ - paced_, grace_))
      return fail(ec::downstream_timeout, "the peer is slower than 256 KiB/s");
    if (!pace_.wait(n, stop_))
      return std::unexpected{stopped()};
    paced_ += now() - asked;
    bytes_ += n;
    return {};
  }
  std::uint64_t bytes() const noexcept { return bytes_; }

private:
  static constexpr std::chrono::seconds transfer_grace{60};

  pacer& pace_;
  const std::stop_token& stop_;
  std::chrono::seconds grace_;
  std::chrono::steady_clock::time_point began_;
  std::chrono::nanoseconds paced_{};
  std::uint64_t bytes_ = 0;
};

transferred of_store(const core::error& e, std::uint64_t n) {
  return {transfer_outcome::refused, transfer_failure::store, n, e.message};
}

transferred pointless(std::string why, std::uint64_t n = 0) {
  return {transfer_outcome::pointless, transfer_failure::none, n, std::move(why)};
}

transferred done(std::uint64_t n) {
  return {transfer_outcome::done, transfer_failure::none, n, {}};
}

/// What an error says about the transfer.
std::pair<transfer_outcome, transfer_failure> meaning(ec code) noexcept {
  using enum transfer_outcome;
  using f = transfer_failure;
  switch (code) {
    case ec::not_found:
      return {missing, f::missing};
    case ec::bad_digest: // damaged there as well, or not what was asked for
    case ec::digest_mismatch:
      return {missing, f::damaged};
    case ec::degraded:
    case ec::cancelled:
      return {unreachable, f::unreachable};
    case ec::downstream_timeout:
      return {unreachable, f::slow};
    case ec::unauth:
    case ec::forbidden:
      return {turned_away, f::unauthorized};
    case ec::store_quota:
    case ec::disk_full:
      return {turned_away, f::full};
    case ec::busy:
    case ec::draining:
    case ec::quota:
    case ec::conn_cap:
    case ec::stream_limit:
    case ec::timeout:
      return {turned_away, f::busy};
    default:
      return {refused, f::refused};
  }
}

} // namespace

std::string_view to_string(transfer_failure f) noexcept {
  constexpr std::array<std::string_view, transfer_failures + 1> names{
    "none",    "unreachable", "unauthorized", "full",     "busy", "slow",
    "missing", "damaged",     "refused",      "unproven", "store"};
  return names[static_cast<std::size_t>(f)];
}

struct peer::connection {
  sdk::client client;
  std::chrono::steady_clock::time_point made;
  std::chrono::steady_clock::time_point used;
};

peer::peer(peer_options options, pacer& p)
  : options_(std::move(options)), pace_(p), proofs_(options_.prove_every, random_seed()) {
  // nop
}

peer::~peer() = default;

result<peer::connection*> peer::open(const store_id& self) {
  if (connection_ && now() - connection_->used < fresh_for
      && now() - connection_->made < connection_life)
    return connection_.get();
  connection_.reset();
  sdk::client_options o;
  o.host = options_.address.host;
  o.port = options_.address.port;
  o.pin = options_.pin;
  o.ca_file = options_.ca_file;
  o.token = options_.token();
  auto c = sdk::client::connect(o);
  if (!c)
    return std::unexpected{c.error()};
  auto fresh = std::make_unique<connection>(std::move(*c), now(), now());
  auto id = meet(*fresh, self);
  if (!id)
    return std::unexpected{id.error()};
  store_ = *id;
  connection_ = std::move(fresh);
  return connection_.get();
}

/// Asks the peer who it is. Fails if it does not take the capability, or is this node.
result<store_id> peer::meet(connection& c, const store_id& self) {
  auto answer = c.client.call("o.peer", json::object());
  if (!answer) {
    auto e = answer.error();
    if (e.code == ec::unauth || e.code == ec::forbidden)
      e.message += "; both nodes need the same caps.root-keys, and clocks less than an hour apart";
    else if (e.code == ec::unknown_operation)
      e.message += "; the peer has no storage role, or is an older version";
    return std::unexpected{std::move(e)};
  }
  const auto text = answer->find("store");
  const auto id = text != answer->end() && text->is_string()
                    ? store_id::parse(text->get_ref<const std::string&>())
                    : std::nullopt;
  if (!id)
    return fail(ec::downstream_5xx, "the peer does not say which store it is");
  if (*id == self)
    return fail(ec::forbidden, "the peer has this node's own store or a copy of it: take this "
                               "node off storage.peers, or begin with an empty store there");
  return *id;
}

/// The connection is given up: its stream may have been cut, and the next one has a fresh
/// capability, too.
transferred peer::failed(const core::error& e, std::uint64_t n) {
  connection_.reset();
  const auto [how, failure] = meaning(e.code);
  return {how, failure, n, e.message};
}

transferred peer::probe(const store_id& self) {
  connection_.reset();
  auto to = open(self);
  return to ? done(0) : failed(to.error(), 0);
}

transferred peer::send(backend& db, const store_id& self, const core::cid& c,
                       const std::stop_token& stop) {
  auto info = db.head(c);
  if (!info && info.error().code == ec::not_found)
    return pointless("the object was deleted");
  if (!info)
    return of_store(info.error(), 0);
  auto to = open(self);
  if (!to)
    return failed(to.error(), 0);
  bool kept = false;
  if (info->size >= asked_first) {
    auto there = (*to)->client.call("o.keep", {{"cid", c.to_text()}, {"store", self.to_text()}});
    if (!there)
      return failed(there.error(), 0);
    (*to)->used = now();
    const auto says = there->find("kept");
    kept = says != there->end() && says->is_boolean() && says->get<bool>();
  }
  return kept ? verified_copy(db, self, *info, stop) : new_copy(db, self, *info, stop);
}

/// The peer says that it keeps the object.
transferred peer::verified_copy(backend& db, const store_id& self, const object_info& o,
                                const std::stop_token& stop) {
  if (!proofs_.wanted())
    return done(0);
  const auto first = ask_proof(db, self, o, stop);
  if (first.failure != transfer_failure::unproven || !proofs_.gives())
    return first;
  auto out = new_copy(db, self, o, stop);
  if (out.how == transfer_outcome::done) {
    const auto sent = out.bytes;
    out = ask_proof(db, self, o, stop);
    out.bytes += sent;
    proofs_.given(out.how == transfer_outcome::done);
  }
  out.bytes += first.bytes;
  out.proofs += first.proofs;
  out.unproven += first.unproven;
  return out;
}

/// Has the peer send a group of the object, and compares it with ours, which was verified against
/// the id.
transferred peer::ask_proof(backend& db, const store_id& self, const object_info& o,
                            const std::stop_token& stop) {
  const auto at = proofs_.group(core::b3::group_count(o.size)) * core::b3::group_bytes;
  auto ours = db.read(o.cid, at, core::b3::group_bytes);
  if (!ours)
    return of_store(ours.error(), 0);
  auto from = open(self);
  if (!from)
    return failed(from.error(), 0);
  passage way{pace_, stop, proof_grace};
  const auto group = ours->data.view();
  std::size_t seen = 0;
  bool same = true;
  auto sink = [&](const bytes& b) -> result<void> {
    same = b.size() <= group.size() - seen
           && std::ranges::equal(b.view(), group.subspan(seen, b.size()));
    if (!same)
      return fail(ec::bad_digest, "other bytes than the object's");
    seen += b.size();
    return way.admit(b.size());
  };
  auto got = (*from)->client.get(o.cid, sdk::byte_range{at, at + group.size() - 1}, sink);
  transferred out;
  if (got && same && seen == group.size()) {
    (*from)->used = now();
    proofs_.shown();
    out = done(seen);
  } else if (got || !same || meaning(got.error().code).first == transfer_outcome::missing
             || got.error().code == ec::range_not_satisfiable) {
    connection_.reset();
    proofs_.wrong();
    out = {transfer_outcome::turned_away, transfer_failure::unproven, seen,
           "the peer says that it keeps " + o.cid.to_text() + " and cannot show it: "
             + (got ? std::string{"too few bytes"} : got.error().message)};
    out.unproven = 1;
  } else {
    out = failed(got.error(), seen);
  }
  out.proofs = 1;
  return out;
}

transferred peer::new_copy(backend& db, const store_id& self, const object_info& o,
                           const std::stop_token& stop) {
  auto to = open(self);
  if (!to)
    return failed(to.error(), 0);
  std::optional<core::error> ours;
  passage way{pace_, stop};
  std::uint64_t at = 0;
  auto source = [&]() -> result<bytes> {
    if (at >= o.size)
      return bytes{};
    auto piece = db.read(o.cid, at, o.size - at);
    if (!piece)
      ours = piece.error();
    if (!piece)
      return std::unexpected{piece.error()};
    if (auto ok = way.admit(piece->data.size()); !ok)
      return std::unexpected{ok.error()};
    at += piece->data.size();
    return std::move(piece->data);
  };
  auto stored = (*to)->client.put_replica(source, o.cid, self.to_text());
  if (ours) {
    connection_.reset();
    return of_store(*ours, at);
  }
  if (!stored)
    return failed(stored.error(), at);
  (*to)->used = now();
  return done(at);
}

transferred peer::fetch(backend& db, const store_id& self, const core::cid& c,
                        const std::stop_token& stop) {
  auto info = db.head(c);
  // A damaged record is bad_digest: its object is still to be had.
  if ((!info && info.error().code == ec::not_found)
      || (info && info->state == object_state::complete))
    return pointless("the object is gone or whole");
  auto from = open(self);
  if (!from)
    return failed(from.error(), 0);
  restore to{db, info ? info->size : options_.object_bytes_max.get()};
  passage way{pace_, stop};
  std::optional<core::error> ours; // it was not the peer who failed
  auto sink = [&](const bytes& b) -> result<void> {
    if (auto ok = way.admit(b.size()); !ok)
      return ok;
    auto ok = to.add(b);
    if (!ok && ok.error().code != ec::bad_digest)
      ours = ok.error();
    return ok;
  };
  auto got = (*from)->client.get(c, std::nullopt, sink);
  if (ours) {
    connection_.reset();
    return of_store(*ours, way.bytes());
  }
  if (!got)
    return failed(got.error(), way.bytes());
  (*from)->used = now();
  auto kept = to.finish(c);
  if (kept)
    return done(way.bytes());
  if (kept.error().code == ec::not_found)
    return pointless("the object was deleted", way.bytes());
  if (kept.error().code == ec::bad_digest)
    return failed(kept.error(), way.bytes());
  return of_store(kept.error(), way.bytes());
}

transferred peer::release(const store_id& self, const core::cid& c) {
  auto to = open(self);
  if (!to)
    return failed(to.error(), 0);
  const json args{{"cid", c.to_text()}, {"store", self.to_text()}};
  auto gone = (*to)->client.call("o.release", args);
  if (!gone)
    return failed(gone.error(), 0);
  (*to)->used = now();
  return done(0);
}

} // namespace ron::storage
