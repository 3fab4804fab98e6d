#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace ron::storage {

/// Decides which of the copies that a peer says it keeps it has to show, and which group of them.
/// Nobody can know beforehand. Who could not show one shows each until he has earned trust again.
/// He may have lost the bytes without knowing, so he is given them once more; who cannot show what
/// he has just been given is given something again only after 1, 2, 4, ... `wait_max` more
/// failures. Pure; one thread at a time.
class proof_machine {
public:
  /// Proofs in a row after which a peer is trusted again.
  static constexpr std::uint32_t trust_after = 32;
  static constexpr std::uint32_t wait_max = 64;

  /// One of `every` copies has to be shown while the peer is trusted; 1 = each.
  proof_machine(std::uint32_t every, std::uint64_t seed) noexcept
    : every_(every == 0 ? 1 : every), dice_(seed) {
    // nop
  }

  bool wanted() noexcept { return owed_ > 0 || dice_() % every_ == 0; }
  /// One of `groups`, at least 1.
  std::uint64_t group(std::uint64_t groups) noexcept { return dice_() % groups; }
  void shown() noexcept { owed_ -= owed_ > 0 ? 1 : 0; }
  void wrong() noexcept { owed_ = trust_after; }
  bool trusts() const noexcept { return owed_ == 0; }

  /// After `wrong`: true if the peer is to be given the bytes now.
  bool gives() noexcept {
    if (failed_ < wait_) {
      ++failed_;
      return false;
    }
    failed_ = 0;
    return true;
  }
  /// Whether the peer could show what it was given.
  void given(bool shown) noexcept {
    wait_ = shown ? 0 : std::clamp(2 * wait_, 1u, wait_max);
  }

private:
  std::uint32_t every_;
  std::uint32_t owed_ = 0;   ///< proofs until it is trusted
  std::uint32_t wait_ = 0;   ///< failures between two gifts
  std::uint32_t failed_ = 0; ///< since the last one
  std::mt19937_64 dice_;
};

} // namespace ron::storage
