#include "mailbox/layout.hpp"

#include "core/checksum.hpp"
#include "core/hash.hpp"
#include "mailbox/times.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

namespace ron::mailbox::layout {

using core::byte_view;
using core::ec;
using core::fail;
using core::instant;
using core::result;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t check_bytes = 8;
constexpr std::size_t key_bytes = 2 + 8;
constexpr std::size_t slot_key_bytes = 2 + 32;

/// What guards a value against what a disk or a stray write does to it.
std::uint64_t check_of(byte_view key, byte_view fields) noexcept {
  return core::checksum(std::array{key, fields});
}

/// The same in what formats 1 and 2 have left.
std::uint64_t old_check_of(byte_view key, byte_view fields) {
  core::b3::hasher h;
  return lmdb::load<std::uint64_t>(h.update(key).update(fields).finish());
}

/// The same backwards. What is not there reads as zero; the check says whether all is well.
class unpacker {
public:
  explicit unpacker(byte_view v) noexcept : rest_(v) {}

  template <std::unsigned_integral T>
  T number() noexcept {
    const auto x = lmdb::load<T>(rest_);
    rest_ = rest_.subspan(std::min(rest_.size(), sizeof(T)));
    return x;
  }
  byte_view take(std::size_t n) noexcept {
    auto out = rest_.first(std::min(n, rest_.size()));
    rest_ = rest_.subspan(out.size());
    return out;
  }
  std::string text() {
    auto v = take(number<std::uint16_t>());
    return {reinterpret_cast<const char*>(v.data()), v.size()};
  }
  byte_view rest() const noexcept { return rest_; }

private:
  byte_view rest_;
};

/// The fields of a sealed value. Error: bad_digest.
result<unpacker> open(byte_view key, std::size_t key_size, byte_view value) {
  if (key.size() == key_size && value.size() >= check_bytes) {
    const auto fields = value.first(value.size() - check_bytes);
    const auto check = lmdb::load<std::uint64_t>(value, fields.size());
    if (check == check_of(key, fields) || check == old_check_of(key, fields))
      return unpacker{fields};
  }
  return fail(ec::bad_digest, "mailbox: a record is damaged on disk");
}

mail_state take_state(unpacker& in, const time_frame& at) {
  mail_state s;
  s.at = static_cast<place>(in.number<std::uint8_t>());
  const milliseconds longest = s.at == place::in_flight ? milliseconds{visibility_max}
                                                        : milliseconds{delay_max};
  s.when = at.from_wall(in.number<std::uint64_t>(), longest);
  if (const auto expires = in.number<std::uint64_t>(); expires != 0)
    s.expires = at.from_wall(expires, time_to_live_max);
  s.attempts = in.number<std::uint32_t>();
  s.nonce = in.number<std::uint64_t>();
  return s;
}

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// Appends one step: its key, then the fields of its value one after the other, integers
/// big-endian and texts with their length before them.
class packer {
public:
  packer(lmdb::log_steps& to, lmdb::log_op op, lmdb::table in) : to_(to) { to_.begin(op, in); }

