#pragma once

#include "core/bytes.hpp"
#include "core/sip_hash.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ron::core {

/// Fills `out` from the kernel's generator. Fit for keys and tokens. Ends the process if the
/// kernel refuses, because nothing can go on safely. Any thread.
void random_bytes(std::span<std::uint8_t> out) noexcept;

/// True if both are the same; takes the same time wherever they differ. The length is no secret.
bool equal_secret(byte_view a, byte_view b) noexcept;

/// The content id of an object: its BLAKE3-256. Text form `b3:<64 lower-case hex>`.
struct cid {
  static constexpr std::size_t text_size = 67;
  std::array<std::uint8_t, 32> hash{};

  auto operator<=>(const cid&) const = default;
  std::string to_text() const;
  /// Exactly the text form; anything else is nothing.
  static std::optional<cid> parse(std::string_view text) noexcept;
  byte_view view() const noexcept { return hash; }
};

/// Who owns names and quotas: 16 bytes derived from the first part of a name. Zero = nobody.
struct tenant {
  std::array<std::uint8_t, 16> id{};

  auto operator<=>(const tenant&) const = default;
  bool is_zero() const noexcept { return *this == tenant{}; }
  /// 32 lower-case hex digits.
  std::string to_text() const;
  static std::optional<tenant> parse(std::string_view text) noexcept;
  byte_view view() const noexcept { return id; }
};

/// 48 bits of Unix milliseconds, then 80 random bits; sorts by time as bytes and as text.
/// Text form: 26 characters of Crockford's base 32.
struct ulid {
  static constexpr std::size_t text_size = 26;
  std::array<std::uint8_t, 16> value{};

  auto operator<=>(const ulid&) const = default;
  std::int64_t time_ms() const noexcept;
  std::array<char, text_size> digits() const noexcept;
  std::string to_text() const;
  /// Upper or lower case, no look-alike letters, not above the largest value.
  static std::optional<ulid> parse(std::string_view text) noexcept;
};

/// The correlation id of a request, as text: a ULID we minted, or the caller's ULID or UUID as it
/// was written. Empty until set. No allocation.
class corr_id {
public:
  static constexpr std::size_t text_max = 36;

  corr_id() noexcept = default;
  explicit corr_id(const ulid& u);
  /// A ULID or a UUID (8-4-4-4-12 hex, any case); anything else is nothing.
  static std::optional<corr_id> parse(std::string_view text) noexcept;

  std::string_view text() const noexcept { return {text_.data(), size_}; }
  bool empty() const noexcept { return size_ == 0; }
  bool operator==(const corr_id& o) const noexcept { return text() == o.text(); }

private:
  std::array<char, text_max> text_{};
  std::uint8_t size_ = 0;
};

/// W3C Trace Context, `traceparent`.
struct trace_context {
  std::array<std::uint8_t, 16> trace_id{};
  std::array<std::uint8_t, 8> parent_id{};
  std::uint8_t flags = 0; ///< bit 0: sampled

  bool operator==(const trace_context&) const = default;
  /// Always version 00, 55 characters.
  std::string to_text() const;
  /// Version 00, or the version 00 part of a later one. Zero ids, upper case and version ff are
  /// nothing.
  static std::optional<trace_context> parse(std::string_view text) noexcept;
};

/// Mints ids. Keeps a small pool of random bytes, so that an id costs no system call.
/// One thread; every shard has its own.
class id_source {
public:
  /// Greater than every id minted before by this source, also if `wall_ms` stands or goes back.
  ulid next_ulid(std::int64_t wall_ms) noexcept;
  corr_id next_corr(std::int64_t wall_ms) { return corr_id{next_ulid(wall_ms)}; }
  /// A new trace, not sampled.
  trace_context new_trace() noexcept;
  /// The same trace with a parent of our own, for calls that we make.
  trace_context child_of(const trace_context& t) noexcept;

private:
  void take(std::span<std::uint8_t> out) noexcept;
  std::array<std::uint8_t, 256> pool_{};
  std::size_t used_ = 256;
  ulid last_{};
};

} // namespace ron::core

/// Keyed with a secret of the process: whoever chooses ids cannot choose buckets.
template <>
struct std::hash<ron::core::cid> {
  std::size_t operator()(const ron::core::cid& x) const noexcept {
    return ron::core::keyed_hash(x.view());
  }
};

template <>
struct std::hash<ron::core::tenant> {
  std::size_t operator()(const ron::core::tenant& x) const noexcept {
    return ron::core::keyed_hash(x.view());
  }
};

template <>
struct std::hash<ron::core::ulid> {
  std::size_t operator()(const ron::core::ulid& x) const noexcept {
    return ron::core::keyed_hash(x.value);
  }
};

template <>
struct std::hash<ron::core::corr_id> {
  std::size_t operator()(const ron::core::corr_id& x) const noexcept {
    return ron::core::keyed_hash(x.text());
  }
};
