#include "oap/frame.hpp"

#include <array>

namespace ron::oap {

std::string_view to_string(kind k) noexcept {
  static constexpr std::array<std::string_view, kind_count> names{"HELLO", "START", "DATA",
                                                                  "ACK",   "END",   "ERROR"};
  auto i = static_cast<std::size_t>(k);
  return i < names.size() ? names[i] : "?";
}

namespace {

std::string_view text(core::byte_view v) noexcept {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

} // namespace

start_fields read_start(const frame_view& f) noexcept {
  start_fields out;
  auto body = f.body();
  if (!f.ext()) {
    out.args = body;
    return out;
  }
  const auto* p = body.data();
  out.objects = (p[0] & xflag::objects) != 0;
  out.reply_objects = (p[0] & xflag::reply_objects) != 0;
  std::size_t name_len = load_be<std::uint16_t>(p + 2);
  out.window = load_be<std::uint32_t>(p + 4);
  out.seq_start = load_be<std::uint64_t>(p + 8);
  out.name = text(body.subspan(ext_bytes, name_len));
  out.args = body.subspan(ext_bytes + name_len);
  return out;
}

error_fields read_error(const frame_view& f) noexcept {
  error_fields out;
  auto body = f.body();
  if (!f.ext()) {
    out.message = text(body);
    return out;
  }
  const auto* p = body.data();
  out.has_retry_after = (p[0] & xflag::retry_after) != 0;
  out.why = static_cast<reason>(load_be<std::uint16_t>(p + 2));
  out.retry_after_ms = out.has_retry_after ? load_be<std::uint32_t>(p + 4) : 0;
  out.last_seq = load_be<std::uint64_t>(p + 8);
  out.message = text(body.subspan(ext_bytes));
  return out;
}

} // namespace ron::oap
