#include "peers/oap_sides.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace ron::bench {

namespace {

constexpr std::uint32_t window_max = 0x7fffffff;
constexpr std::uint32_t frame_max = 1u << 20;
constexpr std::int32_t first_stream = 1;

void must(bool ok, const char* what) {
  if (ok)
    return;
  std::fprintf(stderr, "oap: nghttp2: %s\n", what);
  std::abort();
}

nghttp2_nv field(const char* name, const char* value) {
  auto raw = [](const char* s) { return reinterpret_cast<std::uint8_t*>(const_cast<char*>(s)); };
  return {raw(name), raw(value), std::strlen(name), std::strlen(value), NGHTTP2_NV_FLAG_NONE};
}

struct session_deleter {
  void operator()(nghttp2_session* s) const noexcept { nghttp2_session_del(s); }
};
using session_ptr = std::unique_ptr<nghttp2_session, session_deleter>;

/// Writes what is due; the number of bytes, appended to `out` if it is not null.
std::size_t drain(nghttp2_session* s, std::vector<std::uint8_t>* out = nullptr) {
  std::size_t total = 0;
  const std::uint8_t* data = nullptr;
  for (ssize_t n = 0; (n = nghttp2_session_mem_send(s, &data)) > 0;) {
    total += static_cast<std::size_t>(n);
    if (out)
      out->insert(out->end(), data, data + n);
  }
  return total;
}

void feed(nghttp2_session* s, const std::vector<std::uint8_t>& in) {
  auto n = nghttp2_session_mem_recv(s, in.data(), in.size());
  must(n == static_cast<ssize_t>(in.size()), "the session did not take its input");
}

session_ptr client(std::uint32_t streams) {
  nghttp2_session_callbacks* calls = nullptr;
  nghttp2_session_callbacks_new(&calls);
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  nghttp2_option_set_peer_max_concurrent_streams(option, streams);
  nghttp2_session* s = nullptr;
  must(nghttp2_session_client_new2(&s, calls, nullptr, option) == 0, "no client session");
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(calls);
  must(nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, nullptr, 0) == 0, "no settings");
  return session_ptr{s};
}

void begin_request(nghttp2_session* s) {
  const std::array<nghttp2_nv, 4> head{field(":method", "PUT"), field(":scheme", "https"),
                                       field(":authority", "h"), field(":path", "/v1/o")};
  must(nghttp2_submit_headers(s, NGHTTP2_FLAG_NONE, -1, nullptr, head.data(), head.size(), nullptr)
         > 0,
       "no stream");
}

// A server session in the middle of an upload: one stream, windows as large as they get, credit
// given back by hand.
class receiver {
public:
  explicit receiver(std::uint32_t window) {
    nghttp2_session_callbacks* calls = nullptr;
    nghttp2_session_callbacks_new(&calls);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      calls, [](nghttp2_session*, std::uint8_t, std::int32_t, const std::uint8_t* data,
                std::size_t n, void* me) {
        static_cast<receiver*>(me)->sum_ += n + reinterpret_cast<std::uintptr_t>(data);
        return 0;
      });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
      calls, [](nghttp2_session*, const nghttp2_frame* f, void* me) {
        if (f->hd.type == NGHTTP2_DATA)
          ++static_cast<receiver*>(me)->frames_;
        return 0;
      });
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session* s = nullptr;
    must(nghttp2_session_server_new2(&s, calls, this, option) == 0, "no server session");
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(calls);
    session_.reset(s);
    greet(window);
  }

  /// Gives the frames since the last call to the session's user and their credit to the peer.
  std::size_t take(std::size_t payload_bytes) {
    nghttp2_session_consume(session_.get(), first_stream, payload_bytes);
    drain(session_.get());
    return std::exchange(frames_, 0);
  }
  nghttp2_session* get() { return session_.get(); }

