#pragma once

#include <cstdint>
#include <string>
#include <typeinfo>

namespace caf {
class type_erased_tuple;
} // namespace caf

namespace ron::core {

/// What a message is, in eight bytes: its atom if it starts with one (`acquire`), else the C++
/// type of its first element. Making one costs a few nanoseconds and touches no string.
class message_tag {
public:
  constexpr message_tag() noexcept = default;
  constexpr explicit message_tag(std::uint64_t raw) noexcept : raw_(raw) {}

  /// The tag of `content`. The thread that owns the message.
  static message_tag of(const caf::type_erased_tuple& content) noexcept;

  /// The tag of a message that starts with a `T`, which is no atom. Any thread.
  template <class T>
  static message_tag of_type() noexcept {
    return message_tag{kind_pointer | reinterpret_cast<std::uintptr_t>(&typeid(T))};
  }

  /// For people: `acquire`, `caf::exit_msg`, `-` for no message yet.
  std::string name() const;

  constexpr std::uint64_t raw() const noexcept { return raw_; }
  constexpr explicit operator bool() const noexcept { return raw_ != 0; }
  constexpr bool operator==(const message_tag&) const = default;

private:
  // An atom is its own value (0, or 0xF in the top four bits); a pointer to a std::type_info
  // carries 0x8 there, a type number of CAF 0x4.
  static constexpr std::uint64_t kind_mask = std::uint64_t{0xf} << 60;
  static constexpr std::uint64_t kind_pointer = std::uint64_t{0x8} << 60;
  static constexpr std::uint64_t kind_number = std::uint64_t{0x4} << 60;

  std::uint64_t raw_ = 0;
};

} // namespace ron::core
