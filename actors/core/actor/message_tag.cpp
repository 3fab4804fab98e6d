#include "core/actor/message_tag.hpp"

#include <caf/atom.hpp>
#include <caf/type_erased_tuple.hpp>
#include <caf/type_nr.hpp>

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

namespace ron::core {

namespace {

std::string readable(const char* mangled) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> name{
    abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free};
  return status == 0 ? name.get() : mangled;
}

} // namespace

message_tag message_tag::of(const caf::type_erased_tuple& content) noexcept {
  if (content.empty())
    return message_tag{kind_number};
  auto [number, type] = content.type(0);
  if (number == caf::type_nr<caf::atom_value>::value)
    return message_tag{caf::atom_uint(content.get_as<caf::atom_value>(0))};
  if (type)
    return message_tag{kind_pointer | reinterpret_cast<std::uintptr_t>(type)};
  return message_tag{kind_number | number};
}

std::string message_tag::name() const {
  if (raw_ == 0)
    return "-";
  auto value = raw_ & ~kind_mask;
  switch (raw_ & kind_mask) {
    case kind_pointer:
      return readable(reinterpret_cast<const std::type_info*>(value)->name());
    case kind_number:
      return value == 0 ? "()" : caf::numbered_type_names[value - 1];
    default:
      return caf::to_string(static_cast<caf::atom_value>(raw_));
  }
}

} // namespace ron::core