private:
  void greet(std::uint32_t window) {
    auto* s = session_.get();
    const std::array<nghttp2_settings_entry, 2> settings{
      nghttp2_settings_entry{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, frame_max},
      nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(s, NGHTTP2_FLAG_NONE, 0, window_max);
    std::vector<std::uint8_t> ours;
    drain(s, &ours);
    auto peer = client(1);
    std::vector<std::uint8_t> theirs;
    drain(peer.get(), &theirs);
    feed(s, theirs);
    feed(peer.get(), ours);
    begin_request(peer.get());
    theirs.clear();
    drain(peer.get(), &theirs); // the acknowledgement of our settings, then the request
    feed(s, theirs);
    drain(s);
    must(nghttp2_session_find_stream(s, first_stream) != nullptr, "the stream is not open");
  }

  session_ptr session_;
  std::size_t frames_ = 0;
  std::uint64_t sum_ = 0;
};

std::vector<std::uint8_t> data_wire(std::size_t payload, std::size_t total) {
  std::vector<std::uint8_t> wire;
  for (std::size_t i = 0; i * payload < total; ++i) {
    const std::array<std::uint8_t, 9> head{
      static_cast<std::uint8_t>(payload >> 16), static_cast<std::uint8_t>(payload >> 8),
      static_cast<std::uint8_t>(payload), NGHTTP2_DATA, 0, 0, 0, 0, first_stream};
    wire.insert(wire.end(), head.begin(), head.end());
    wire.resize(wire.size() + payload, 'x');
  }
  return wire;
}

class nghttp2_side final : public decoder {
public:
  nghttp2_side(std::size_t payload, std::size_t total, std::vector<std::size_t> reads)
    : wire_(data_wire(payload, total)), reads_(std::move(reads)) {
    if (reads_.empty())
      reads_.push_back(wire_.size());
    payload_bytes_ = (total + payload - 1) / payload * payload;
  }

  std::size_t round() override {
    std::size_t at = 0;
    for (auto n : reads_) {
      n = std::min(n, wire_.size() - at);
      auto taken = nghttp2_session_mem_recv(receiver_.get(), wire_.data() + at, n);
      must(taken == static_cast<ssize_t>(n), "a read was not taken whole");
      at += n;
    }
    return receiver_.take(payload_bytes_);
  }

private:
  receiver receiver_{window_max};
  std::vector<std::uint8_t> wire_;
  std::vector<std::size_t> reads_;
  std::size_t payload_bytes_ = 0;
};

constexpr std::size_t control_frames = 1'000;

class window_updates_side final : public decoder {
public:
  std::size_t round() override {
    for (std::size_t i = 0; i < control_frames; ++i)
      nghttp2_submit_window_update(receiver_.get(), NGHTTP2_FLAG_NONE, first_stream, 1);
    must(drain(receiver_.get()) == control_frames * 13, "not every update was written");
    return control_frames;
  }

private:
  receiver receiver_{65'535};
};

class ends_side final : public decoder {
public:
  std::size_t prepare() override {
    session_ = client(control_frames);
    for (std::size_t i = 0; i < control_frames; ++i)
      begin_request(session_.get());
    drain(session_.get());
    return 1;
  }

  std::size_t round() override {
    nghttp2_data_provider nothing{};
    nothing.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t,
                               std::uint32_t* flags, nghttp2_data_source*, void*) -> ssize_t {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      return 0;
    };
    for (std::size_t i = 0; i < control_frames; ++i)
      nghttp2_submit_data(session_.get(), NGHTTP2_FLAG_END_STREAM,
                          static_cast<std::int32_t>(2 * i + 1), &nothing);
    must(drain(session_.get()) == control_frames * 9, "not every stream was ended");
    return control_frames;
  }

private:
  session_ptr session_;
};

} // namespace

std::unique_ptr<decoder> nghttp2(std::size_t payload) {
  return std::make_unique<nghttp2_side>(payload, round_bytes, std::vector<std::size_t>{});
}

std::unique_ptr<decoder> nghttp2_reads() {
  constexpr std::size_t total = reads_bytes;
  return std::make_unique<nghttp2_side>(65'536, total, read_sizes(total + total / 65'536 * 9));
}

std::unique_ptr<decoder> nghttp2_window_updates() {
  return std::make_unique<window_updates_side>();
}

std::unique_ptr<decoder> nghttp2_ends() {
  return std::make_unique<ends_side>();
}

} // namespace ron::bench
