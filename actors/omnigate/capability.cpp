#include "omnigate/capability.hpp"

#include "core/crypto/macaroon.hpp"
#include "core/crypto/secure_wipe.hpp"
#include "core/ids.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <optional>

namespace ron::omnigate {

using core::ec;
using core::fail;
using core::result;
using core::crypto::macaroon;

namespace {

constexpr std::string_view identifier = "ron operator 1";

std::optional<std::int64_t> unix_seconds(std::string_view text) {
  std::int64_t v = 0;
  auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  if (r.ec != std::errc{} || r.ptr != text.data() + text.size() || v < 0
      || v > std::int64_t{1} << 40)
    return std::nullopt;
  return v;
}

bool lists(std::string_view names, std::string_view name) {
  while (true) {
    auto comma = names.find(',');
    if (names.substr(0, comma) == name)
      return true;
    if (comma == names.npos)
      return false;
    names.remove_prefix(comma + 1);
  }
}

// One caveat: nothing when it holds.
result<void> check(std::string_view caveat, const capability_use& use) {
  const auto equals = caveat.find(" = ");
  const auto key = caveat.substr(0, equals);
  const auto value = equals == caveat.npos ? std::string_view{} : caveat.substr(equals + 3);
  if (key == "exp") {
    auto end = unix_seconds(value);
    if (!end || use.wall_ms >= *end * 1'000)
      return fail(ec::unauth, "capability: expired");
    return {};
  }
  if (key == "nbf") {
    auto begin = unix_seconds(value);
    if (!begin
        || use.wall_ms + std::chrono::milliseconds{operator_capability::leeway}.count()
             < *begin * 1'000)
      return fail(ec::unauth, "capability: not valid yet");
    return {};
  }
  if (key == "ops") {
    if (!lists(value, use.operation))
      return fail(ec::forbidden, "capability: does not allow " + std::string{use.operation});
    return {};
  }
  return fail(ec::unauth, "capability: has a caveat that this node does not know");
}

result<void> check_all(const std::vector<std::string>& caveats, const capability_use& use) {
  // Expired wins over forbidden: a caller with an old token needs a new one first.
  result<void> refused;
  for (const auto& caveat : caveats)
    if (auto ok = check(caveat, use); !ok && (refused || ok.error().code == ec::unauth))
      refused = ok;
  return refused;
}

/// True if they are the same; takes as long for any `b` of the size of `a`.
bool same_token(core::byte_view a, core::byte_view b) noexcept {
  if (a.size() != b.size())
    return false;
  std::uint64_t differ = 0;
  std::size_t i = 0;
  for (; i + sizeof differ <= a.size(); i += sizeof differ) {
    std::uint64_t x = 0;
    std::uint64_t y = 0;
    std::memcpy(&x, a.data() + i, sizeof x);
    std::memcpy(&y, b.data() + i, sizeof y);
    differ |= x ^ y;
  }
  for (; i < a.size(); ++i)
    differ |= static_cast<std::uint64_t>(a[i] ^ b[i]);
  return differ == 0;
}

} // namespace

// -- proven_tokens -----------------------------------------------------------------------

proven_tokens::caveats proven_tokens::find(const core::b3::digest& token) {
  auto& p = place_of(token);
  std::unique_lock lock{p.mutex, std::try_to_lock};
  return lock && p.of && p.token == token ? p.of : nullptr;
}

void proven_tokens::remember(const core::b3::digest& token, caveats of) {
  auto& p = place_of(token);
  std::unique_lock lock{p.mutex, std::try_to_lock};
  if (!lock)
    return;
  p.token = token;
  p.of.swap(of); // what was there goes after the lock
}

// -- last_token --------------------------------------------------------------------------

/// The good token that this thread saw last: connections repeat theirs with every request.
class operator_capability::last_token {
public:
  static last_token& here() noexcept {
    static thread_local last_token it;
    return it;
  }
  ~last_token() { core::crypto::secure_wipe(bytes_); }

  const proven_tokens::caveats* find(std::uint64_t by, core::byte_view token) const noexcept {
    return by_ == by && same_token({bytes_.data(), size_}, token) ? &of_ : nullptr;
  }
  void remember(std::uint64_t by, core::byte_view token, const proven_tokens::caveats& of) {
    if (token.size() > bytes_.size())
      return;
    std::ranges::copy(token, bytes_.begin());
    size_ = token.size();
    by_ = by;
    of_ = of;
  }

private:
  std::array<std::uint8_t, 512> bytes_{};
  std::size_t size_ = 0;
  std::uint64_t by_ = 0; ///< who found it good
  proven_tokens::caveats of_;
};

// -- operator_capability -----------------------------------------------------------------

operator_capability::operator_capability() {
  static std::atomic<std::uint64_t> made{0};
  number_ = ++made;
  core::random_bytes(root_key_);
}

operator_capability::~operator_capability() {
  core::crypto::secure_wipe(root_key_);
}

void operator_capability::use_root_key(std::span<const std::uint8_t, 32> key) noexcept {
  std::ranges::copy(key, root_key_.begin());
}

std::string operator_capability::mint(std::int64_t wall_ms, std::chrono::seconds life,
                                      std::string_view ops) const {
  auto token = macaroon::mint(root_key_, std::string{identifier});
  const auto end = wall_ms / 1'000 + life.count();
  // A caveat or two on a fresh token: neither bound can be near.
  (void)token.attenuate("exp = " + std::to_string(end));
  if (!ops.empty())
    (void)token.attenuate("ops = " + std::string{ops});
  return token.encode().value_or(std::string{});
}

/// The caveats of a token that is ours. Error: unauth.
result<proven_tokens::caveats> operator_capability::caveats_of(core::byte_view binary) const {
  const auto digest = core::b3::hash(binary);
  if (auto known = proven_.find(digest))
    return known;
  auto token = macaroon::decode(binary);
  if (!token)
    return std::unexpected{token.error()};
  if (!token->verify(root_key_))
    return fail(ec::unauth, "capability: not one of this node");
  auto caveats = std::make_shared<const std::vector<std::string>>(token->caveats());
  proven_.remember(digest, caveats);
  return caveats;
}

result<void> operator_capability::verify(core::byte_view binary, const capability_use& use) const {
  auto& last = last_token::here();
  if (const auto* known = last.find(number_, binary))
    return check_all(**known, use);
  const auto caveats = caveats_of(binary);
  if (!caveats)
    return std::unexpected{caveats.error()};
  last.remember(number_, binary, *caveats);
  return check_all(**caveats, use);
}

} // namespace ron::omnigate
