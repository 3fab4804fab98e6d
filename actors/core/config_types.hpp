#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>

/// Types of configuration values. Pure data, any thread.
namespace ron::core::config {

/// A part of the node that can be switched on; `node.roles`.
enum class role : std::uint8_t { omnigate, index, dht, storage, mailbox, transport_echo };
inline constexpr std::size_t role_count = 6;

/// The set of roles of one process; printed and iterated in the order of `role`.
class role_set {
public:
  constexpr role_set() noexcept = default;
  constexpr role_set(std::initializer_list<role> xs) noexcept {
    for (auto x : xs)
      insert(x);
  }
  constexpr bool has(role x) const noexcept { return (bits_ & bit(x)) != 0; }
  constexpr void insert(role x) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(x)); }
  constexpr bool empty() const noexcept { return bits_ == 0; }
  bool operator==(const role_set&) const = default;

private:
  static constexpr std::uint8_t bit(role x) noexcept {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(x));
  }
  std::uint8_t bits_ = 0;
};

/// Decides the defaults: all roles in one process and RAM, or one role a process and disks.
enum class profile : std::uint8_t { micronode, macronode };

/// `automatic` is text on a terminal, else json.
enum class log_format : std::uint8_t { automatic, text, json };

enum class log_level : std::uint8_t { trace, debug, info, warn, error, off };

/// The X25519MLKEM768 group: never offered, offered first, or the only one.
enum class pq_mode : std::uint8_t { off, prefer, require };

/// What happens to a request when the policy bundle cannot be evaluated.
enum class fail_mode : std::uint8_t { deny, allow };

/// A host and a TCP or UDP port; port 0 lets the kernel choose.
struct host_port {
  std::string host; ///< IPv4, IPv6 without brackets, or a name
  std::uint16_t port = 0;

  /// True if `host` is 127.0.0.0/8, ::1 or `localhost`.
  bool is_loopback() const noexcept;
  /// `127.0.0.1:8080`, `[::1]:8080`.
  std::string to_string() const;
  bool operator==(const host_port&) const = default;
};

/// A bound on memory, absolute or as a share of the cgroup's limit or of RAM.
struct memory_bound {
  std::uint64_t bytes = 0;   ///< 0: `percent` counts
  std::uint32_t percent = 0; ///< 1..100

  /// The bound in bytes on a machine (or in a cgroup) with `available` bytes.
  std::uint64_t resolve(std::uint64_t available) const noexcept {
    return bytes != 0 ? bytes : available / 100 * percent;
  }
  bool operator==(const memory_bound&) const = default;
};

/// The words of each enumeration in the order of its values; what a configuration file says.
inline constexpr std::string_view role_names[] = {"omnigate", "index",   "dht",
                                                  "storage",  "mailbox", "transport-echo"};
inline constexpr std::string_view profile_names[] = {"micronode", "macronode"};
inline constexpr std::string_view log_format_names[] = {"auto", "text", "json"};
inline constexpr std::string_view log_level_names[] = {"trace", "debug", "info",
                                                       "warn",  "error", "off"};
inline constexpr std::string_view pq_mode_names[] = {"off", "prefer", "require"};
inline constexpr std::string_view fail_mode_names[] = {"deny", "allow"};
static_assert(std::size(role_names) == role_count);

constexpr std::string_view to_string(role x) noexcept {
  return role_names[static_cast<std::size_t>(x)];
}
constexpr std::string_view to_string(profile x) noexcept {
  return profile_names[static_cast<std::size_t>(x)];
}
constexpr std::string_view to_string(log_format x) noexcept {
  return log_format_names[static_cast<std::size_t>(x)];
}
constexpr std::string_view to_string(log_level x) noexcept {
  return log_level_names[static_cast<std::size_t>(x)];
}
constexpr std::string_view to_string(pq_mode x) noexcept {
  return pq_mode_names[static_cast<std::size_t>(x)];
}
constexpr std::string_view to_string(fail_mode x) noexcept {
  return fail_mode_names[static_cast<std::size_t>(x)];
}

} // namespace ron::core::config