  template <std::unsigned_integral T>
  packer& add(T x) {
    if (size_ + sizeof(T) > short_.size())
      flush();
    const T be = std::endian::native == std::endian::little ? std::byteswap(x) : x;
    std::memcpy(short_.data() + size_, &be, sizeof be);
    size_ += sizeof be;
    return *this;
  }
  packer& add(byte_view v) {
    if (v.size() > short_.size())
      return add_long(v);
    if (size_ + v.size() > short_.size())
      flush();
    std::ranges::copy(v, short_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += v.size();
    return *this;
  }
  packer& add(std::string_view s) {
    add(static_cast<std::uint16_t>(s.size()));
    return s.empty() ? *this : add(text(s));
  }
  packer& add(const mail_state& s, const time_frame& at) {
    add(static_cast<std::uint8_t>(s.at)).add(at.to_wall(s.when));
    return add(s.expires ? at.to_wall(*s.expires) : std::uint64_t{0}).add(s.attempts).add(s.nonce);
  }
  /// What was added so far is the key.
  packer& key_ends() {
    flush();
    to_.key_ends();
    return *this;
  }
  void end() {
    flush();
    to_.end();
  }
  /// There is no value.
  void end_without_value() {
    key_ends();
    to_.end();
  }

private:
  packer& add_long(byte_view v) {
    flush();
    to_.add(v);
    return *this;
  }
  void flush() {
    to_.add(byte_view{short_}.first(std::exchange(size_, 0)));
  }

  lmdb::log_steps& to_;
  std::array<std::uint8_t, 128> short_; ///< what is short is appended together
  std::size_t size_ = 0;
};

using enum lmdb::log_op;

void add_one(lmdb::log_steps& to, const keep_mail& c, const time_frame& at) {
  packer p{to, fresh, mail};
  p.add(c.in).add(c.seq).key_ends().add(c.state, at);
  p.add(static_cast<std::uint64_t>(c.body->received_at_ms)).add(c.topic).add(c.body->id.text());
  p.add(c.body->key).add(static_cast<std::uint16_t>(c.body->attrs.size()));
  for (const auto& [name, value] : c.body->attrs)
    p.add(name).add(value);
  p.add(c.body->payload.view()).end();
}

void add_one(lmdb::log_steps& to, const keep_state& c, const time_frame& at) {
  packer{to, put, states}.add(c.in).add(c.seq).key_ends().add(c.state, at).end();
}

void add_one(lmdb::log_steps& to, const forget_mail& c, const time_frame&) {
  packer{to, remove, mail}.add(c.in).add(c.seq).end_without_value();
  packer{to, remove, states}.add(c.in).add(c.seq).end_without_value();
}

void add_one(lmdb::log_steps& to, const keep_send& c, const time_frame& at) {
  packer p{to, put, sends};
  p.add(c.in).add(byte_view{c.slot}).key_ends();
  p.add(at.to_wall(c.what->until)).add(byte_view{c.what->body_hash});
  p.add(c.what->message_id.text()).add(c.what->caller).end();
}

void add_one(lmdb::log_steps& to, const forget_send& c, const time_frame&) {
  packer{to, remove, sends}.add(c.in).add(byte_view{c.slot}).end_without_value();
}

} // namespace

void add_steps(lmdb::log_steps& to, const change& c, const time_frame& at) {
  std::visit([&](const auto& what) { add_one(to, what, at); }, c);
}

std::optional<std::uint64_t> seal(const lmdb::log_step& step) noexcept {
  if (step.to != mail && step.to != states && step.to != sends)
    return std::nullopt;
  return check_of(step.key, step.value);
}

void add_seq(lmdb::log_steps& to, std::uint64_t seq) {
  to.add(raise, counters, text(seq_key), lmdb::key::of(seq));
}

std::vector<std::string> table_names() {
  return {"mail", "states", "sends", "counters", "damaged"};
}

std::uint64_t time_frame::to_wall(instant t) const noexcept {
  const auto ms = std::chrono::floor<milliseconds>(t - now_).count() + wall_ms_;
  return static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 1));
}

instant time_frame::from_wall(std::uint64_t ms, milliseconds max) const noexcept {
  const auto wall = static_cast<std::int64_t>(
    std::min<std::uint64_t>(ms, std::numeric_limits<std::int64_t>::max() / 2));
  const auto ahead = milliseconds{wall - wall_ms_};
  return now_ + std::clamp(ahead, -max, max); // how long ago it was makes no difference
}

result<stored_mail> decode_mail(byte_view key, byte_view value, const time_frame& at) {
  auto in = open(key, key_bytes, value);
  if (!in)
    return std::unexpected{in.error()};
  stored_mail m;
  m.seq = lmdb::load<std::uint64_t>(key, 2);
  m.state = take_state(*in, at);
  m.body.received_at_ms = static_cast<std::int64_t>(in->number<std::uint64_t>());
  m.topic = in->text();
  m.body.id = in->text();
  m.body.key = in->text();
  for (auto n = in->number<std::uint16_t>(); n > 0; --n) {
    auto name = in->text();
    m.body.attrs.emplace(std::move(name), in->text());
  }
  m.body.payload = core::bytes::copy(in->rest());
  return m;
}

result<mail_state> decode_state(byte_view key, byte_view value, const time_frame& at) {
  auto in = open(key, key_bytes, value);
  if (!in)
    return std::unexpected{in.error()};
  return take_state(*in, at);
}

result<stored_send> decode_send(byte_view key, byte_view value, const time_frame& at) {
  auto in = open(key, slot_key_bytes, value);
  if (!in)
    return std::unexpected{in.error()};
  stored_send s;
  std::ranges::copy(key.subspan(2), s.slot.begin());
  s.what.until = at.from_wall(in->number<std::uint64_t>(), dedup_window_max);
  std::ranges::copy(in->take(s.what.body_hash.size()), s.what.body_hash.begin());
  s.what.message_id = in->text();
  s.what.caller = in->text();
  return s;
}

} // namespace ron::mailbox::layout
