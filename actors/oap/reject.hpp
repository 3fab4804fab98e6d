#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ron::oap {

/// The closed set of reject buckets: one per bad frame, the only metric label of a reject.
enum class bucket : std::uint8_t {
  frame_oversize,
  header_malformed,
  unknown_envelope,
  credit_violation,
  missing_obj,
  truncated,
};
inline constexpr std::size_t bucket_count = 6;
/// The metric label.
std::string_view to_string(bucket b) noexcept;

/// What a breach ends.
enum class scope : std::uint8_t { connection, stream };

/// The fine detail of a reject and the `reason` number of an ERROR on the wire (OAP1.md,
/// section 5). 1 to 23 are rejects of the protocol; from 0x100 on they are reasons of an
/// application (`core::ec_info::oap_reason`); 0x1f0 and 0x1f1 belong to the transport.
enum class reason : std::uint16_t {
  none = 0,
  oversize = 1,
  bad_version = 2,
  bad_hello = 3,
  bad_flags = 4,
  cap_on_non_start = 5,
  cap_bounds = 6,
  bad_ext = 7,
  bad_comp = 8,
  unknown_envelope = 9,
  inflight = 10,
  truncated = 11,
  state_conn = 12,
  state_stream = 13,
  dup_seq = 14,
  seq_gap = 15,
  window_overrun = 16,
  ack_rollback = 17,
  ack_overshoot = 18,
  missing_obj = 19,
  obj_form = 20,
  inflate_bound = 21,
  bad_length = 22,
  ack_unopened = 23,
  timeout = 0x10e,
  stream_limit = 0x112,
  internal = 0x114,
  cancelled = 0x1f0,
  drain = 0x1f1,
};

/// The largest number of a protocol reject.
inline constexpr std::uint16_t reject_reason_max = 23;

/// True for the reasons that count as rejects (1 to 23).
constexpr bool is_reject(reason r) noexcept {
  return r != reason::none && static_cast<std::uint16_t>(r) <= reject_reason_max;
}

/// One row of the reject table.
struct reject_info {
  reason why;
  oap::bucket bucket;
  std::uint16_t status; ///< of the ERROR that answers it
  oap::scope scope;
  std::string_view name; ///< for logs and the message of the ERROR; never a metric label
};

/// The row of a protocol reject. Precondition: `is_reject(r)`. Any thread.
const reject_info& info(reason r) noexcept;

/// The status that an ERROR with this reason has; 500 for a number without a meaning.
std::uint16_t status_of(reason r) noexcept;

/// The name of any reason, "?" for a number without one. For logs.
std::string_view to_string(reason r) noexcept;

/// Rejects by bucket. All six exist from the start.
using reject_counts = std::array<std::uint64_t, bucket_count>;

} // namespace ron::oap
