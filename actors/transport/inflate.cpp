#include "transport/inflate.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>

namespace ron::transport {

namespace {

using core::ec;
using core::fail;

constexpr std::size_t step_bytes = 65'536;
constexpr int zstd_window_log_max = 23; // 8 MiB
constexpr int gzip_window = 15 + 16;    // zlib: header and trailer of gzip
constexpr int zlib_window = 15;

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
}

auto damaged() {
  return fail(ec::bad_request, "the compressed body is damaged");
}

} // namespace

struct inflate_guard::state {
  z_stream z{};
  bool has_z = false;
  ZSTD_DStream* d = nullptr;
  std::array<std::uint8_t, step_bytes> buffer;

  ~state() {
    if (has_z)
      inflateEnd(&z);
    ZSTD_freeDStream(d);
  }
};

core::result<coding> parse_coding(std::string_view value) {
  if (value.empty() || same(value, "identity"))
    return coding::identity;
  if (same(value, "gzip") || same(value, "x-gzip"))
    return coding::gzip;
  if (same(value, "deflate"))
    return coding::deflate;
  if (same(value, "zstd"))
    return coding::zstd;
  return fail(ec::unsupported_coding, "the body may have one content coding: gzip, deflate, zstd");
}

inflate_guard::inflate_guard(coding c, const inflate_limits& limits) : coding_(c), limits_(limits) {
  if (c == coding::identity)
    return;
  state_ = std::make_unique_for_overwrite<state>(); // the step's buffer stays as it is
  if (c == coding::zstd) {
    state_->d = ZSTD_createDStream();
    if (state_->d)
      ZSTD_DCtx_setParameter(state_->d, ZSTD_d_windowLogMax, zstd_window_log_max);
    return;
  }
  state_->has_z = inflateInit2(&state_->z, c == coding::gzip ? gzip_window : zlib_window) == Z_OK;
}

inflate_guard::~inflate_guard() = default;

std::size_t inflate_guard::room() const noexcept {
  const auto most = std::min({limits_.body_max, limits_.bytes_max, in_ * limits_.ratio_max});
  const auto left = most > out_ ? most - out_ : 0;
  return left < step_bytes ? static_cast<std::size_t>(left) + 1 : step_bytes;
}

core::result<void> inflate_guard::count(std::size_t produced) {
  out_ += produced;
  if (out_ > limits_.body_max)
    return fail(ec::body_cap,
                "the body is larger than " + std::to_string(limits_.body_max) + " bytes");
  if (coding_ == coding::identity)
    return {};
  if (out_ > limits_.bytes_max)
    return fail(ec::decompress_cap,
                "the body inflates to more than " + std::to_string(limits_.bytes_max) + " bytes");
  if (out_ > in_ * limits_.ratio_max)
    return fail(ec::ratio_cap, "the body inflates to more than " + std::to_string(limits_.ratio_max)
                                   + " times its size");
  return {};
}

core::result<void> inflate_guard::feed(core::byte_view in, std::string& out) {
  in_ += in.size();
  if (coding_ != coding::identity)
    return coding_ == coding::zstd ? feed_zstd(in, out) : feed_zlib(in, out);
  if (auto r = count(in.size()); !r)
    return r;
  out.append(reinterpret_cast<const char*>(in.data()), in.size());
  return {};
}

core::result<void> inflate_guard::feed_zlib(core::byte_view in, std::string& out) {
  if (!state_->has_z)
    return fail(ec::busy, "no memory to inflate the body");
  auto& z = state_->z;
  auto& buffer = state_->buffer;
  // zlib's older interface wants a mutable pointer but never writes through it.
  z.next_in = const_cast<Bytef*>(in.data());
  z.avail_in =
      static_cast<uInt>(std::min<std::size_t>(in.size(), std::numeric_limits<uInt>::max()));
  while (z.avail_in > 0 || (!ended_ && z.avail_out == 0)) {
    if (ended_)
      return damaged();
    z.next_out = buffer.data();
    const auto room_now = room();
    z.avail_out = static_cast<uInt>(room_now);
    const int r = inflate(&z, Z_NO_FLUSH);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
      return damaged();
    const auto produced = room_now - z.avail_out;
    if (auto ok = count(produced); !ok)
      return ok;
    out.append(reinterpret_cast<const char*>(buffer.data()), produced);
    ended_ = r == Z_STREAM_END;
    if (r == Z_BUF_ERROR && produced == 0)
      break;
  }
  return {};
}

core::result<void> inflate_guard::feed_zstd(core::byte_view in, std::string& out) {
  if (!state_->d)
    return fail(ec::busy, "no memory to inflate the body");
  ZSTD_inBuffer source{in.data(), in.size(), 0};
  for (bool full = false; source.pos < source.size || full;) {
    if (ended_)
      return damaged();
    ZSTD_outBuffer sink{state_->buffer.data(), room(), 0};
    const auto left = ZSTD_decompressStream(state_->d, &sink, &source);
    if (ZSTD_isError(left))
      return damaged();
    if (auto ok = count(sink.pos); !ok)
      return ok;
    out.append(reinterpret_cast<const char*>(state_->buffer.data()), sink.pos);
    ended_ = left == 0;
    full = !ended_ && sink.pos == sink.size;
  }
  return {};
}

core::result<void> inflate_guard::finish() {
  if (coding_ != coding::identity && !ended_)
    return fail(ec::bad_request, "the compressed body is cut short");
  return {};
}

} // namespace ron::transport
