#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

#include "core/hash.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ron::omnigate {

/// What a request is, as far as caveats look at it.
struct capability_use {
  std::string_view operation; ///< OAP name, e.g. "o.put"
  std::int64_t wall_ms = 0;   ///< now
};

/// Tokens whose signatures were found good lately, so that a caller who shows the same one with
/// every request pays for its chain of HMACs once. A signature stays good as long as its key: what
/// is remembered never turns wrong. Keeps digests, no tokens; bounded, a newcomer takes the place
/// of another. Any thread; a place that another thread looks at counts as not there.
class proven_tokens {
public:
  using caveats = std::shared_ptr<const std::vector<std::string>>;
  static constexpr std::size_t places = 64; ///< a power of two

  /// The caveats of the token with this digest; null if it is not remembered.
  caveats find(const core::b3::digest& token);
  void remember(const core::b3::digest& token, caveats of);

private:
  struct alignas(64) place {
    std::mutex mutex;
    core::b3::digest token{};
    caveats of;
  };
  place& place_of(const core::b3::digest& token) noexcept { return places_[token[0] % places]; }

  std::array<place, places> places_;
};

/// The node's own root key and the tokens made from it: whoever holds a token minted here is the
/// operator of the node, as far as its caveats go. The key is random, lives in RAM and ends with
/// the process, unless nodes of one operator share one. Any thread.
///
/// Caveats understood: `exp = <unix seconds>` (exact), `nbf = <unix seconds>` (60 s leeway),
/// `ops = <name>[,<name>...]`. Any other caveat fails closed.
class operator_capability {
public:
  static constexpr std::chrono::seconds leeway{60};

  operator_capability();
  ~operator_capability();
  operator_capability(const operator_capability&) = delete;
  operator_capability& operator=(const operator_capability&) = delete;

  /// Takes the operator's key in place of a random one. Before anything else is called.
  void use_root_key(std::span<const std::uint8_t, 32> key) noexcept;

  /// A token in binary form that ends `life` after `wall_ms`; for the operations `ops` (names,
  /// commas between) or, if empty, for all.
  std::string mint(std::int64_t wall_ms, std::chrono::seconds life,
                   std::string_view ops = {}) const;

  /// Checks a token in binary form. Errors: unauth (malformed, forged, expired, unknown caveat),
  /// forbidden (good, but not for this operation). The message never quotes the token.
  core::result<void> verify(core::byte_view token, const capability_use& use) const;

private:
  class last_token;
  core::result<proven_tokens::caveats> caveats_of(core::byte_view token) const;

  std::array<std::uint8_t, 32> root_key_;
  mutable proven_tokens proven_;
  std::uint64_t number_ = 0; ///< of this object, in its process
};

} // namespace ron::omnigate
