#pragma once

#include "transport/exchange.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace ron::transport {

/// Metric label `route`: a closed set for all roles together.
enum class route : std::uint8_t {
  o, name, resolve, manifest, provider, view, media, feed, mailbox, other
};
inline constexpr std::size_t route_count = 10;
std::string_view to_string(route r) noexcept;

/// What a caller must show.
enum class access : std::uint8_t {
  none,   ///< operations endpoints and ping: no capability, no rate limit
  read,   ///< open when `omnigate.public-read` is set
  write,  ///< a capability for the operation, always
  admin,  ///< an operator's capability, always
};

/// What the request body is.
enum class body : std::uint8_t {
  none,   ///< a body is refused
  json,   ///< one JSON or CBOR object, merged into the args; up to `limits::json_body_bytes_max`
  object, ///< opaque bytes, streamed by `read_body`, capped by the operation itself
};

/// A query parameter that an HTTP route accepts; any other one is refused.
struct query_param {
  std::string_view name;
  enum class type : std::uint8_t { text, integer } is = type::text;
};

/// One row of the operation table: the only place where a name on the wire meets code.
/// The same row serves HTTP (`method`, `path`) and OAP/1 (`name`); either may be empty.
struct operation {
  std::string_view name{};   ///< OAP operation, e.g. "o.put"; empty = HTTP only
  std::string_view method{}; ///< HTTP method; HEAD is served by GET rows; empty = OAP only
  std::string_view path{};   ///< "/v1/o/{cid}"; a last "{x...}" takes the rest with its slashes
  route label = route::other;
  access needs = access::write;
  body takes = body::none;
  std::vector<query_param> query{};
  bool waits = false;        ///< a long poll or a stream of events: a waiter with its own cap, not
                             ///< an in-flight request
  bool reads_packed = false; ///< it reads its arguments by `args_of`: no tree is made of plain ones
  std::function<void(exchange_ptr)> handle{};
};

/// An in-flight slot; freed when the last copy goes.
using admission_slot = std::shared_ptr<void>;

/// What the gate established.
struct admission {
  principal who;
  admission_slot slot;
};

/// Stands before every operation: capability, rates, in-flight cap, queue. Called on the shard of
/// the request; answers by `then` on the same shard, at once or after a bounded wait.
/// Errors: unauth, forbidden, quota (429), busy, degraded, draining (503).
class gate {
public:
  virtual ~gate() = default;
  virtual void admit(const call& c, std::function<void(core::result<admission>)> then) = 0;
};

/// All operations of a node, looked up by either wire. Immutable after construction; any thread.
/// Names, methods and paths of the rows must outlive the table (they are literals).
class operation_table {
public:
  /// Throws `std::invalid_argument` when two rows answer to the same method and path or to the
  /// same OAP name, or when a path is malformed: a mistake in the program, found at start.
  explicit operation_table(std::vector<operation> rows);

  struct match {
    const operation* op = nullptr;
    std::vector<std::pair<std::string_view, std::string>> params; ///< decoded path parameters
  };
  /// By method and percent-encoded path (no query). Each parameter is decoded exactly once.
  /// Errors: not_found, method_not_allowed (message lists the allowed methods, comma separated),
  /// bad_request (bad escape, or one that decodes to `/` or NUL: after decoding nobody could tell
  /// it from a separator). HEAD is answered by the GET row.
  core::result<match> find_http(std::string_view method, std::string_view path) const;
  /// By OAP operation name. Error: unknown_operation.
  core::result<const operation*> find_oap(std::string_view name) const;

  std::span<const operation> rows() const noexcept { return rows_; }

private:
  static constexpr std::uint32_t none = 0xffff'ffff;
  /// A place in the tree of path segments. `rows` end here, `tails` take the rest from here.
  struct node {
    std::vector<std::pair<std::string_view, std::uint32_t>> literals; ///< sorted by text
    std::uint32_t parameter = none;
    std::vector<std::uint32_t> rows;
    std::vector<std::uint32_t> tails;
  };

  std::uint32_t child(std::uint32_t at, std::string_view segment);
  void add_http(std::uint32_t row);
  void add_oap(std::uint32_t row);
  const std::vector<std::uint32_t>* walk(std::uint32_t at, std::span<const std::string> path,
                                         std::size_t depth) const;

  std::vector<operation> rows_;
  std::vector<node> nodes_;
  std::vector<std::pair<std::string_view, std::uint32_t>> names_; ///< OAP names, sorted
};

} // namespace ron::transport
