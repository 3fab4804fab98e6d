#include "core/config_load.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <string>

namespace ron::core::config {

namespace {

using sv = std::string_view;

constexpr std::size_t views_max = 64;

bool is_set(const node_config& c, sv name) {
  auto i = c.origins.find(name);
  return i != c.origins.end() && i->second.source >= source::file;
}

bool is_derived(const node_config& c, sv name) {
  auto i = c.origins.find(name);
  return i != c.origins.end() && i->second.source == source::derived;
}

/// Reports rules that do not hold at the key that was set, the first of several.
class checker {
public:
  checker(const node_config& c, const std::vector<std::string>& bad, std::vector<problem>& errors)
    : c_(c), bad_(bad), errors_(errors) {
    // nop
  }

  /// `ok` must hold; `keys` are those that decide it, the one to blame first.
  void require(bool ok, std::initializer_list<sv> keys, std::string what, std::string expected) {
    if (ok || std::ranges::any_of(keys, [this](sv k) { return is_bad(k); }))
      return;
    auto culprit = std::ranges::find_if(keys, [this](sv k) { return is_set(c_, k); });
    auto name = culprit == keys.end() ? *keys.begin() : *culprit;
    problem p;
    p.place = c_.origins.find(name)->second.text;
    set_name(p, name);
    p.what = std::move(what);
    p.expected = std::move(expected);
    errors_.push_back(std::move(p));
  }

private:
  bool is_bad(sv name) const { return std::ranges::find(bad_, name) != bad_.end(); }

