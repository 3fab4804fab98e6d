#pragma once

#include "core/bytes.hpp"
#include "core/ids.hpp"
#include "core/limits.hpp"
#include "oap/reject.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// The grammar of one OAP/1 frame: where the fields are and how they are read. No state.
namespace ron::oap {

/// Stream id on the wire. Streams have 1 and more, 0 is the connection.
using corr_t = std::uint64_t;

// -- layout (OAP1.md, section 1) -----------------------------------------------

inline constexpr std::size_t header_bytes = 38;
inline constexpr std::size_t ext_bytes = 16;      ///< fixed part of the extension block
inline constexpr std::size_t ext_obj_bytes = 32;  ///< object id, with xflag OBJ
inline constexpr std::size_t ext_total_bytes = 8; ///< total length, with xflag TOTAL
inline constexpr std::size_t ack_bytes = header_bytes + 16;
inline constexpr std::size_t name_bytes_max = 255;
inline constexpr std::uint16_t wire_version = 1;
/// The largest header with every optional part of DATA: what a frame costs beside its bytes.
inline constexpr std::size_t data_overhead_max
  = header_bytes + ext_bytes + ext_obj_bytes + ext_total_bytes;

namespace off {
inline constexpr std::size_t len = 0, ver = 4, flags = 6, code = 8, app = 10, tenant = 12,
                             cap_len = 28, corr = 30;
}

/// Bits of the header field `flags`; 8 to 15 are reserved.
namespace flag {
inline constexpr std::uint16_t req = 1, resp = 2, event = 4, start = 8, end = 16, ack_req = 32,
                               comp = 64, app_e2e = 128;
inline constexpr std::uint16_t known = 255;
} // namespace flag

/// Bit 15 of `code`: the frame has an extension block. The other bits are status or opcode.
inline constexpr std::uint16_t code_ext = 0x8000;
/// Opcode of ACK on app 0.
inline constexpr std::uint16_t opcode_ack = 1;
/// From this status on a response is an ERROR.
inline constexpr std::uint16_t status_error_min = 400;

/// Bits of `xflags`, by kind.
namespace xflag {
inline constexpr std::uint8_t obj = 1, total = 2;             // DATA, END
inline constexpr std::uint8_t objects = 1, reply_objects = 2; // START
inline constexpr std::uint8_t retry_after = 1;                // ERROR
} // namespace xflag

/// What a frame is: a function of flags, app and status. ERROR with app 0 is the connection's.
enum class kind : std::uint8_t { hello, start, data, ack, end, error };
inline constexpr std::size_t kind_count = 6;
/// HELLO, START, DATA, ACK, END, ERROR: the metric label.
std::string_view to_string(kind k) noexcept;

// -- big-endian integers -------------------------------------------------------

template <class T>
T load_be(const std::uint8_t* p) noexcept {
  T v;
  std::memcpy(&v, p, sizeof v);
  if constexpr (sizeof(T) > 1 && std::endian::native == std::endian::little)
    v = std::byteswap(v);
  return v;
}

template <class T>
void store_be(std::uint8_t* p, T v) noexcept {
  if constexpr (sizeof(T) > 1 && std::endian::native == std::endian::little)
    v = std::byteswap(v);
  std::memcpy(p, &v, sizeof v);
}

// -- views ---------------------------------------------------------------------

/// A checked frame where it was received. Costs a pointer and three small integers; fields are
/// read from the bytes when asked for. Valid while those bytes are.
class frame_view {
public:
  frame_view() noexcept = default;
  /// Only for a frame that `oap::next` has passed.
  frame_view(const std::uint8_t* base, std::uint32_t len, oap::kind k, bool plain = false) noexcept
    : base_(base), len_(len), kind_(k), plain_(plain) {
    // nop
  }

  oap::kind kind() const noexcept { return kind_; }
  /// DATA or END whose fields are where they are in nearly all of them: no capability, object id,
  /// total or compression. False says nothing.
  bool plain() const noexcept { return plain_; }
  /// Length of the whole frame.
  std::uint32_t len() const noexcept { return len_; }
  core::byte_view wire() const noexcept { return {base_, len_}; }

