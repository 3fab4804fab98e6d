#include "core/chunk_pool.hpp"

#include <sys/mman.h>

#include <mutex>
#include <new>

namespace ron::core::chunk_pool {

namespace {

/// Not a multiple of a page: pieces that begin at the same place of their pages would share the
/// same few sets of the first-level cache.
constexpr std::size_t stride = piece_bytes + 192;
constexpr std::size_t first_piece = 4'096;
constexpr std::uint32_t pieces_per_region = (region_bytes - first_piece) / stride;
static_assert(stride % 64 == 0 && pieces_per_region == 28);

struct free_piece {
  free_piece* next = nullptr;
};

/// Lies at the start of its memory, which is aligned to its size: the way from a piece to it.
struct region {
  region* previous = nullptr; ///< of those with room
  region* next = nullptr;
  free_piece* free = nullptr;
  std::uint32_t fresh = 0; ///< pieces that were taken at least once
  std::uint32_t used = 0;

  bool full() const noexcept { return used == pieces_per_region; }
  void* take() noexcept {
    ++used;
    if (free == nullptr)
      return reinterpret_cast<std::byte*>(this) + first_piece + fresh++ * stride;
    auto* p = free;
    free = p->next;
    return p;
  }
  void give_back(void* p) noexcept {
    --used;
    free = new (p) free_piece{free};
  }
};
static_assert(sizeof(region) <= first_piece);

region* region_of(void* piece) noexcept {
  auto at = reinterpret_cast<std::uintptr_t>(piece);
  return reinterpret_cast<region*>(at & ~(std::uintptr_t{region_bytes} - 1));
}

region* make_region() {
  // Twice the size has an aligned part of it.
  auto* p = ::mmap(nullptr, 2 * region_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED)
    throw std::bad_alloc{};
  auto* begin = static_cast<std::byte*>(p);
  const auto into = reinterpret_cast<std::uintptr_t>(p) % region_bytes;
  const auto before = into == 0 ? 0 : region_bytes - into;
  if (before > 0)
    ::munmap(begin, before);
  ::munmap(begin + before + region_bytes, region_bytes - before);
  // Without huge pages it is ordinary memory.
  ::madvise(begin + before, region_bytes, MADV_HUGEPAGE);
  return new (begin + before) region;
}

class pool {
public:
  void* take() {
    std::lock_guard guard{mutex_};
    if (first_ == nullptr) {
      link(make_region());
      ++usage_.regions;
      ++usage_.spare_regions;
    }
    auto* r = first_;
    usage_.spare_regions -= r->used == 0 ? 1 : 0;
    auto* piece = r->take();
    ++usage_.pieces;
    if (r->full())
      unlink(r);
    return piece;
  }

  void give_back(void* piece) noexcept {
    std::lock_guard guard{mutex_};
    auto* r = region_of(piece);
    if (!r->full())
      unlink(r);
    r->give_back(piece);
    --usage_.pieces;
    if (r->used == 0 && usage_.spare_regions == spare_regions_max) {
      --usage_.regions;
      ::munmap(r, region_bytes);
      return;
    }
    usage_.spare_regions += r->used == 0 ? 1 : 0;
    link(r); // first: this piece is still in the processor's cache
  }

  usage stats() noexcept {
    std::lock_guard guard{mutex_};
    return usage_;
  }

private:
  void link(region* r) noexcept {
    r->previous = nullptr;
    r->next = first_;
    if (first_ != nullptr)
      first_->previous = r;
    first_ = r;
  }
  void unlink(region* r) noexcept {
    (r->previous != nullptr ? r->previous->next : first_) = r->next;
    if (r->next != nullptr)
      r->next->previous = r->previous;
  }

  std::mutex mutex_;
  region* first_ = nullptr; ///< those with room
  usage usage_;
};

/// Never destroyed: statics of other files may hold pieces to the end.
pool& the_pool() {
  static pool& p = *new pool;
  return p;
}

} // namespace

void* take() {
  return the_pool().take();
}

void give_back(void* piece) noexcept {
  the_pool().give_back(piece);
}

usage stats() noexcept {
  return the_pool().stats();
}

} // namespace ron::core::chunk_pool
