#pragma once

#include "core/ids.hpp"

#include <array>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ron::mailbox {

/// The id of a message: the text of a ULID, kept in place. A message, its change and its answer
/// have it each, and none of them allocates for it.
class message_id {
public:
  static constexpr std::size_t bytes_max = core::ulid::text_size;

  message_id() noexcept = default;
  explicit message_id(const core::ulid& u) noexcept
    : text_(u.digits()), size_(static_cast<std::uint8_t>(text_.size())) {
    // nop
  }
  /// Clipped to `bytes_max`: nobody makes a longer one.
  template <std::convertible_to<std::string_view> Text>
  message_id(const Text& t) noexcept {
    const std::string_view s{t};
    size_ = static_cast<std::uint8_t>(s.copy(text_.data(), text_.size()));
  }

  std::string_view text() const noexcept { return {text_.data(), size_}; }
  operator std::string_view() const noexcept { return text(); }
  operator std::string() const { return std::string{text()}; }

  friend bool operator==(const message_id& a, const message_id& b) noexcept {
    return a.text() == b.text();
  }
  friend auto operator<=>(const message_id& a, const message_id& b) noexcept {
    return a.text() <=> b.text();
  }
  friend bool operator==(const message_id& a, const std::string& b) noexcept {
    return a.text() == b;
  }
  friend auto operator<=>(const message_id& a, const std::string& b) noexcept {
    return a.text() <=> std::string_view{b};
  }

private:
  std::array<char, bytes_max> text_{};
  std::uint8_t size_ = 0;
};

} // namespace ron::mailbox
