#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace ron::core::log {

/// The parts of the program that log under a name of their own: a closed set, each with a level
/// (`log.level.<component>`).
inline constexpr std::array<std::string_view, 18> components{
  "actor", "admin",   "cluster", "core",  "dht",     "http",  "index", "inspect", "mailbox",
  "node",  "oap",     "omnigate", "quic", "storage", "store", "tls",   "tor",     "transport",
};

/// One of `components`, checked by the compiler: `log::info("transport", ...)`.
class component {
public:
  consteval component(const char* name) : index_(find(name)) { // NOLINT: implicit on purpose
    // nop
  }
  constexpr std::size_t index() const noexcept { return index_; }
  constexpr std::string_view name() const noexcept { return components[index_]; }

private:
  static consteval std::size_t find(std::string_view name) {
    for (std::size_t i = 0; i < components.size(); ++i)
      if (components[i] == name)
        return i;
    throw "no such log component";
  }
  std::size_t index_;
};

} // namespace ron::core::log
