#include "core/actor/mailbox_bounds.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <unordered_map>

namespace ron::core::mailbox_bounds {

namespace {

struct text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept {
    return std::hash<std::string_view>{}(s);
  }
};
using table = std::unordered_map<std::string, std::uint32_t, text_hash, std::equal_to<>>;

// What belongs to one connection waits for one peer: a short line is enough.
const table& defaults() {
  static const table t{{"connection", limits::mailbox_bound_connection},
                       {"stream", limits::mailbox_bound_connection},
                       {"lookup", limits::mailbox_bound_connection}};
  return t;
}

table& current() {
  static table t = defaults();
  return t;
}

std::uint32_t& fallback() {
  static std::uint32_t n = limits::mailbox_bound_default;
  return n;
}

} // namespace

std::uint32_t of(std::string_view type) noexcept {
  const auto& t = current();
  auto found = t.find(type);
  if (found == t.end())
    found = t.find(type.substr(type.rfind('.') + 1));
  return found == t.end() ? fallback() : found->second;
}

void set(std::string_view type, std::uint32_t bound) {
  current().insert_or_assign(std::string{type}, std::clamp(bound, 1u, limits::mailbox_bound_max));
}

void set_fallback(std::uint32_t bound) noexcept {
  fallback() = std::clamp(bound, 1u, limits::mailbox_bound_max);
}

void reset() noexcept {
  fallback() = limits::mailbox_bound_default;
  current() = defaults();
}

} // namespace ron::core::mailbox_bounds
