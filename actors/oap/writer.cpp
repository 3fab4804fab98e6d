#include "oap/writer.hpp"

#include "core/utf8.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>

namespace ron::oap {

namespace {

std::uint8_t* put(std::uint8_t* p, core::byte_view v) noexcept {
  if (!v.empty())
    std::memcpy(p, v.data(), v.size());
  return p + v.size();
}

std::uint8_t* put(std::uint8_t* p, std::string_view s) noexcept {
  return put(p, core::byte_view{reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
}

} // namespace

struct writer::head {
  oap::kind kind;
  std::size_t len;        ///< of the whole frame
  std::size_t inline_len; ///< of what goes into the buffer
  corr_t corr;
  std::uint16_t flags;
  std::uint16_t code;
  std::uint16_t app;
  std::uint16_t cap_len = 0;
  const core::tenant* tenant = nullptr;
};

// Reserves `h.inline_len` bytes, writes the header and returns where the rest goes.
std::uint8_t* writer::begin(const head& h) {
  assert(h.len <= core::limits::oap_frame_bytes_law);
  auto* p = reserve(h.inline_len);
  store_be(p + off::len, static_cast<std::uint32_t>(h.len));
  store_be(p + off::ver, wire_version);
  store_be(p + off::flags, h.flags);
  store_be(p + off::code, h.code);
  store_be(p + off::app, h.app);
  if (h.tenant)
    std::memcpy(p + off::tenant, h.tenant->id.data(), h.tenant->id.size());
  else
    std::memset(p + off::tenant, 0, 16);
  store_be(p + off::cap_len, h.cap_len);
  store_be(p + off::corr, h.corr);
  ++frames_[static_cast<std::size_t>(h.kind)];
  return p + header_bytes;
}

std::uint8_t* writer::reserve(std::size_t n) {
  if (block_.room().size() < n) {
    cut();
    if (block_.capacity() >= n && block_.unshared()) {
      block_.rewind();
    } else {
      // A block that was filled up asks for a larger one; an idle connection stays small.
      if (block_.capacity() != 0)
        next_block_ = std::min(next_block_ * 4, block_max_);
      block_ = core::slab{std::max(n, next_block_)};
    }
    cut_ = 0;
  }
  auto* p = block_.room().data();
  block_.commit(n);
  pending_ += n;
  return p;
}

// Queues what was written since the last cut.
void writer::cut() {
  if (block_.filled() > cut_)
    queue_.push_back(block_.cut(cut_, block_.filled() - cut_));
  cut_ = block_.filled();
}

void writer::hello(bool dialer, std::string_view json) {
  std::size_t len = header_bytes + json.size();
  auto* p = begin({.kind = kind::hello,
                   .len = len,
                   .inline_len = len,
                   .corr = 0,
                   .flags = dialer ? flag::req : flag::resp,
                   .code = static_cast<std::uint16_t>(dialer ? 0 : 200),
                   .app = 0});
  put(p, json);
}

void writer::start(const start_frame& f) {
  std::size_t len = header_bytes + f.cap.size() + f.args.size();
  if (f.ext)
    len += ext_bytes + f.name.size();
  auto* p = begin({.kind = kind::start,
                   .len = len,
                   .inline_len = len,
                   .corr = f.corr,
                   .flags = static_cast<std::uint16_t>(f.flags | flag::req | flag::start),
                   .code = f.ext ? code_ext : std::uint16_t{0},
                   .app = f.app,
                   .cap_len = static_cast<std::uint16_t>(f.cap.size()),
                   .tenant = &f.tenant});
  p = put(p, f.cap);
  if (f.ext) {
    p[0] = static_cast<std::uint8_t>((f.objects ? xflag::objects : 0)
                                     | (f.reply_objects ? xflag::reply_objects : 0));
    p[1] = ext_bytes;
    store_be(p + 2, static_cast<std::uint16_t>(f.name.size()));
    store_be(p + 4, f.window);
    store_be(p + 8, f.seq_start);
    p = put(p + ext_bytes, f.name);
  }
  put(p, f.args);
}

void writer::data(const data_frame& f, const core::bytes& payload) {
  std::size_t head_len = header_bytes;
  if (f.ext)
    head_len += ext_bytes + (f.obj ? ext_obj_bytes : 0) + (f.total ? ext_total_bytes : 0);
  bool scatter = payload.size() >= scatter_min;
  auto* p = begin({.kind = (f.flags & flag::end) ? kind::end : kind::data,
                   .len = head_len + payload.size(),
                   .inline_len = head_len + (scatter ? 0 : payload.size()),
                   .corr = f.corr,
                   .flags = f.flags,
                   .code = static_cast<std::uint16_t>(f.status | (f.ext ? code_ext : 0)),
                   .app = f.app,
                   .tenant = &f.tenant});
  if (f.ext) {
    p[0] = static_cast<std::uint8_t>((f.obj ? xflag::obj : 0) | (f.total ? xflag::total : 0));
    p[1] = static_cast<std::uint8_t>(head_len - header_bytes);
    store_be(p + 2, std::uint16_t{0});
    store_be(p + 4, f.raw_len);
    store_be(p + 8, f.seq);
    p += ext_bytes;
    if (f.obj)
      p = put(p, f.obj->view());
    if (f.total) {
      store_be(p, *f.total);
      p += ext_total_bytes;
    }
  }
  if (!scatter) {
    put(p, payload.view());
    return;
  }
  cut();
  queue_.push_back(payload);
  pending_ += payload.size();
}

void writer::ack(corr_t corr, std::uint64_t up_to, std::uint32_t window) {
  auto* p = begin({.kind = kind::ack,
                   .len = ack_bytes,
                   .inline_len = ack_bytes,
                   .corr = corr,
                   .flags = flag::event,
                   .code = opcode_ack,
                   .app = 0});
  store_be(p, up_to);
  store_be(p + 8, window);
  store_be(p + 12, std::uint32_t{0});
}

void writer::error(const error_frame& f) {
  auto message = f.ext ? core::clip_utf8(f.message, core::limits::oap_message_bytes_max)
                       : f.message;
  std::size_t len = header_bytes + (f.ext ? ext_bytes : 0) + message.size();
  auto* p = begin({.kind = kind::error,
                   .len = len,
                   .inline_len = len,
                   .corr = f.corr,
                   .flags = static_cast<std::uint16_t>(flag::resp | flag::end),
                   .code = static_cast<std::uint16_t>(f.status | (f.ext ? code_ext : 0)),
                   .app = f.app,
                   .tenant = &f.tenant});
  if (f.ext) {
    p[0] = f.retry_after_ms ? xflag::retry_after : std::uint8_t{0};
    p[1] = ext_bytes;
    store_be(p + 2, static_cast<std::uint16_t>(f.why));
    store_be(p + 4, f.retry_after_ms);
    store_be(p + 8, f.last_seq);
    p += ext_bytes;
  }
  put(p, message);
}

bool writer::take(std::vector<core::bytes>& out) {
  if (pending_ == 0)
    return false;
  cut();
  out.insert(out.end(), std::make_move_iterator(queue_.begin()),
             std::make_move_iterator(queue_.end()));
  queue_.clear();
  pending_ = 0;
  return true;
}

void writer::trim() noexcept {
  if (pending_ != 0)
    return;
  block_ = core::slab{};
  cut_ = 0;
  next_block_ = block_min;
  queue_ = decltype(queue_){};
}

} // namespace ron::oap
