#pragma once

#include "core/bytes.hpp"

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ron::core {

/// Writes JSON text piece by piece, without a tree: error bodies, lists, event streams.
/// Puts the commas; the caller opens and closes in order and writes a key before each member.
/// Strings as by `append_json_escaped`. One thread.
class json_writer {
public:
  /// Appends to `out`, which outlives the writer.
  explicit json_writer(std::string& out) noexcept : out_(out) {
    // nop
  }

  json_writer& begin_object() { return open('{'); }
  json_writer& end_object() { return close('}'); }
  json_writer& begin_array() { return open('['); }
  json_writer& end_array() { return close(']'); }
  json_writer& key(std::string_view name);

  json_writer& value(std::string_view text);
  json_writer& value(const char* text) { return value(std::string_view{text}); }
  /// Shortest form that reads back as the same number; null if not finite.
  json_writer& value(double v);
  /// Base64.
  json_writer& value(byte_view v);
  json_writer& value(const bytes& v) { return value(v.view()); }
  template <std::integral T>
  json_writer& value(T v) {
    if constexpr (std::same_as<T, bool>)
      return raw(v ? "true" : "false");
    else if constexpr (std::signed_integral<T>)
      return integer(static_cast<std::int64_t>(v));
    else
      return natural(v);
  }
  json_writer& null() { return raw("null"); }
  /// Text that is JSON already.
  json_writer& raw(std::string_view text);

  /// `key` and `value` in one.
  template <class T>
  json_writer& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }

private:
  json_writer& open(char c);
  json_writer& close(char c);
  json_writer& integer(std::int64_t v);
  json_writer& natural(std::uint64_t v);
  void separate();

  std::string& out_;
  bool need_comma_ = false;
};

} // namespace ron::core
