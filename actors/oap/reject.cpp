#include "oap/reject.hpp"

#include "core/error.hpp"

namespace ron::oap {

namespace {

using enum bucket;
constexpr auto conn = scope::connection;
constexpr auto strm = scope::stream;

// Row i describes reason i; source: OAP1.md, section 5.
constexpr std::array<reject_info, reject_reason_max + 1> table{{
  {reason::none, header_malformed, 400, conn, "none"},
  {reason::oversize, frame_oversize, 413, conn, "oversize"},
  {reason::bad_version, header_malformed, 400, conn, "bad_version"},
  {reason::bad_hello, header_malformed, 400, conn, "bad_hello"},
  {reason::bad_flags, header_malformed, 400, conn, "bad_flags"},
  {reason::cap_on_non_start, header_malformed, 400, conn, "cap_on_non_start"},
  {reason::cap_bounds, header_malformed, 400, conn, "cap_bounds"},
  {reason::bad_ext, header_malformed, 400, conn, "bad_ext"},
  {reason::bad_comp, header_malformed, 400, conn, "bad_comp"},
  {reason::unknown_envelope, unknown_envelope, 400, conn, "unknown_envelope"},
  {reason::inflight, credit_violation, 409, conn, "inflight"},
  {reason::truncated, truncated, 400, conn, "truncated"},
  {reason::state_conn, header_malformed, 400, conn, "state_conn"},
  {reason::state_stream, header_malformed, 400, strm, "state_stream"},
  {reason::dup_seq, credit_violation, 409, strm, "dup_seq"},
  {reason::seq_gap, credit_violation, 409, strm, "seq_gap"},
  {reason::window_overrun, credit_violation, 409, strm, "window_overrun"},
  {reason::ack_rollback, credit_violation, 409, strm, "ack_rollback"},
  {reason::ack_overshoot, credit_violation, 409, strm, "ack_overshoot"},
  {reason::missing_obj, missing_obj, 400, strm, "missing_obj"},
  {reason::obj_form, header_malformed, 400, strm, "obj_form"},
  {reason::inflate_bound, frame_oversize, 413, strm, "inflate_bound"},
  {reason::bad_length, header_malformed, 400, conn, "bad_length"},
  {reason::ack_unopened, credit_violation, 409, conn, "ack_unopened"},
}};

consteval bool rows_are_in_order() {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].why) != i)
      return false;
  return true;
}
static_assert(rows_are_in_order(), "row i of the table describes reason i");

struct app_row {
  std::uint16_t number;
  std::uint16_t status;
};

// Reasons of applications and of the transport have one status each on this wire, also where
// HTTP tells two cases apart under the same reason.
constexpr app_row app_rows[] = {
  {0x100, 400}, {0x101, 401}, {0x102, 403}, {0x103, 404}, {0x104, 409}, {0x105, 412},
  {0x106, 409}, {0x107, 413}, {0x108, 429}, {0x109, 503}, {0x10a, 503}, {0x10b, 503},
  {0x10c, 502}, {0x10d, 502}, {0x10e, 504}, {0x10f, 507}, {0x110, 507}, {0x111, 404},
  {0x112, 429}, {0x113, 416}, {0x114, 500}, {0x1f0, 499}, {0x1f1, 503},
};

} // namespace

std::string_view to_string(bucket b) noexcept {
  static constexpr std::array<std::string_view, bucket_count> names{
    "frame_oversize",   "header_malformed", "unknown_envelope",
    "credit_violation", "missing_obj",      "truncated",
  };
  auto i = static_cast<std::size_t>(b);
  return i < names.size() ? names[i] : "?";
}

const reject_info& info(reason r) noexcept {
  auto i = static_cast<std::size_t>(r);
  return table[i < table.size() ? i : 0];
}

std::uint16_t status_of(reason r) noexcept {
  if (is_reject(r))
    return info(r).status;
  for (auto row : app_rows)
    if (row.number == static_cast<std::uint16_t>(r))
      return row.status;
  return 500;
}

std::string_view to_string(reason r) noexcept {
  if (static_cast<std::uint16_t>(r) <= reject_reason_max)
    return info(r).name;
  if (r == reason::drain)
    return "drain";
  auto value = core::from_oap_reason(static_cast<std::uint16_t>(r));
  return value ? core::to_string(*value) : "?";
}

} // namespace ron::oap
