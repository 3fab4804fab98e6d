#pragma once

#include "core/bytes.hpp"
#include "core/json_fwd.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ron::core {

/// A CBOR map whose members are read where they lie: what a request with a few plain arguments
/// needs, without a tree and without an allocation. Made by one pass over the input.
///
/// It takes the plain form alone: a map of at most `members_max` members with different keys; each
/// value is text, a byte string, a natural number, a boolean, a list of texts or a list of maps
/// without such a list of their own; every length is definite, every head in its shortest form.
/// Whatever else comes is for `parse_cbor`, which also says what is wrong with it; it reads
/// everything that this reads, to the same values.
class packed_object {
public:
  static constexpr std::size_t members_max = 12;

  enum class type : std::uint8_t { text, binary, natural, boolean, texts, objects };
  struct member {
    std::string_view key;
    type is = type::text;
    std::uint64_t number = 0; ///< of a natural or a boolean; items of a list
    byte_view content;        ///< of text and byte strings; the items of a list with their heads
    byte_view key_coded;      ///< the key with its head
    byte_view coded;          ///< the value with its head

    std::string_view text() const noexcept {
      return {reinterpret_cast<const char*>(content.data()), content.size()};
    }
    /// Calls `f(std::string_view)` for each item of a list of texts until it says false.
    template <class F>
    void each_text(F f) const {
      for (auto rest = content; !rest.empty();)
        if (!f(take_text(rest)))
          return;
    }
  };

  packed_object() noexcept = default;
  // Room that no member uses is neither set nor copied: most calls have two or three of them.
  packed_object(const packed_object& o) noexcept : input_(o.input_) { take_members(o); }
  packed_object(packed_object&& o) noexcept : input_(std::move(o.input_)) { take_members(o); }
  packed_object& operator=(const packed_object& o) noexcept {
    input_ = o.input_;
    take_members(o);
    return *this;
  }
  packed_object& operator=(packed_object&& o) noexcept {
    input_ = std::move(o.input_);
    take_members(o);
    return *this;
  }
  ~packed_object() = default;

  /// Nothing if `cbor` is not of the plain form, has more than `values_max` values or more than
  /// `bytes_max` bytes as `json_limits` says. Any thread.
  static std::optional<packed_object> scan(bytes cbor);

  std::size_t size() const noexcept { return size_; }
  member operator[](std::size_t i) const noexcept;
  bool has(std::string_view key) const noexcept { return place_of(key) < size_; }
  /// The member of this key, if it has this type.
  std::optional<member> find(std::string_view key, type is) const noexcept;

  /// Calls `f(const packed_object&)` for each item of a list of objects until it says false; what
  /// it is called with is the next item then.
  template <class F>
  void each_object(const member& list, F f) const {
    packed_object item;
    item.input_ = input_;
    auto at = static_cast<std::size_t>(list.content.data() - input_.data());
    for (const auto end = at + list.content.size(); at < end;) {
      at = item.load(at);
      if (!f(std::as_const(item)))
        return;
    }
  }

  /// Takes the members for which `f(key)` holds into an object of their own.
  template <class F>
  packed_object split(F f) {
    packed_object out;
    out.input_ = input_;
    std::size_t left = 0;
    for (std::size_t i = 0; i < size_; ++i)
      (f(key(i)) ? out.members_[out.size_++] : members_[left++]) = members_[i];
    size_ = left;
    return out;
  }

  /// The same as a tree.
  json to_tree() const;
  /// The same bytes as `dump_cbor(to_tree())`.
  std::string canonical() const;

private:
  /// Where a member lies in the input: small, because one of these is in every call.
  struct extent {
    std::uint64_t number;
    std::uint32_t key_head; ///< each part ends where the next one begins
    std::uint32_t key;
    std::uint32_t value_head;
    std::uint32_t content;
    std::uint32_t end;
    type is;
  };
  class reader;

  void take_members(const packed_object& o) noexcept {
    size_ = o.size_;
    std::copy_n(o.members_.begin(), size_, members_.begin());
  }

  std::string_view key(std::size_t i) const noexcept {
    return input_.text().substr(members_[i].key, members_[i].value_head - members_[i].key);
  }
  std::size_t place_of(std::string_view key) const noexcept;
  std::size_t load(std::size_t from) noexcept;
  static std::string_view take_text(byte_view& rest) noexcept;

  bytes input_;
  std::size_t size_ = 0;
  std::array<extent, members_max> members_; ///< the first `size_`
};

} // namespace ron::core
