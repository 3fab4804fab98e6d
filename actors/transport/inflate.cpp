#include "transport/inflate.hpp"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
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

uInt clipped(std::size_t n) {
  return static_cast<uInt>(std::min<std::size_t>(n, std::numeric_limits<uInt>::max()));
}

} // namespace

struct inflate_guard::state {
  z_stream z{};
  bool has_z = false;
  ZSTD_DStream* d = nullptr;

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
  state_ = std::make_unique<state>();
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
  if (coding_ == coding::identity) {
    if (auto ok = count(in.size()); !ok)
      return ok;
    out.append(reinterpret_cast<const char*>(in.data()), in.size());
    return {};
  }
  give(in);
  if (!buffer_)
    buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(step_bytes);
  for (;;) {
    auto n = next({buffer_.get(), step_bytes});
    if (!n)
      return std::unexpected{std::move(n.error())};
    if (*n == 0)
      return {};
    out.append(reinterpret_cast<const char*>(buffer_.get()), *n);
  }
}

void inflate_guard::give(core::byte_view in) noexcept {
  in_ += in.size();
  rest_ = in;
}

core::result<std::size_t> inflate_guard::next(std::span<std::uint8_t> out) {
  while (!rest_.empty() || full_) {
    if (ended_)
      return damaged();
    const auto place = out.first(std::min(out.size(), room()));
    auto n = coding_ == coding::zstd ? step_zstd(place) : step_zlib(place);
    if (!n)
      return n;
    if (auto ok = count(*n); !ok)
      return std::unexpected{std::move(ok.error())};
    if (*n != 0)
      return n;
  }
  return std::size_t{0};
}

core::result<std::size_t> inflate_guard::step_zlib(std::span<std::uint8_t> out) {
  if (!state_->has_z)
    return fail(ec::busy, "no memory to inflate the body");
  auto& z = state_->z;
  // zlib's older interface wants a mutable pointer but never writes through it.
  z.next_in = const_cast<Bytef*>(rest_.data());
  z.avail_in = clipped(rest_.size());
  z.next_out = out.data();
  z.avail_out = clipped(out.size());
  const int r = inflate(&z, Z_NO_FLUSH);
  const bool stuck = r == Z_BUF_ERROR && z.avail_in != 0;
  if (stuck || (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR))
    return damaged();
  rest_ = rest_.last(rest_.size() - static_cast<std::size_t>(z.next_in - rest_.data()));
  ended_ = r == Z_STREAM_END;
  full_ = !ended_ && z.avail_out == 0;
  return out.size() - z.avail_out;
}

core::result<std::size_t> inflate_guard::step_zstd(std::span<std::uint8_t> out) {
  if (!state_->d)
    return fail(ec::busy, "no memory to inflate the body");
  ZSTD_inBuffer source{rest_.data(), rest_.size(), 0};
  ZSTD_outBuffer sink{out.data(), out.size(), 0};
  const auto left = ZSTD_decompressStream(state_->d, &sink, &source);
  if (ZSTD_isError(left))
    return damaged();
  rest_ = rest_.subspan(source.pos);
  ended_ = left == 0;
  full_ = !ended_ && sink.pos == sink.size;
  return sink.pos;
}

core::result<void> inflate_guard::finish() {
  if (coding_ != coding::identity && !ended_)
    return fail(ec::bad_request, "the compressed body is cut short");
  return {};
}

} // namespace ron::transport
