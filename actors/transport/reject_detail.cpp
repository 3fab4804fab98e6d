#include "transport/reject_detail.hpp"

#include "core/limits.hpp"

#include <array>

namespace ron::transport {

namespace {

/// Which number a limit is.
enum class bound : std::uint8_t { none, frame, hello, capability, window, inflight, inflated };

struct row {
  oap::reason why;
  std::string_view field;
  std::uint32_t offset;
  bound limit = bound::none;
};

// Offsets: OAP1.md, header and extension block.
constexpr std::uint32_t at_len = 0, at_ver = 4, at_flags = 6, at_cap_len = 28, at_corr = 30,
                        at_block = 38, at_raw_len = 42, at_seq = 46, at_obj = 54;

using enum oap::reason;
constexpr std::array<row, oap::reject_reason_max + 1> rows{{
  {none, "", 0},
  {oversize, "len", at_len, bound::frame},
  {bad_version, "ver", at_ver},
  {bad_hello, "body", at_block, bound::hello},
  {bad_flags, "flags", at_flags},
  {cap_on_non_start, "cap_len", at_cap_len},
  {cap_bounds, "cap_len", at_cap_len, bound::capability},
  {bad_ext, "block", at_block},
  {bad_comp, "raw_len", at_raw_len},
  {unknown_envelope, "flags", at_flags},
  {inflight, "seq", at_seq, bound::inflight},
  {truncated, "len", at_len},
  {state_conn, "flags", at_flags},
  {state_stream, "corr", at_corr},
  {dup_seq, "seq", at_seq},
  {seq_gap, "seq", at_seq},
  {window_overrun, "seq", at_seq, bound::window},
  {ack_rollback, "up_to", at_block},
  {ack_overshoot, "up_to", at_block},
  {missing_obj, "obj", at_obj},
  {obj_form, "obj", at_obj},
  {inflate_bound, "raw_len", at_raw_len, bound::inflated},
  {bad_length, "len", at_len},
  {ack_unopened, "corr", at_corr},
}};

consteval bool rows_are_in_order() {
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (static_cast<std::size_t>(rows[i].why) != i)
      return false;
  return true;
}
static_assert(rows_are_in_order(), "row i describes reason i");

} // namespace

reject_detail detail_of(oap::reason why, const oap::agreement& agreed, bool hello) noexcept {
  const auto i = static_cast<std::size_t>(why);
  const auto& r = rows[i < rows.size() ? i : 0];
  reject_detail d{r.field, r.offset, 0, "protocol"};
  switch (r.limit) {
    case bound::none:
      break;
    case bound::frame:
      d.limit = hello ? agreed.max_frame : core::limits::oap_hello_frame_bytes_max;
      if (hello)
        d.knob = "oap.max-frame";
      break;
    case bound::hello:
      d.limit = core::limits::oap_hello_frame_bytes_max;
      break;
    case bound::capability:
      d.limit = core::limits::oap_cap_bytes_max;
      break;
    case bound::window:
      d.limit = agreed.ack_window;
      d.knob = "oap.ack-window";
      break;
    case bound::inflight:
      d.limit = agreed.max_inflight;
      d.knob = "oap.max-inflight";
      break;
    case bound::inflated:
      d.limit = core::limits::oap_inflate_bytes_max;
      break;
  }
  return d;
}

} // namespace ron::transport
