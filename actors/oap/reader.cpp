#include "oap/reader.hpp"

#include "core/utf8.hpp"

#include <array>

namespace ron::oap {

namespace {

// -- kind: one table over flags, app and status ----------------------------------

// An entry is a kind, or `refused` with the reason in the low bits.
constexpr std::uint8_t refused = 0x80;

consteval std::uint8_t refuse(reason r) {
  return static_cast<std::uint8_t>(refused | static_cast<std::uint16_t>(r));
}

constexpr std::uint8_t is(kind k) {
  return static_cast<std::uint8_t>(k);
}

// RESP with a status of an error, whatever else is set but START.
consteval std::uint8_t classify_error(unsigned flags) {
  if (flags & flag::comp)
    return refuse(reason::bad_comp);
  if (flags & (flag::ack_req | flag::app_e2e))
    return refuse(reason::bad_flags);
  return is(kind::error);
}

consteval std::uint8_t classify_control(unsigned flags, bool error_status) {
  unsigned bare = flags & ~unsigned{flag::comp};
  if (bare == flag::event) // opcode and COMP are looked at by the reader: both need `code`
    return is(kind::ack);
  if (bare == flag::req || (bare == flag::resp && !error_status))
    return (flags & flag::comp) ? refuse(reason::bad_comp) : is(kind::hello);
  bool resp = (flags & (flag::req | flag::resp | flag::event)) == flag::resp;
  if (resp && error_status && !(flags & flag::start))
    return classify_error(flags);
  return refuse(reason::unknown_envelope);
}

consteval std::uint8_t classify_stream(unsigned flags, bool error_status) {
  unsigned direction = flags & (flag::req | flag::resp | flag::event);
  if (direction != flag::req && direction != flag::resp && direction != flag::event)
    return refuse(reason::unknown_envelope);
  if (flags & flag::start) {
    if (direction != flag::req)
      return refuse(reason::unknown_envelope);
    return (flags & flag::comp) ? refuse(reason::bad_comp) : is(kind::start);
  }
  if (direction == flag::resp && error_status)
    return classify_error(flags);
  if (!(flags & flag::end))
    return is(kind::data);
  return direction == flag::event ? refuse(reason::unknown_envelope) : is(kind::end);
}

// Index: flags, bit 8 = app not 0, bit 9 = status of an error.
consteval auto make_kinds() {
  std::array<std::uint8_t, 1024> out{};
  for (unsigned i = 0; i < out.size(); ++i) {
    bool error_status = (i & 512) != 0;
    out[i] = (i & 256) ? classify_stream(i & 255, error_status)
                       : classify_control(i & 255, error_status);
  }
  return out;
}

constexpr auto kinds = make_kinds();

// The first word of the block of DATA and END for each value of xflags: xlen follows from it.
constexpr std::array<std::uint32_t, 4> data_words{0x00100000, 0x01300000, 0x02180000, 0x03380000};

// -- results ---------------------------------------------------------------------

constexpr read_result rejected(reason r, kind k = kind::hello, std::uint32_t len = 0) noexcept {
  return {read_status::reject, k, r, false, len};
}

constexpr read_result need(std::uint32_t n) noexcept {
  return {read_status::need_more, kind::hello, reason::none, false, n};
}

bool is_text(const std::uint8_t* p, std::size_t n) noexcept {
  return core::valid_utf8({reinterpret_cast<const char*>(p), n});
}

// -- checks of the header --------------------------------------------------------

// What the header alone tells about corr, code and X, once the kind is known.
reason check_header(kind k, unsigned flags, unsigned code, unsigned app, corr_t corr,
                    const reader_limits& limits) noexcept {
  bool x = (code & code_ext) != 0;
  unsigned status = code & 0x7fff;
  switch (k) {
    case kind::hello:
      return x ? reason::bad_ext : reason::none;
    case kind::ack:
      return x || corr == 0 ? reason::bad_ext : reason::none;
    case kind::start:
      return status != 0 || corr == 0 || (!x && limits.x1) ? reason::bad_ext : reason::none;
    case kind::error:
      if (app == 0)
        return corr != 0 ? reason::bad_ext : reason::none;
      return corr == 0 || (!x && limits.x1) ? reason::bad_ext : reason::none;
    case kind::data:
    case kind::end:
      if (corr == 0 || (!x && limits.x1) || ((flags & flag::req) && status != 0))
        return reason::bad_ext;
      return (flags & flag::comp) && (!x || !limits.zstd) ? reason::bad_comp : reason::none;
  }
  return reason::none;
}

// -- checks of the extension block -------------------------------------------------

// `p`: the block of DATA or END; `n`: bytes from there to the end of the frame.
reason check_data(const std::uint8_t* p, std::size_t n, bool comp) noexcept {
  if (n < ext_bytes)
    return reason::bad_ext;
  auto word = load_be<std::uint32_t>(p);
  auto raw_len = load_be<std::uint32_t>(p + 4);
  // One comparison covers xlen, the reserved flags and the reserved field.
  if (word != data_words[p[0] & 3] || n < p[1])
    return reason::bad_ext;
  if ((raw_len != 0) != comp)
    return reason::bad_comp;
  return raw_len > core::limits::oap_inflate_bytes_max ? reason::inflate_bound : reason::none;
}

reason check_start(const std::uint8_t* p, std::size_t n) noexcept {
  if (n < ext_bytes)
    return reason::bad_ext;
  std::size_t name_len = load_be<std::uint16_t>(p + 2);
  auto window = load_be<std::uint32_t>(p + 4);
  bool ok = (p[0] & ~(xflag::objects | xflag::reply_objects)) == 0 && p[1] == ext_bytes
            && name_len <= name_bytes_max && ext_bytes + name_len <= n && window >= 1
            && window <= core::limits::oap_ack_window_max;
  return ok && is_text(p + ext_bytes, name_len) ? reason::none : reason::bad_ext;
}

reason check_ack(const std::uint8_t* p, std::size_t n) noexcept {
  bool ok = n == ack_bytes - header_bytes
            && load_be<std::uint32_t>(p + 8) <= core::limits::oap_ack_window_max
            && load_be<std::uint32_t>(p + 12) == 0;
  return ok ? reason::none : reason::bad_ext;
}

reason check_error(const std::uint8_t* p, std::size_t n) noexcept {
  if (n < ext_bytes)
    return reason::bad_ext;
  std::size_t text_len = n - ext_bytes;
  bool ok = (p[0] & ~xflag::retry_after) == 0 && p[1] == ext_bytes
            && text_len <= core::limits::oap_message_bytes_max;
  return ok && is_text(p + ext_bytes, text_len) ? reason::none : reason::bad_ext;
}

reason check_body(kind k, const std::uint8_t* p, std::size_t n, bool x, bool comp) noexcept {
  switch (k) {
    case kind::data:
    case kind::end:
      return x ? check_data(p, n, comp) : reason::none;
    case kind::ack:
      return check_ack(p, n);
    case kind::start:
      return x ? check_start(p, n) : reason::none;
    case kind::error:
      return x ? check_error(p, n) : reason::none;
    case kind::hello:
      break;
  }
  return reason::none;
}

} // namespace

namespace {

// Version, reserved flags and capability, when a look at all of them says that one is unusual.
reason check_fixed(const std::uint8_t* p, std::uint32_t len, const reader_limits& limits) noexcept {
  if (load_be<std::uint16_t>(p + off::ver) != wire_version)
    return reason::bad_version;
  unsigned flags = load_be<std::uint16_t>(p + off::flags);
  if (flags & ~unsigned{flag::known})
    return reason::bad_flags;
  std::uint32_t cap_len = load_be<std::uint16_t>(p + off::cap_len);
  if (cap_len == 0)
    return reason::none;
  if (!(flags & flag::start))
    return reason::cap_on_non_start;
  bool fits = header_bytes + cap_len <= len && cap_len <= limits.max_cap;
  return fits ? reason::none : reason::cap_bounds;
}

// What follows from the kind.
read_result next_kind(core::byte_view in, std::uint32_t len, unsigned index, unsigned code,
                      unsigned app, const reader_limits& limits) noexcept {
  const auto* p = in.data();
  unsigned flags = index & 255;
  auto entry = kinds[index];
  if (entry & refused)
    return rejected(static_cast<reason>(entry & 0x7f));
  auto k = static_cast<kind>(entry);
  bool comp = (flags & flag::comp) != 0;
  if (k == kind::ack) {
    if ((code & 0x7fff) != opcode_ack)
      return rejected(reason::unknown_envelope);
    if (comp)
      return rejected(reason::bad_comp, k);
  }
  auto corr = load_be<corr_t>(p + off::corr);
  if (auto why = check_header(k, flags, code, app, corr, limits); why != reason::none)
    return rejected(why, k);
  if (in.size() < len)
    return need(len);
  std::size_t at = header_bytes + load_be<std::uint16_t>(p + off::cap_len);
  auto why = check_body(k, p + at, len - at, (code & code_ext) != 0, comp);
  if (why != reason::none)
    return rejected(why, k, info(why).scope == scope::stream ? len : 0);
  return {read_status::frame, k, reason::none, false, len};
}

} // namespace

read_result detail::next_checked(core::byte_view in, const reader_limits& limits) noexcept {
  const auto* p = in.data();
  if (in.size() < 4)
    return need(4);
  auto len = load_be<std::uint32_t>(p);
  if (len > limits.max_frame || len < header_bytes)
    return rejected(len < header_bytes ? reason::bad_length : reason::oversize);
  if (in.size() < header_bytes)
    return need(header_bytes);

  // ver, flags, code and app in one load; the upper 24 bits are 0x000100 in every legal frame.
  auto head = load_be<std::uint64_t>(p + off::ver);
  auto cap_len = load_be<std::uint16_t>(p + off::cap_len);
  if ((head >> 40) != 0x100 || cap_len != 0)
    if (auto why = check_fixed(p, len, limits); why != reason::none)
      return rejected(why);

  auto code = static_cast<unsigned>(head >> 16) & 0xffff;
  auto app = static_cast<unsigned>(head) & 0xffff;
  auto index = (static_cast<unsigned>(head >> 32) & 255) | (app != 0 ? 256u : 0u)
               | ((code & 0x7fff) >= status_error_min ? 512u : 0u);
  return next_kind(in, len, index, code, app, limits);
}

} // namespace ron::oap
