#include "core/limits.hpp"
#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/writer.hpp"
#include "peers/oap_sides.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <string>

namespace ron::bench {

namespace {

using wire_bytes = std::vector<std::uint8_t>;

const oap::reader_limits limits{.x1 = true};

wire_bytes joined(const std::vector<core::bytes>& slices) {
  wire_bytes out;
  for (const auto& b : slices)
    out.insert(out.end(), b.view().begin(), b.view().end());
  return out;
}

wire_bytes data_wire(std::size_t payload, std::size_t total) {
  oap::writer w;
  auto bytes = core::bytes::copy(std::string(payload, 'x'));
  for (std::size_t i = 0; i * payload < total; ++i)
    w.data({.corr = 1, .app = 1, .flags = oap::flag::req, .seq = i + 1}, bytes);
  std::vector<core::bytes> out;
  w.take(out);
  return joined(out);
}

// All complete frames at the front of `from`, which shrinks to the rest. `want`: what the rest must
// have grown to before the reader is asked again.
// In line as `next` is: what a caller of it keeps between reads stays in registers.
[[gnu::always_inline]] inline std::size_t take_frames(core::byte_view& from, std::size_t& want,
                                                      std::uint64_t& total) {
  if (from.size() < want)
    return 0;
  std::size_t frames = 0;
  std::uint64_t sum = 0;
  auto in = from;
  for (;; ++frames) {
    auto r = oap::next(in, limits);
    if (r.is != oap::read_status::frame) {
      want = r.len;
      break;
    }
    auto d = oap::read_data(oap::view_of(in, r));
    sum += d.seq + d.bytes.size() + reinterpret_cast<std::uintptr_t>(d.bytes.data());
    in = in.subspan(r.len);
  }
  from = in;
  total += sum;
  return frames;
}

class ours_side final : public decoder {
public:
  explicit ours_side(std::size_t payload) : wire_(data_wire(payload, round_bytes)) {}
  std::size_t round() override {
    core::byte_view in{wire_};
    std::size_t want = 0;
    return take_frames(in, want, sum_);
  }

private:
  wire_bytes wire_;
  std::uint64_t sum_ = 0;
};

struct bare_header {
  std::uint32_t len;
  std::uint32_t corr;
  std::uint64_t seq;
};

class bare_side final : public decoder {
public:
  explicit bare_side(std::size_t payload) {
    for (std::size_t i = 0; i * payload < round_bytes; ++i) {
      bare_header h{static_cast<std::uint32_t>(sizeof h + payload), 1, i + 1};
      auto at = wire_.size();
      wire_.resize(at + h.len, 'x');
      std::memcpy(wire_.data() + at, &h, sizeof h);
    }
  }
  std::size_t round() override {
    std::size_t frames = 0;
    std::uint64_t sum = 0;
    for (core::byte_view in{wire_}; in.size() >= sizeof(bare_header); ++frames) {
      bare_header h;
      std::memcpy(&h, in.data(), sizeof h);
      if (h.len < sizeof h || h.len > core::limits::oap_frame_bytes_law || h.len > in.size())
        break;
      sum += h.seq + h.len + reinterpret_cast<std::uintptr_t>(in.data());
      in = in.subspan(h.len);
    }
    sum_ += sum;
    return frames;
  }

private:
  wire_bytes wire_;
  std::uint64_t sum_ = 0;
};

} // namespace

std::unique_ptr<decoder> ours(std::size_t payload) {
  return std::make_unique<ours_side>(payload);
}

std::unique_ptr<decoder> bare_loop(std::size_t payload) {
  return std::make_unique<bare_side>(payload);
}

// -- reads ---------------------------------------------------------------------------------------

std::vector<std::size_t> read_sizes(std::size_t total) {
  std::mt19937 rng{7};
  std::vector<std::size_t> out;
  while (total > 0) {
    out.push_back(std::min<std::size_t>(total, 1'024 + rng() % (127 * 1'024)));
    total -= out.back();
  }
  return out;
}