  std::uint16_t flags() const noexcept { return load_be<std::uint16_t>(base_ + off::flags); }
  bool has(std::uint16_t bit) const noexcept { return (flags() & bit) != 0; }
  std::uint16_t status() const noexcept {
    return load_be<std::uint16_t>(base_ + off::code) & std::uint16_t(~code_ext);
  }
  /// True if the extension block is there.
  bool ext() const noexcept { return (base_[off::code] & 0x80) != 0; }
  std::uint16_t app() const noexcept { return load_be<std::uint16_t>(base_ + off::app); }
  core::tenant tenant() const noexcept {
    core::tenant t;
    std::memcpy(t.id.data(), base_ + off::tenant, t.id.size());
    return t;
  }
  corr_t corr() const noexcept { return load_be<corr_t>(base_ + off::corr); }
  std::uint16_t cap_len() const noexcept { return load_be<std::uint16_t>(base_ + off::cap_len); }
  core::byte_view cap() const noexcept { return {base_ + header_bytes, cap_len()}; }
  /// Everything behind header and capability.
  core::byte_view body() const noexcept {
    std::size_t at = header_bytes + cap_len();
    return {base_ + at, len_ - at};
  }

private:
  const std::uint8_t* base_ = nullptr;
  std::uint32_t len_ = 0;
  oap::kind kind_ = oap::kind::hello;
  bool plain_ = false;
};

/// The fields of DATA and END; the defaults hold for a frame without extension block.
struct data_fields {
  std::uint64_t seq = 0;
  std::uint32_t raw_len = 0;             ///< size after inflation; 0 = not compressed
  const std::uint8_t* obj = nullptr;     ///< 32 bytes in the frame, null if absent
  bool has_total = false;
  std::uint64_t total = 0;               ///< length of the whole object, if `has_total`
  core::byte_view bytes{};
};
inline data_fields read_data(const frame_view& f) noexcept {
  data_fields out;
  if (f.plain()) {
    out.seq = load_be<std::uint64_t>(f.wire().data() + header_bytes + 8);
    out.bytes = f.wire().subspan(header_bytes + ext_bytes);
    return out;
  }
  auto body = f.body();
  if (!f.ext()) {
    out.bytes = body;
    return out;
  }
  const auto* p = body.data();
  out.raw_len = load_be<std::uint32_t>(p + 4);
  out.seq = load_be<std::uint64_t>(p + 8);
  std::size_t at = ext_bytes;
  if (p[0] & xflag::obj) {
    out.obj = p + at;
    at += ext_obj_bytes;
  }
  if (p[0] & xflag::total) {
    out.has_total = true;
    out.total = load_be<std::uint64_t>(p + at);
    at += ext_total_bytes;
  }
  out.bytes = body.subspan(at);
  return out;
}

/// The fields of START.
struct start_fields {
  bool objects = false;
  bool reply_objects = false;
  std::uint32_t window = 0;              ///< 0 if the frame has no extension block
  std::uint64_t seq_start = 0;
  std::string_view name{};
  core::byte_view args{};
};
start_fields read_start(const frame_view& f) noexcept;

/// The fields of ACK.
struct ack_fields {
  std::uint64_t up_to = 0;
  std::uint32_t window = 0;
};
inline ack_fields read_ack(const frame_view& f) noexcept {
  const auto* p = f.body().data();
  return {load_be<std::uint64_t>(p), load_be<std::uint32_t>(p + 8)};
}

/// The fields of ERROR. Without extension block `message` is the JSON error object as it came.
struct error_fields {
  oap::reason why = reason::none;
  bool has_retry_after = false;
  std::uint32_t retry_after_ms = 0;
  std::uint64_t last_seq = 0;
  std::string_view message{};
};
error_fields read_error(const frame_view& f) noexcept;

} // namespace ron::oap
