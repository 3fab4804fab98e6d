#include "core/store/log_format.hpp"

#include "core/checksum.hpp"
#include "core/hash.hpp"
#include "core/store/key.hpp"

#include <algorithm>

namespace ron::core::store {

namespace {

constexpr std::uint32_t segment_magic = 0x524c4753; // "RLGS"
constexpr std::uint32_t record_magic = 0x524c4732;  // "RLG2"
constexpr std::uint32_t hashed_record_magic = 0x524c4752; // "RLGR", of version 1
constexpr std::uint32_t version = 2;
constexpr std::uint32_t hashed_version = 1;
constexpr std::size_t segment_check_at = 32;
constexpr std::size_t record_check_at = 32;

template <class Array>
void put(Array& to, std::size_t at, const key& fields) noexcept {
  std::ranges::copy(fields.view(), to.begin() + static_cast<std::ptrdiff_t>(at));
}

std::uint64_t check_of(byte_view fields, std::span<const byte_view> payload) noexcept {
  const auto of_payload = key::of(checksum(payload));
  const std::array<byte_view, 2> all{fields, of_payload.view()};
  return checksum(all);
}

/// Of version 1.
std::uint64_t hashed_check_of(byte_view fields, byte_view payload) noexcept {
  b3::hasher h;
  h.update(fields);
  h.update(payload);
  return load<std::uint64_t>(h.finish());
}

} // namespace

// -- steps ----------------------------------------------------------------------------------------

void log_steps::patch(std::size_t at, std::uint32_t n, int width) noexcept {
  for (int i = 0; i < width; ++i)
    block_[at + static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(n >> 8 * (width - 1 - i));
}

void log_steps::begin(log_op op, table to) {
  step_ = block_.size();
  block_.resize(step_ + step_head_bytes);
  block_[step_] = static_cast<std::uint8_t>(op);
  block_[step_ + 1] = static_cast<std::uint8_t>(to);
  value_ = block_.size();
  ++count_;
}

void log_steps::key_ends() noexcept {
  patch(step_ + 2, static_cast<std::uint32_t>(block_.size() - value_), 2);
  value_ = block_.size();
}

void log_steps::end() noexcept {
  patch(step_ + 4, static_cast<std::uint32_t>(block_.size() - value_), 4);
}

void log_steps::add(log_op op, table to, byte_view key, byte_view value) {
  begin(op, to);
  add(key);
  key_ends();
  add(value);
  end();
}

void log_steps::cut(std::size_t from, std::size_t to) {
  for (auto gone = view().subspan(from, to - from); next_step(gone);)
    --count_;
  const auto begin = block_.begin();
  block_.erase(begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(to));
}

std::optional<log_step> next_step(byte_view& rest) noexcept {
  constexpr auto head = log_steps::step_head_bytes;
  if (rest.size() < head)
    return std::nullopt;
  const auto op = rest[0];
  const auto key_size = load<std::uint16_t>(rest, 2);
  const std::size_t value_size = load<std::uint32_t>(rest, 4);
  if (op < static_cast<std::uint8_t>(log_op::put) || op > static_cast<std::uint8_t>(log_op::raise)
      || key_size == 0 || rest.size() - head < key_size
      || rest.size() - head - key_size < value_size)
    return std::nullopt;
  log_step s{static_cast<log_op>(op), table{rest[1]}, rest.subspan(head, key_size),
             rest.subspan(head + key_size, value_size)};
  rest = rest.subspan(head + key_size + value_size);
  return s;
}

// -- records --------------------------------------------------------------------------------------

log_page encode_head(const log_segment_head& h) noexcept {
  log_page out{};
  put(out, 0, key::of(segment_magic, version, h.of.id, h.of.generation, h.first_lsn));
  put(out, segment_check_at,
      key::of(check_of(byte_view{out}.first(segment_check_at), {})));
  return out;
}

std::optional<log_segment_head> decode_head(byte_view page) noexcept {
  if (page.size() < log_page_bytes || load<std::uint32_t>(page) != segment_magic)
    return std::nullopt;
  const auto of = load<std::uint32_t>(page, 4);
  const auto fields = page.first(segment_check_at);
  if ((of != version && of != hashed_version)
      || load<std::uint64_t>(page, segment_check_at)
           != (of == version ? check_of(fields, {}) : hashed_check_of(fields, {})))
    return std::nullopt;
  return log_segment_head{{load<std::uint64_t>(page, 8), load<std::uint64_t>(page, 16)},
                          load<std::uint64_t>(page, 24)};
}

log_record_head encode_record_head(const log_identity& of, std::uint64_t lsn,
                                   std::span<const byte_view> payload) noexcept {
  std::size_t bytes = 0;
  for (const auto piece : payload)
    bytes += piece.size();
  log_record_head out{};
  put(out, 0, key::of(record_magic, static_cast<std::uint32_t>(bytes), lsn, of.id, of.generation));
  put(out, record_check_at, key::of(check_of(byte_view{out}.first(record_check_at), payload)));
  return out;
}

std::optional<log_record> decode_record(byte_view segment, std::size_t at) noexcept {
  if (at > segment.size() || segment.size() - at < log_record_head_bytes)
    return std::nullopt;
  const auto here = segment.subspan(at);
  const auto magic = load<std::uint32_t>(here);
  const std::size_t bytes = load<std::uint32_t>(here, 4);
  if ((magic != record_magic && magic != hashed_record_magic) || bytes > log_payload_bytes_max
      || here.size() - log_record_head_bytes < bytes)
    return std::nullopt;
  const auto fields = here.first(record_check_at);
  const auto payload = here.subspan(log_record_head_bytes, bytes);
  if (load<std::uint64_t>(here, record_check_at)
      != (magic == record_magic ? check_of(fields, {&payload, 1})
                                : hashed_check_of(fields, payload)))
    return std::nullopt;
  return log_record{{load<std::uint64_t>(here, 16), load<std::uint64_t>(here, 24)},
                    load<std::uint64_t>(here, 8), at, payload};
}

} // namespace ron::core::store