  const node_config& c_;
  const std::vector<std::string>& bad_;
  std::vector<problem>& errors_;
};

void check_disks(const node_config& c, checker& rules) {
  struct store {
    sv key;
    const std::string& path;
  };
  const store stores[] = {{"node.data-dir", c.node.data_dir},
                          {"index.db", c.index.db},
                          {"storage.db", c.storage.db},
                          {"mailbox.db", c.mailbox.db}};
  if (c.node.amnesia) {
    for (const auto& s : stores)
      rules.require(s.path.empty(), {s.key, "node.amnesia"},
                    "a folder contradicts node.amnesia = true, which writes no file",
                    "node.amnesia = false, or this key left out");
    rules.require(!c.index.spill, {"index.spill", "node.amnesia"},
                  "true contradicts node.amnesia = true, which writes no file",
                  "node.amnesia = false, or this key left out");
    return;
  }
  rules.require(!c.node.data_dir.empty(), {"node.data-dir", "node.amnesia", "node.profile"},
                "a node without amnesia needs a folder for its data",
                "node.data-dir = \"/var/lib/ron\", or node.amnesia = true");
  if (!c.node.data_dir.empty())
    for (const auto& s : stores)
      rules.require(!s.path.empty(), {s.key, "node.amnesia"},
                    "a node without amnesia keeps this on disk", "a path, or the key left out");
}

void check_exposure(const node_config& c, checker& rules) {
  auto plain = [&](sv key, const host_port& a) {
    rules.require(a.is_loopback() || c.http.allow_plain, {key, "http.allow-plain"},
                  "plain HTTP on " + printable(a.to_string()) + ", which is not loopback",
                  "a loopback address, or http.allow-plain = true");
  };
  plain("admin.address", c.admin.address);
  if (c.http.address)
    plain("http.address", *c.http.address);
  auto own_certificate = [&](sv key, const std::optional<host_port>& a) {
    bool ok = !a || a->is_loopback() || c.node.profile == profile::micronode ||
              !c.transport.cert.empty();
    rules.require(ok, {key, "transport.cert"},
                  "a macronode on an address that is not loopback needs a certificate",
                  "transport.cert and transport.key, or a loopback address");
  };
  own_certificate("http.tls-address", c.http.tls_address);
  own_certificate("oap.tls-address", c.oap.tls_address);
  rules.require(!c.cluster.address || c.cluster.address->is_loopback() ||
                  (!c.cluster.ca.empty() && !c.cluster.cert.empty() && !c.cluster.key.empty()),
                {"cluster.address", "cluster.ca", "cluster.cert", "cluster.key"},
                "an address that is not loopback needs certificates",
                "cluster.ca, cluster.cert and cluster.key, or a loopback address");
}

void check_pairs(const node_config& c, checker& rules) {
  auto together = [&](sv a, bool has_a, sv b, bool has_b) {
    rules.require(!has_a || has_b, {a, b}, "the key is nothing without " + std::string{b},
                  "both or neither");
    rules.require(!has_b || has_a, {b, a}, "the key is nothing without " + std::string{a},
                  "both or neither");
  };
  together("transport.cert", !c.transport.cert.empty(), "transport.key",
           !c.transport.key.empty());
  rules.require(!c.transport.ocsp_fetch || !c.transport.cert.empty(),
                {"transport.ocsp-fetch", "transport.cert"},
                "true needs transport.cert: no authority answers for the certificate that the node "
                "makes for itself",
                "transport.cert and transport.key, or the key left out");
  rules.require(!c.transport.ocsp_fetch || c.transport.ocsp.empty(),
                {"transport.ocsp-fetch", "transport.ocsp"},
                "true contradicts transport.ocsp, which names a file",
                "one of the two");
  together("cluster.cert", !c.cluster.cert.empty(), "cluster.key", !c.cluster.key.empty());
  together("http.uds", !c.http.uds.empty(), "http.uds-peers", !c.http.uds_peers.empty());
}

void check_order(const node_config& c, checker& rules) {
  auto at_most = [&](sv a, auto x, sv b, auto y) {
    rules.require(x <= y, {a, b}, "more than " + std::string{b}, "at most " + std::string{b});
  };
  at_most("transport.per-peer-max", c.transport.per_peer_max, "transport.connections-max",
          c.transport.connections_max);
  at_most("oap.max-frame", std::uint64_t{c.oap.max_frame}, "oap.receive-budget",
          c.oap.receive_budget);
  at_most("index.beta", c.index.beta, "index.alpha", c.index.alpha);
  at_most("dht.alpha", c.dht.alpha, "dht.k", c.dht.k);
  at_most("dht.republish", c.dht.republish, "dht.record-ttl", c.dht.record_ttl);
  rules.require(c.cluster.heartbeat < c.cluster.down_after,
                {"cluster.down-after", "cluster.heartbeat"},
                "not more than cluster.heartbeat", "several times cluster.heartbeat");
}

/// No two listeners of this process on one address. Port 0 never collides.
void check_collisions(const node_config& c, checker& rules) {
  struct listener {
    sv key;
    std::optional<host_port> address;
  };
  const listener all[] = {{"admin.address", c.admin.address},
                          {"http.address", c.http.address},
                          {"http.tls-address", c.http.tls_address},
                          {"oap.tls-address", c.oap.tls_address},
                          {"cluster.address", c.cluster.address}};
  auto any = [](const host_port& a) { return a.host == "0.0.0.0" || a.host == "::"; };
  for (std::size_t i = 0; i < std::size(all); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const auto& a = all[i].address;
      const auto& b = all[j].address;
      if (!a || !b || a->port == 0 || a->port != b->port)
        continue;
      rules.require(a->host != b->host && !any(*a) && !any(*b), {all[i].key, all[j].key},
                    "the same port as " + std::string{is_set(c, all[i].key) ? all[j].key
                                                                            : all[i].key},
                    "a port of its own, or 0 for any");
    }
}

void check_replication(const node_config& c, checker& rules) {
  const auto& s = c.storage;
  rules.require(s.rf <= s.peers.size() + 1, {"storage.rf", "storage.peers"},
                std::to_string(s.rf) + " contradicts storage.peers, which names "
                  + std::to_string(s.peers.size()),
                "at most one more than there are storage.peers");
  if (s.peers.empty())
    return;
  std::set<std::string> distinct;
  for (const auto& p : s.peers)
    distinct.insert(p.to_string());
  rules.require(distinct.size() == s.peers.size(), {"storage.peers"},
                "names a node twice: its copies would count as two",
                "each node once, and not this one");
  constexpr std::uint64_t rate_min = 1u << 20; // slower, and pieces of 64 KiB look like a stall
  rules.require(s.repair_rate == 0 || s.repair_rate >= rate_min, {"storage.repair-rate"},
                std::to_string(s.repair_rate) + " bytes/s are too few to keep a connection busy",
                "0, or at least 1MiB/s");
  rules.require(s.peer_ca.empty() != s.peer_pins.empty(), {"storage.peer-ca", "storage.peer-pins"},
                "peers are nothing without a way to know them",
                "either storage.peer-ca or storage.peer-pins");
  rules.require(s.peer_pins.empty() || s.peer_pins.size() == s.peers.size(),
                {"storage.peer-pins", "storage.peers"},
                std::to_string(s.peer_pins.size()) + " pins; contradicts storage.peers with "
                  + std::to_string(s.peers.size()),
                "a pin for each of storage.peers");
  rules.require(!c.caps.root_keys.empty(), {"caps.root-keys", "storage.peers"},
                "peers are nothing without a key that they know this node by",
                "the same file on every node");
}

} // namespace

void derive_defaults(node_config& c, const host_facts& host) {
  auto unset = [&](sv name) { return is_derived(c, name); };
  auto cores = std::max<std::uint32_t>(1, host.cores);
  if (unset("node.shards"))
    c.node.shards = std::min<std::uint32_t>(cores, 64);
  if (unset("transport.accept-permits"))
    c.transport.accept_permits = std::min<std::uint32_t>(2 * std::min(cores, 1024u), 1024);
  if (unset("node.data-dir"))
    c.node.data_dir = c.node.amnesia ? "" : "/var/lib/ron";
  if (unset("index.spill"))
    c.index.spill = !c.node.amnesia;
  if (unset("oap.quic-address"))
    c.oap.quic_address = c.oap.tls_address;
  if (unset("dht.listen") && c.node.roles.has(role::dht))
    c.dht.listen = host_port{"0.0.0.0", 0};
  auto below = [&](sv key, std::string& path, sv folder) {
    if (unset(key))
      path = c.node.amnesia || c.node.data_dir.empty()
               ? std::string{}
               : c.node.data_dir + (c.node.data_dir.ends_with('/') ? "" : "/") +
                   std::string{folder};
  };
  below("index.db", c.index.db, "index");
  below("storage.db", c.storage.db, "storage");
  below("mailbox.db", c.mailbox.db, "mailbox");
}

void check_together(const node_config& c, const std::vector<std::string>& bad,
                    std::vector<problem>& errors) {
  checker rules{c, bad, errors};
  check_disks(c, rules);
  check_exposure(c, rules);
  check_pairs(c, rules);
  check_order(c, rules);
  check_collisions(c, rules);
  check_replication(c, rules);
  if (c.views.size() > views_max) {
    problem p;
    p.place = "all sources";
    p.section = "view";
    p.what = std::to_string(c.views.size()) + " views are too many";
    p.expected = "at most " + std::to_string(views_max);
    errors.push_back(std::move(p));
  }
}

} // namespace ron::core::config
