#pragma once

#include "core/config_types.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The checked configuration of one process. Every field is one key of the schema: section
/// `http`, key `header-timeout` is `node_config::http.header_timeout`. Values are inside their
/// documented ranges and agree with each other; nobody checks them again. The defaults, ranges
/// and help texts live in the schema, not here.
///
/// Units: sizes in bytes, rates per second, times in milliseconds, shares in percent. An empty
/// path or a missing address means "not set" or "off".
namespace ron::core::config {

using std::chrono::milliseconds;

struct node_section {
  role_set roles;
  config::profile profile = config::profile::micronode;
  bool amnesia = true;
  std::string data_dir; ///< empty exactly when `amnesia`
  std::uint32_t shards = 1;
  milliseconds drain_timeout{};
  memory_bound memory_max;
};

struct log_section {
  log_format format = log_format::automatic;
  log_level level = log_level::info;
  /// By component, where it differs from `level`.
  std::map<std::string, log_level, std::less<>> levels;

  /// The level of `component`.
  log_level level_of(std::string_view component) const {
    auto i = levels.find(component);
    return i == levels.end() ? level : i->second;
  }
};

struct admin_section {
  host_port address;
};

struct http_section {
  std::optional<host_port> address;
  std::optional<host_port> tls_address;
  bool allow_plain = false;
  std::string uds;
  std::vector<std::uint32_t> uds_peers; ///< user ids
  std::uint64_t header_bytes_max = 0;
  milliseconds header_timeout{};
  std::uint64_t body_rate_min = 0;   ///< bytes/s over 10 s
  std::uint64_t answer_rate_min = 0; ///< bytes/s over 10 s
};

struct oap_section {
  std::optional<host_port> tls_address;
  std::optional<host_port> quic_address;
  bool tor = false;
  std::uint32_t max_frame = 0; ///< bytes, header included
  std::uint32_t max_streams = 0;
  std::uint32_t ack_window = 0;
  std::uint32_t max_inflight = 0;
  std::uint64_t receive_budget = 0; ///< bytes a connection
  std::uint64_t answer_rate_min = 0; ///< bytes/s over 10 s
  bool compression = false;         ///< COMP (zstd) is offered in HELLO
  // Health: when the readiness keys turn false and when a human is called.
  std::uint32_t rejects_max = 0;   ///< in 10,000 frames
  std::uint32_t rejects_least = 0; ///< in the window
  milliseconds rejects_window{};
  std::uint32_t oversize_max = 0;  ///< in the window
  milliseconds starved_after{};    ///< a stream
  std::uint32_t starved_share = 0; ///< percent of the open streams
  milliseconds starvation_max{};   ///< in the window
  milliseconds starvation_window{};
  std::uint64_t staging_max = 0; ///< bytes
  milliseconds page_decode{};
  std::uint32_t page_rejects = 0; ///< in 10,000 frames
  milliseconds page_starvation{};
  milliseconds page_after{};
};

struct transport_section {
  std::uint32_t connections_max = 0;
  std::uint32_t per_peer_max = 0;
  std::uint32_t transient_max = 0; ///< before HELLO or the first request
  std::uint32_t accept_permits = 0;
  milliseconds handshake_timeout{};
  milliseconds read_timeout{};
  milliseconds write_timeout{};
  milliseconds idle_timeout{};
  std::uint64_t write_coalesce = 0;
  std::uint64_t read_buffer = 0;
  bool nodelay = true;
  std::uint64_t tcp_buffer = 0;
  std::uint64_t udp_buffer = 0;
  std::string cert;      ///< PEM chain; empty: self-signed, in RAM
  std::string key;       ///< PEM
  std::string client_ca; ///< PEM; empty: no client certificates
  std::string ocsp;      ///< DER response to staple
  bool ocsp_fetch = false; ///< asks the authority for it
  milliseconds ticket_rotation{};
  pq_mode pq = pq_mode::off;
  std::uint32_t quic_streams_max = 0;
  std::vector<std::string> quic_0rtt; ///< operations that may arrive in early data; empty: off
};

struct tor_section {
  host_port socks;
  host_port control;
  milliseconds bootstrap_timeout{};
  bool onion = false;
  std::uint32_t port = 0; ///< of the onion address
  host_port listen;       ///< where the daemon brings what comes to the onion address
  std::string uds;        ///< the same as a UNIX socket; empty: `listen`
};

struct inflate_section {
  std::uint32_t ratio_max = 0;
  std::uint64_t bytes_max = 0;
};

/// Shares of the fair queue by class of caller.
struct class_weights {
  std::uint32_t anon = 0;
  std::uint32_t authed = 0;
  std::uint32_t internal = 0;
};

/// Calls to each downstream that may run at once.
struct downstream_permits {
  std::uint32_t index = 0;
  std::uint32_t storage = 0;
  std::uint32_t mailbox = 0;
};

struct omnigate_section {
  std::uint32_t inflight_max = 0;
  std::uint32_t rate = 0; ///< requests/s of the instance; 0 = off
  std::uint32_t burst = 0;
  std::uint64_t body_bytes_max = 0;
  milliseconds request_timeout{};
  std::uint32_t rate_tenant = 0;  ///< requests/s; 0 = off
  std::uint32_t rate_address = 0; ///< requests/s of an anonymous address; 0 = off
  std::uint32_t queue_depth = 0;  ///< waiting requests a tenant
  milliseconds queue_wait{};
  class_weights weights;
  std::uint32_t waiters_max = 0; ///< long polls, event streams, subscriptions
  downstream_permits permits;
  bool hedge = false;
  std::uint32_t hedge_budget = 0; ///< percent of calls
  std::uint64_t chunk_bytes = 0;
  bool public_read = false;
};

/// The plan of one view: `[view.<name>]`.
struct view_plan {
  std::vector<std::string> legs;
  std::vector<std::string> joins;
  milliseconds budget{2000};
};

struct caps_section {
  std::string root_keys; ///< file; empty: made at start, in RAM
  bool operator_socket = true;
};

struct policy_section {
  std::string bundle;
  config::fail_mode fail_mode = config::fail_mode::deny;
};

struct index_section {
  std::string db; ///< folder; empty with amnesia
  std::uint32_t cache_entries = 0;
  milliseconds ttl{};
  milliseconds negative_ttl{};
  bool spill = false;
  std::uint32_t alpha = 0;
  std::uint32_t beta = 0;
  milliseconds hedge_after{};
  milliseconds resolve_budget{};
};

struct dht_section {
  std::optional<host_port> listen;
  bool allow_private = false;
  std::vector<host_port> seeds;
  std::uint32_t k = 0;
  std::uint32_t alpha = 0;
  std::uint32_t hop_max = 0;
  milliseconds rpc_timeout{};
  milliseconds record_ttl{};
  milliseconds republish{};
};

struct storage_section {
  std::string db; ///< folder; empty with amnesia
  std::uint64_t object_bytes_max = 0;
  std::uint64_t quota = 0; ///< bytes of all objects; 0 = none but lmdb.map-max
  std::uint64_t verified_cache = 0;
  std::uint32_t rf = 1;
  std::uint64_t repair_rate = 0; ///< bytes/s; 0 = as fast as it goes
  std::vector<host_port> peers;  ///< OAP addresses of the other nodes
  std::vector<std::string> peer_pins; ///< one per peer: hex SHA-256 of its certificate
  std::string peer_ca;           ///< PEM file, in place of pins
};

struct mailbox_section {
  std::string db; ///< folder; empty with amnesia
  milliseconds visibility{};
  std::uint32_t attempts_max = 0;
  std::uint32_t partitions = 0;
  milliseconds dedup_window{};
};

struct lmdb_section {
  std::uint64_t map_max = 0; ///< bytes of address space, each environment
};

/// Bounds of actors' mailboxes by actor type.
struct mailbox_bounds_section {
  std::uint32_t fallback = 256;                ///< a type that is not in the map
  /// By type: connection, stream, lookup and what was set.
  std::map<std::string, std::uint32_t, std::less<>> bounds;

