#pragma once

#include <cstddef>
#include <cstdint>

/// Memory for blocks of about one chunk: groups of objects, the records that they become. They come
/// and go with every request, and malloc gives such memory back to the kernel and asks for it
/// again, which costs a page fault for every 4 KiB. Here it comes in regions of 2 MiB, each a huge
/// page where the kernel has one, and what was used last is used next. Any thread.
namespace ron::core::chunk_pool {

/// What one piece holds: a chunk with the headers of its TLS records, or of its block.
inline constexpr std::size_t piece_bytes = 72u << 10;
/// Less than this is left to malloc.
inline constexpr std::size_t piece_bytes_min = 48u << 10;
inline constexpr std::size_t region_bytes = 2u << 20;
/// Regions without a piece in use that are kept for the next ones; more go back to the kernel.
inline constexpr std::size_t spare_regions_max = 4;

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool in_use = false; // the sanitizer watches over the memory of malloc only
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool in_use = false;
#else
inline constexpr bool in_use = true;
#endif
#else
inline constexpr bool in_use = true;
#endif

/// True if memory of this size comes from here.
constexpr bool serves(std::size_t bytes) noexcept {
  return in_use && bytes >= piece_bytes_min && bytes <= piece_bytes;
}

/// `piece_bytes` bytes, contents undefined, aligned to 64. Throws std::bad_alloc.
void* take();
/// Returns what `take` gave.
void give_back(void* piece) noexcept;

/// What the pool holds now.
struct usage {
  std::size_t regions = 0;
  std::size_t spare_regions = 0;
  std::size_t pieces = 0; ///< taken
};
usage stats() noexcept;

} // namespace ron::core::chunk_pool
