#pragma once

#include "core/bytes.hpp"
#include "oap/frame.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Frames written by hand, independently of `oap::writer`: a field at a time, also wrong ones.
namespace ron::oap::test {

using wire = std::vector<std::uint8_t>;

inline void put_be(wire& w, std::uint64_t v, int n) {
  for (int i = n - 1; i >= 0; --i)
    w.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
}

inline void put(wire& w, std::string_view s) {
  w.insert(w.end(), s.begin(), s.end());
}

inline wire operator+(wire a, const wire& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline wire from_hex(std::string_view hex) {
  wire w(hex.size() / 2);
  if (!core::from_hex(hex, w))
    w.clear();
  return w;
}

inline core::bytes to_bytes(const wire& w) {
  return core::bytes::copy(core::byte_view{w});
}

/// Any frame. `len` 0 = what it is.
struct raw {
  std::uint32_t len = 0;
  std::uint16_t ver = 1;
  std::uint16_t flags = 0;
  std::uint16_t code = 0;
  std::uint16_t app = 0;
  std::uint8_t tenant = 0; ///< the last of the 16 bytes
  int cap_len = -1;        ///< -1 = what it is
  std::uint64_t corr = 0;
  std::string cap{};
  wire body{};

  wire build() const {
    wire w;
    auto size = header_bytes + cap.size() + body.size();
    put_be(w, len ? len : size, 4);
    put_be(w, ver, 2);
    put_be(w, flags, 2);
    put_be(w, code, 2);
    put_be(w, app, 2);
    put_be(w, 0, 8);
    put_be(w, tenant, 8);
    put_be(w, cap_len < 0 ? cap.size() : static_cast<std::size_t>(cap_len), 2);
    put_be(w, corr, 8);
    put(w, cap);
    return w + body;
  }
};

inline constexpr std::uint16_t app_1 = 1;

inline wire hello_frame(bool dialer, std::string_view json = "{}") {
  raw r{.flags = dialer ? flag::req : flag::resp,
        .code = static_cast<std::uint16_t>(dialer ? 0 : 200)};
  put(r.body, json);
  return r.build();
}

struct start_opts {
  std::uint16_t flags = 0; ///< beside REQ and START
  std::uint16_t app = app_1;
  std::uint8_t tenant = 0;
  std::uint8_t xflags = 0;
  std::uint32_t window = 8;
  std::uint64_t seq = 0;
  std::string name = "echo";
  std::string cap{};
  std::string args{};
};

inline wire start_frame_of(corr_t corr, const start_opts& o = {}) {
  raw r{.flags = static_cast<std::uint16_t>(flag::req | flag::start | o.flags),
        .code = code_ext,
        .app = o.app,
        .tenant = o.tenant,
        .corr = corr,
        .cap = o.cap};
  put_be(r.body, o.xflags, 1);
  put_be(r.body, 16, 1);
  put_be(r.body, o.name.size(), 2);
  put_be(r.body, o.window, 4);
  put_be(r.body, o.seq, 8);
  put(r.body, o.name + o.args);
  return r.build();
}

struct data_opts {
  std::uint16_t dir = flag::req;
  std::uint16_t flags = 0; ///< beside the direction
  std::uint16_t status = 0;
  std::uint16_t app = app_1;
  std::uint8_t tenant = 0;
  int obj = -1; ///< an object id made of this byte; -1 = none
  bool total = false;
  std::uint32_t raw_len = 0;
};

inline wire data_frame_of(corr_t corr, std::uint64_t seq, std::string_view bytes = "x",
                          const data_opts& o = {}) {
  raw r{.flags = static_cast<std::uint16_t>(o.dir | o.flags),
        .code = static_cast<std::uint16_t>(code_ext | o.status),
        .app = o.app,
        .tenant = o.tenant,
        .corr = corr};
  put_be(r.body, (o.obj >= 0 ? 1u : 0u) | (o.total ? 2u : 0u), 1);
  put_be(r.body, 16u + (o.obj >= 0 ? 32u : 0u) + (o.total ? 8u : 0u), 1);
  put_be(r.body, 0, 2);
  put_be(r.body, o.raw_len, 4);
  put_be(r.body, seq, 8);
  if (o.obj >= 0)
    r.body.insert(r.body.end(), 32, static_cast<std::uint8_t>(o.obj));
  if (o.total)
    put_be(r.body, 1000, 8);
  put(r.body, bytes);
  return r.build();
}

inline wire end_frame_of(corr_t corr, std::uint64_t seq, std::string_view bytes = "",
                         data_opts o = {}) {
  o.flags |= flag::end;
  return data_frame_of(corr, seq, bytes, o);
}

inline wire ack_frame_of(corr_t corr, std::uint64_t up_to, std::uint32_t window) {
  raw r{.flags = flag::event, .code = opcode_ack, .corr = corr};
  put_be(r.body, up_to, 8);
  put_be(r.body, window, 4);
  put_be(r.body, 0, 4);
  return r.build();
}

inline wire error_frame_of(corr_t corr, std::uint16_t status, std::uint16_t why,
                           std::uint64_t last_seq = 0, std::uint16_t app = app_1,
                           std::string_view message = "m") {
  raw r{.flags = flag::resp | flag::end,
        .code = static_cast<std::uint16_t>(code_ext | status),
        .app = corr == 0 ? std::uint16_t{0} : app,
        .corr = corr};
  put_be(r.body, 0, 1);
  put_be(r.body, 16, 1);
  put_be(r.body, why, 2);
  put_be(r.body, 0, 4);
  put_be(r.body, last_seq, 8);
  put(r.body, message);
  return r.build();
}

} // namespace ron::oap::test