  /// The bound set for the type as a whole (`omnigate.semaphore`), else for the part behind its
  /// last dot, else `fallback`.
  std::uint32_t bound_of(std::string_view actor_type) const {
    auto i = bounds.find(actor_type);
    if (i == bounds.end())
      i = bounds.find(actor_type.substr(actor_type.rfind('.') + 1));
    return i == bounds.end() ? fallback : i->second;
  }
};

struct cluster_section {
  std::optional<host_port> address;
  std::vector<host_port> seeds;
  std::string ca;
  std::string cert;
  std::string key;
  milliseconds heartbeat{};
  milliseconds down_after{};
};

struct debug_section {
  bool allow_faults = false;
  bool page = true;
  std::string token_file; ///< empty: a random token, in RAM
};

/// CAF's own `[scheduler]`; `scheduler.max-threads` is `node.shards`.
struct scheduler_section {
  std::uint32_t max_throughput = 0; ///< messages an actor handles before it yields
};

/// Which of the four sources gave a value.
enum class source : std::uint8_t { fallback, derived, file, environment, command_line };

/// Where the value of a key came from.
struct origin {
  config::source source = config::source::fallback;
  /// `default`, `derived from node.data-dir`, `file:line:col`, `environment RON_X`,
  /// `command line --x`.
  std::string text = "default";
};

/// All sections. Immutable once loaded; shared by whoever needs it, replaced as a whole.
struct node_config {
  node_section node;
  log_section log;
  admin_section admin;
  http_section http;
  oap_section oap;
  transport_section transport;
  tor_section tor;
  inflate_section inflate;
  omnigate_section omnigate;
  std::map<std::string, view_plan> views;
  caps_section caps;
  policy_section policy;
  index_section index;
  dht_section dht;
  storage_section storage;
  mailbox_section mailbox;
  lmdb_section lmdb;
  mailbox_bounds_section mailbox_bounds;
  cluster_section cluster;
  debug_section debug;
  scheduler_section scheduler;

  /// Origin of every key by its full name (`http.address`), members of families included.
  std::map<std::string, origin, std::less<>> origins;
};

using node_config_ptr = std::shared_ptr<const node_config>;

} // namespace ron::core::config

namespace ron::core {
using config::node_config;
using config::node_config_ptr;
} // namespace ron::core
