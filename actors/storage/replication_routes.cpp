#include "storage/replication_routes.hpp"

#include "core/actor/actor.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "storage/replication_stats.hpp"

#include <optional>
#include <string>
#include <utility>

namespace ron::storage {

using core::error;
using core::json;
using core::object_reader;
using core::result;
using transport::exchange_ptr;

namespace {

using role = core::downstream<storage_actor>;

/// What a node asks its peer about: an object, and the store that it is kept for.
struct copy_of {
  core::cid cid;
  store_id node;
};

/// Nothing: the exchange has been answered.
std::optional<copy_of> read_copy(const exchange_ptr& x) {
  object_reader in{x->request().args};
  copy_of out;
  out.cid = in.cid("cid");
  const auto node = store_id::parse(in.text("store"));
  if (in.good() && (!node || node->is_zero()))
    in.refuse("store", "is not the id of a store");
  if (auto ok = in.finish(); !ok) {
    x->fail(ok.error());
    return std::nullopt;
  }
  out.node = *node;
  return out;
}

void serve_keep(const role& storage, const exchange_ptr& x) {
  auto q = read_copy(x);
  if (!q)
    return;
  storage.call(x->self(), x->request().deadline, keep_copy{q->cid, q->node})
    .then(
      [x](bool kept) {
        transport::answer a;
        a.result = {{"kept", kept}};
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

void release_now(const role& storage, const exchange_ptr& x, const copy_of& q, bool named) {
  storage.further(x->self(), x->request().deadline, release_copy{q.cid, q.node, named})
    .then(
      [x](atom::ok) {
        transport::answer a;
        a.result = json::object();
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

void serve_release(const role& storage, const name_check& named, const exchange_ptr& x) {
  auto q = read_copy(x);
  if (!q)
    return;
  if (!named)
    return release_now(storage, x, *q, false);
  named(x, q->cid, [=](result<bool> is) {
    if (!is)
      x->fail(std::move(is.error()));
    else
      release_now(storage, x, *q, *is);
  });
}

/// Who we are, for a node that wants to copy to us.
void serve_peer(const role& storage, const exchange_ptr& x) {
  object_reader in{x->request().args};
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  storage.call(x->self(), x->request().deadline, identify_store{})
    .then(
      [x](const store_identity& s) {
        transport::answer a;
        a.result = {{"store", s.id.to_text()}};
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

json to_json(const replication_stats& s) {
  json peers = json::array();
  for (const auto& p : s.peers)
    peers.push_back({{"address", p.address},
                     {"up", p.up},
                     {"failure", std::string{to_string(p.failure)}},
                     {"why", p.complaint},
                     {"failures", p.failures},
                     {"unproven", p.unproven},
                     {"retry_in_ms", p.rest.count()},
                     {"store", p.store}});
  json failures = json::object();
  for (std::size_t i = 1; i < s.failed.size(); ++i)
    failures[std::string{to_string(static_cast<transfer_failure>(i))}] = s.failed[i];
  return {{"rf_target", s.copies},
          {"rf_observed", s.observed()},
          {"objects", s.objects},
          {"pending", s.pending},
          {"releases", s.releases},
          {"releases_lost", s.releases_lost},
          {"copies", s.sent},
          {"repairs", s.repaired},
          {"released", s.released},
          {"bytes", s.bytes},
          {"proofs", s.proofs},
          {"unproven", s.unproven},
          {"rate_max", s.rate},
          {"failures", std::move(failures)},
          {"walk", {{"running", s.walk.running}, {"audit", s.walk.audit},
                    {"objects", s.walk.walked}}},
          {"store", s.store},
          {"peers", std::move(peers)}};
}

void serve_replication(const role& storage, const exchange_ptr& x) {
  object_reader in{x->request().args};
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  storage.call(x->self(), x->request().deadline, ask_replication{})
    .then(
      [x](const replication_stats& s) {
        transport::answer a;
        a.result = to_json(s);
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

} // namespace

std::vector<transport::operation> replication_operations(role storage, name_check named,
                                                         start_copy copy) {
  using transport::access;
  constexpr auto label = transport::route::o;
  auto replica = [copy = std::move(copy)](const exchange_ptr& x) {
    if (auto q = read_copy(x))
      copy(x, q->node, q->cid);
  };
  return {
    {.name = "o.peer", .label = label, .needs = access::admin,
     .handle = [=](exchange_ptr x) { serve_peer(storage, x); }},
    {.name = "o.keep", .label = label, .needs = access::admin,
     .handle = [=](exchange_ptr x) { serve_keep(storage, x); }},
    {.name = "o.replica", .label = label, .needs = access::admin,
     .takes = transport::body::object, .handle = replica},
    {.name = "o.release", .label = label, .needs = access::admin,
     .handle = [=](exchange_ptr x) { serve_release(storage, named, x); }},
    {.name = "o.replication", .label = label, .needs = access::admin,
     .handle = [=](exchange_ptr x) { serve_replication(storage, x); }},
  };
}

transport::operation replication_admin_operation(role storage) {
  return {.method = "GET", .path = "/admin/replication", .label = transport::route::other,
          .needs = transport::access::admin,
          .handle = [=](exchange_ptr x) { serve_replication(storage, x); }};
}

} // namespace ron::storage
