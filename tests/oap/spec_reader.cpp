#include "oap/spec_reader.hpp"

#include <cstddef>

namespace ron::oap::spec {

namespace {

constexpr std::uint64_t req = 1, resp = 2, event = 4, start = 8, end = 16, ack_req = 32, comp = 64,
                        app_e2e = 128;
enum : int {
  oversize = 1,
  bad_version,
  bad_hello,
  bad_flags,
  cap_on_non_start,
  cap_bounds,
  bad_ext,
  bad_comp,
  unknown_envelope,
  bad_length = 22,
  inflate_bound = 21
};

std::uint64_t number(const octets& in, std::size_t at, int size) {
  std::uint64_t v = 0;
  for (int i = 0; i < size; ++i)
    v = v * 256 + in.at(at + static_cast<std::size_t>(i));
  return v;
}

octets cut(const octets& in, std::size_t from, std::size_t to) {
  return {in.begin() + static_cast<std::ptrdiff_t>(from),
          in.begin() + static_cast<std::ptrdiff_t>(to)};
}

// RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
bool is_utf8(const octets& s) {
  for (std::size_t i = 0; i < s.size();) {
    std::uint32_t c = s[i];
    std::size_t more = c < 0x80                 ? 0
                       : c >= 0xc2 && c <= 0xdf ? 1
                       : (c & 0xf0) == 0xe0     ? 2
                       : c >= 0xf0 && c <= 0xf4 ? 3
                                                : 9;
    if (more == 9 || i + more >= s.size())
      return false;
    std::uint32_t value = more == 0 ? c : c & (0x3fu >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      if ((s[i + k] & 0xc0) != 0x80)
        return false;
      value = value * 64 + (s[i + k] & 0x3fu);
    }
    if ((more == 2 && (value < 0x800 || (value >= 0xd800 && value <= 0xdfff)))
        || (more == 3 && (value < 0x10000 || value > 0x10ffff)))
      return false;
    i += more + 1;
  }
  return true;
}

// Section 2, row by row. Sets the kind or returns the breach.
int find_kind(frame& f, std::uint64_t code) {
  auto directions = f.flags & (req | resp | event);
  if (directions != req && directions != resp && directions != event)
    return unknown_envelope;
  auto extra = f.flags & ~directions;
  bool error_status = f.status >= 400;
  auto error = [&] {
    f.kind = kind::error;
    if (extra & comp)
      return int{bad_comp};
    return (extra & (ack_req | app_e2e)) ? int{bad_flags} : 0;
  };
  auto no_comp = [&](kind k) {
    f.kind = k;
    return (extra & comp) ? int{bad_comp} : 0;
  };
  if (f.app == 0) {
    if ((extra & ~comp) == 0 && (directions == req || (directions == resp && !error_status)))
      return no_comp(kind::hello);
    if (directions == resp && error_status && !(extra & start))
      return error();
    if ((extra & ~comp) == 0 && directions == event && (code & 0x7fff) == 1)
      return no_comp(kind::ack);
    return unknown_envelope;
  }
  if (extra & start)
    return directions == req ? no_comp(kind::start) : int{unknown_envelope};
  if (directions == resp && error_status)
    return error();
  if (extra & end) {
    f.kind = kind::end;
    return directions == event ? int{unknown_envelope} : 0;
  }
  f.kind = kind::data;
  return 0;
}

// What corr, X and code must be for the kind.
int check_corr(const frame& f, const limits& l) {
  bool on_stream = f.app != 0;
  if (on_stream && !f.x && l.x1)
    return bad_ext;
  switch (f.kind) {
  case kind::hello:
    return f.x ? int{bad_ext} : 0;
  case kind::ack:
    return f.x || f.corr == 0 ? int{bad_ext} : 0;
  case kind::start:
    return f.corr == 0 || f.status != 0 ? int{bad_ext} : 0;
  case kind::error:
    return (f.corr == 0) == on_stream ? int{bad_ext} : 0;
  case kind::data:
  case kind::end:
    if (f.corr == 0 || (f.has(req) && f.status != 0))
      return bad_ext;
    return f.has(comp) && (!l.zstd || !f.x) ? int{bad_comp} : 0;
  }
  return 0;
}

int read_data_block(frame& f) {
  const auto& b = f.body;
  if (!f.x) {
    f.bytes = b;
    return 0;
  }
  if (b.size() < 16 || b[0] > 3)
    return bad_ext;
  std::size_t length = 16u + (b[0] & 1 ? 32u : 0u) + (b[0] & 2 ? 8u : 0u);
  if (b[1] != length || b.size() < length || number(b, 2, 2) != 0)
    return bad_ext;
  f.raw_len = number(b, 4, 4);
  f.seq = number(b, 8, 8);
  if ((f.raw_len != 0) != f.has(comp))
    return bad_comp;
  if (b[0] & 1)
    f.obj = cut(b, 16, 48);
  if (b[0] & 2)
    f.total = number(b, length - 8, 8);
  f.bytes = cut(b, length, b.size());
  return f.raw_len > 8u * 1024 * 1024 ? int{inflate_bound} : 0;
}

int read_start_block(frame& f) {
  const auto& b = f.body;
  if (!f.x) {
    f.args = b;
    return 0;
  }
  if (b.size() < 16 || b[0] > 3 || b[1] != 16)
    return bad_ext;
  auto name_len = number(b, 2, 2);
  f.window = number(b, 4, 4);
  f.seq_start = number(b, 8, 8);
  if (name_len > 255 || 16 + name_len > b.size() || f.window < 1 || f.window > 1'024)
    return bad_ext;
  f.objects = (b[0] & 1) != 0;
  f.reply_objects = (b[0] & 2) != 0;
  f.name = cut(b, 16, 16 + name_len);
  f.args = cut(b, 16 + name_len, b.size());
  return is_utf8(f.name) ? 0 : int{bad_ext};
}

int read_ack_block(frame& f) {
  if (f.body.size() != 16)
    return bad_ext;
  f.up_to = number(f.body, 0, 8);
  f.window = number(f.body, 8, 4);
  return f.window > 1'024 || number(f.body, 12, 4) != 0 ? int{bad_ext} : 0;
}

int read_error_block(frame& f) {
  const auto& b = f.body;
  if (!f.x) {
    f.message = b;
    return 0;
  }
  if (b.size() < 16 || b[0] > 1 || b[1] != 16)
    return bad_ext;
  f.has_retry_after = b[0] == 1;
  f.reason = number(b, 2, 2);
  f.retry_after_ms = f.has_retry_after ? number(b, 4, 4) : 0;
  f.last_seq = number(b, 8, 8);
  f.message = cut(b, 16, b.size());
  return f.message.size() > 1'024 || !is_utf8(f.message) ? int{bad_ext} : 0;
}

int read_block(frame& f) {
  switch (f.kind) {
  case kind::hello:
    return 0;
  case kind::start:
    return read_start_block(f);
  case kind::data:
  case kind::end:
    return read_data_block(f);
  case kind::ack:
    return read_ack_block(f);
  case kind::error:
    return read_error_block(f);
  }
  return 0;
}

int read_header(const octets& in, const limits& l, frame& f) {
  f.ver = number(in, 4, 2);
  f.flags = number(in, 6, 2);
  auto code = number(in, 8, 2);
  f.x = code >= 0x8000;
  f.status = code & 0x7fff;
  f.app = number(in, 10, 2);
  f.tenant = cut(in, 12, 28);
  f.cap_len = number(in, 28, 2);
  f.corr = number(in, 30, 8);
  if (f.ver != 1)
    return bad_version;
  if (f.flags > 255)
    return bad_flags;
  if (f.cap_len != 0 && !f.has(start))
    return cap_on_non_start;
  if (38 + f.cap_len > f.len || f.cap_len > l.max_cap)
    return cap_bounds;
  if (auto why = find_kind(f, code))
    return why;
  return check_corr(f, l);
}

} // namespace

verdict read(const octets& in, const limits& l) {
  verdict v;
  auto bad = [&v](int reason) {
    v.is = verdict::bad;
    v.reason = reason;
    return v;
  };
  if (in.size() < 4)
    return v;
  v.f.len = number(in, 0, 4);
  if (v.f.len > l.max_frame)
    return bad(oversize);
  if (v.f.len < 38)
    return bad(bad_length);
  if (in.size() < 38)
    return v;
  if (auto why = read_header(in, l, v.f))
    return bad(why);
  if (in.size() < v.f.len)
    return v;
  v.f.cap = cut(in, 38, 38 + v.f.cap_len);
  v.f.body = cut(in, 38 + v.f.cap_len, v.f.len);
  if (auto why = read_block(v.f))
    return bad(why);
  v.is = verdict::good;
  return v;
}

std::string bucket_of(std::uint64_t reason) {
  switch (reason) {
  case 1:
  case 21:
    return "frame_oversize";
  case 2:
  case 3:
  case 4:
  case 5:
  case 6:
  case 7:
  case 8:
  case 22:
  case 12:
  case 13:
  case 20:
    return "header_malformed";
  case 9:
    return "unknown_envelope";
  case 10:
  case 14:
  case 15:
  case 16:
  case 17:
  case 18:
  case 23:
    return "credit_violation";
  case 11:
    return "truncated";
  case 19:
    return "missing_obj";
  default:
    return "";
  }
}

std::uint64_t status_of(std::uint64_t reason) {
  if (reason == 0x1f0)
    return 499;
  if (reason == 0x1f1 || reason == 0x109)
    return 503;
  if (reason == 0x10e)
    return 504;
  if (reason == 0x112)
    return 429;
  auto bucket = bucket_of(reason);
  return bucket == "frame_oversize"     ? 413
         : bucket == "credit_violation" ? 409
         : bucket.empty()               ? 500
                                        : 400;
}

bool ends_connection(std::uint64_t reason) {
  return !(reason >= 13 && reason <= 21);
}

} // namespace ron::oap::spec
