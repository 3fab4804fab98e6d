#pragma once

#include "core/bytes.hpp"
#include "core/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace ron::core {

/// Writes CBOR item by item, without a tree: answers whose shape is known. The heads are those of
/// `dump_cbor`; for the same bytes the caller also writes the keys of a map in the order of their
/// lengths, and of their bytes where these are equal. One thread.
class cbor_writer {
public:
  explicit cbor_writer(std::size_t about) { out_.reserve(about); }

  /// A map of `n` members: a text and an item each.
  cbor_writer& map(std::size_t n) { return head(5, n); }
  cbor_writer& list(std::size_t n) { return head(4, n); }
  /// Valid UTF-8.
  cbor_writer& text(std::string_view s) {
    head(3, s.size());
    out_ += s;
    return *this;
  }
  cbor_writer& binary(byte_view v) {
    head(2, v.size());
    out_.append(reinterpret_cast<const char*>(v.data()), v.size());
    return *this;
  }
  cbor_writer& natural(std::uint64_t n) { return head(0, n); }
  cbor_writer& integer(std::int64_t n) {
    return n < 0 ? head(1, static_cast<std::uint64_t>(-1 - n))
                 : head(0, static_cast<std::uint64_t>(n));
  }
  cbor_writer& boolean(bool b) {
    out_ += b ? '\xf5' : '\xf4';
    return *this;
  }
  cbor_writer& null() {
    out_ += '\xf6';
    return *this;
  }

  /// Items that are encoded already, heads and all: what is the same in every answer.
  cbor_writer& encoded(std::string_view items) {
    out_ += items;
    return *this;
  }

  bytes finish() const { return bytes::copy(std::string_view{out_}); }

private:
  cbor_writer& head(unsigned major, std::uint64_t argument) {
    append_cbor_head(out_, major, argument);
    return *this;
  }

  std::string out_;
};

} // namespace ron::core