namespace {

// Every read lies already where the link would have put it: behind the last one in its slab. When
// the slab is half full and has room for the rest of a begun frame, the read is cut behind that
// frame and goes on in a new slab; only what begins in front of a full slab is moved.
class ours_reads_side final : public decoder {
public:
  ours_reads_side() {
    const auto wire = data_wire(65'536, reads_bytes);
    core::byte_view left{wire};
    for (auto n : read_sizes(wire.size())) {
      if (const auto rest = rest_of_begun(wire);
          rest > 0 && rest < n && rest <= room() && room() < core::limits::bulk_slab_bytes / 2) {
        place(left, rest, 0);
        n -= rest;
        new_slab();
        place(left, n, 0);
      } else if (room() < n) {
        const auto begun = at_ - frame_;
        new_slab();
        slabs_.back().resize(begun);
        place(left, n, begun);
      } else {
        place(left, n, 0);
      }
      for (std::uint32_t len = 0; at_ - frame_ >= 4; frame_ += len)
        if (len = oap::load_be<std::uint32_t>(wire.data() + frame_); at_ - frame_ < len)
          break;
    }
  }

  std::size_t round() override {
    std::size_t frames = 0;
    std::size_t want = 0;
    core::byte_view in;
    for (const auto& s : steps_) {
      if (s.carried > 0)
        std::memcpy(s.at - s.carried, in.data(), s.carried);
      // What is left of the last read ends where this one begins.
      in = {s.at - in.size(), in.size() + s.size};
      frames += take_frames(in, want, sum_);
    }
    return frames;
  }

  double copied_per_64() const {
    std::size_t copied = 0;
    std::size_t received = 0;
    for (const auto& s : steps_) {
      copied += s.carried;
      received += s.size;
    }
    return 64.0 * static_cast<double>(copied) / static_cast<double>(received);
  }

private:
  struct step {
    std::uint8_t* at; ///< where the read lies in its slab
    std::size_t size;
    std::size_t carried; ///< bytes of a begun frame that move to the front of the slab
  };

  std::size_t room() const {
    return slabs_.empty() ? 0 : core::limits::bulk_slab_bytes - slabs_.back().size();
  }
  void new_slab() { slabs_.emplace_back().reserve(core::limits::bulk_slab_bytes); }
  /// Bytes that complete the begun frame, 0 if that is not known.
  std::size_t rest_of_begun(const wire_bytes& wire) const {
    const auto begun = at_ - frame_;
    return begun < 4 ? 0 : oap::load_be<std::uint32_t>(wire.data() + frame_) - begun;
  }
  void place(core::byte_view& left, std::size_t n, std::size_t carried) {
    auto& slab = slabs_.back();
    steps_.push_back({slab.data() + slab.size(), n, carried});
    slab.insert(slab.end(), left.begin(), left.begin() + static_cast<std::ptrdiff_t>(n));
    left = left.subspan(n);
    at_ += n;
  }

  std::vector<wire_bytes> slabs_;
  std::vector<step> steps_;
  std::size_t at_ = 0;    ///< bytes of the wire that are placed
  std::size_t frame_ = 0; ///< where the begun frame begins
  std::uint64_t sum_ = 0;
};

} // namespace

std::unique_ptr<decoder> ours_reads() {
  return std::make_unique<ours_reads_side>();
}

double copied_per_64(const decoder& d) {
  return dynamic_cast<const ours_reads_side&>(d).copied_per_64();
}

// -- session -------------------------------------------------------------------------------------

namespace {

// An acceptor with one stream that takes DATA, gives credit back and writes its ACKs. It reads as
// much at once as a quarter of the window.
class session_side final : public decoder {
public:
  explicit session_side(std::size_t payload) {
    oap::writer w;
    w.hello(true, R"({"ack_window":1024,"max_inflight":1024})");
    w.start({.corr = 1, .app = 1, .window = 8, .name = "put"});
    w.take(greeting_);
    auto wire = core::bytes::copy(data_wire(payload, round_bytes));
    const auto frame = payload + oap::header_bytes + oap::ext_bytes;
    const auto read = std::clamp<std::size_t>(core::limits::read_buffer_bytes / frame, 1, 256);
    for (std::size_t at = 0; at < wire.size(); at += read * frame)
      reads_.push_back(wire.slice(at, read * frame));
  }

  std::size_t prepare() override {
    session_.emplace(oap::role::acceptor, oap::session_settings{.max_inflight = 1'024,
                                                                .ack_window = 1'024,
                                                                .receive_budget = 1u << 30});
    for (const auto& b : greeting_)
      session_->on_bytes(b, {});
    while (session_->take_events(batch_)) {
      // nop
    }
    return 1;
  }

  std::size_t round() override {
    std::size_t frames = 0;
    for (const auto& b : reads_) {
      session_->on_bytes(b, {});
      while (session_->take_events(batch_))
        for (auto& e : batch_)
          if (auto* d = std::get_if<oap::data>(&e)) {
            session_->consumed(d->corr);
            ++frames;
          }
      out_.clear();
      session_->take(out_);
    }
    return frames;
  }

private:
  std::optional<oap::session> session_;
  std::vector<core::bytes> greeting_;
  std::vector<core::bytes> reads_;
  oap::events batch_;
  std::vector<core::bytes> out_;
};

} // namespace

std::unique_ptr<decoder> ours_session(std::size_t payload) {
  return std::make_unique<session_side>(payload);
}

// -- control frames ------------------------------------------------------------------------------

namespace {

constexpr std::size_t control_frames = 1'000;

template <bool Ack>
class control_side final : public decoder {
public:
  std::size_t round() override {
    for (std::size_t i = 0; i < control_frames; ++i) {
      if constexpr (Ack)
        writer_.ack(1, ++seq_, 32);
      else
        writer_.data({.corr = 1,
                      .app = 1,
                      .flags = oap::flag::resp | oap::flag::end,
                      .status = 200,
                      .seq = ++seq_},
                     {});
    }
    out_.clear();
    writer_.take(out_);
    return control_frames;
  }

private:
  oap::writer writer_;
  std::vector<core::bytes> out_;
  std::uint64_t seq_ = 0;
};

} // namespace

std::unique_ptr<decoder> ours_acks() {
  return std::make_unique<control_side<true>>();
}

std::unique_ptr<decoder> ours_ends() {
  return std::make_unique<control_side<false>>();
}

} // namespace ron::bench
