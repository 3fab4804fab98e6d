#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace ron::index {

/// A checked name in its canonical form, `first/path` or `first`.
///
/// The first part is a host or tenant: mapped by UTS #46 to a lower-case A-label so that look-alike
/// spellings of one host are one name. The path is what people typed: case-sensitive UTF-8 in NFC,
/// never mapped, because mapping would mangle file names.
class name {
public:
  static constexpr std::size_t bytes_max = 255; ///< of the canonical form

  /// Checks and canonicalizes `text` (already percent-decoded). Error: bad_request, says which rule
  /// broke: not UTF-8, not NFC, too long, control, bidi control or unassigned characters, an empty,
  /// `.` or `..` segment, a first part that is no host name.
  static core::result<name> parse(std::string_view text);

  const std::string& text() const noexcept { return text_; }
  /// The first part: the host or tenant that the header tenant is derived from.
  std::string_view first() const noexcept {
    return std::string_view{text_}.substr(0, text_.find('/'));
  }
  bool operator==(const name&) const = default;

private:
  explicit name(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// Checks a prefix for listing names: as `name`, but it may be empty or end inside a segment.
core::result<std::string> check_prefix(std::string_view text);

} // namespace ron::index
