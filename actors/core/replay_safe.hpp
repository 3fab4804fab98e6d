#pragma once

#include <string_view>

namespace ron::core {

/// Operations that may be repeated by whoever has recorded them, because they change nothing and
/// their answers reach nobody but the caller: what early data may ask for (RFC 9001, 9.2).
inline constexpr std::string_view replay_safe_operations[] = {
  "ping", "o.get", "o.head", "resolve", "manifest.get", "providers", "name.list", "mb.peek"};

} // namespace ron::core
