#pragma once

#include "core/chunk_pool.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ron::core {

using byte_view = std::span<const std::uint8_t>;

/// A heap block with its reference count in front of the bytes: one allocation, one pointer.
/// The count is atomic because a payload may end its life on a store's writer thread.
class block {
public:
  /// A block of `capacity` bytes, contents undefined, count 1.
  static block* make(std::size_t capacity) {
    const auto size = sizeof(block) + capacity;
    void* p = chunk_pool::serves(size) ? chunk_pool::take() : ::operator new(size);
    return new (p) block(capacity);
  }
  void ref() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void unref() noexcept {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      const bool pooled = chunk_pool::serves(sizeof(block) + capacity_);
      this->~block();
      pooled ? chunk_pool::give_back(this) : ::operator delete(static_cast<void*>(this));
    }
  }
  bool unique() const noexcept { return count_.load(std::memory_order_acquire) == 1; }
  std::uint8_t* data() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::size_t capacity() const noexcept { return capacity_; }

private:
  explicit block(std::size_t capacity) noexcept : capacity_(capacity) {}
  ~block() = default;
  std::atomic<std::uint32_t> count_{1};
  std::size_t capacity_;
};

/// An immutable, ref-counted slice. Copying shares, slicing shares, the last slice frees.
/// Safe to hand to another thread; the bytes it shows never change while it lives.
class bytes {
public:
  bytes() noexcept = default;
  bytes(const bytes& o) noexcept : block_(o.block_), data_(o.data_), size_(o.size_) {
    if (block_)
      block_->ref();
  }
  bytes(bytes&& o) noexcept
    : block_(std::exchange(o.block_, nullptr)),
      data_(std::exchange(o.data_, nullptr)),
      size_(std::exchange(o.size_, 0)) {
    // nop
  }
  bytes& operator=(bytes o) noexcept {
    std::swap(block_, o.block_);
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~bytes() {
    if (block_)
      block_->unref();
  }

  /// A slice of `b` that holds a reference of its own.
  bytes(block* b, const std::uint8_t* data, std::size_t size) noexcept
    : block_(b), data_(data), size_(size) {
    if (block_)
      block_->ref();
  }
  /// A fresh copy of `v`.
  static bytes copy(byte_view v) {
    if (v.empty())
      return {};
    auto* b = block::make(v.size());
    std::memcpy(b->data(), v.data(), v.size());
    bytes out{b, b->data(), v.size()};
    b->unref();
    return out;
  }
  static bytes copy(std::string_view s) {
    return copy(byte_view{reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
  }
  /// A slice over memory that outlives the program (tables, literals); owns nothing.
  static bytes literal(std::string_view s) noexcept {
    return {nullptr, reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
  }

  const std::uint8_t* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  /// Bytes of the block that this slice keeps alive, however short it is; 0 for a literal.
  std::size_t held_bytes() const noexcept { return block_ ? block_->capacity() : 0; }
  byte_view view() const noexcept { return {data_, size_}; }
  std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data_), size_};
  }
  /// The `n` bytes from `offset`, clipped to what is there.
  bytes slice(std::size_t offset, std::size_t n = std::size_t(-1)) const noexcept {
    offset = offset < size_ ? offset : size_;
    n = n < size_ - offset ? n : size_ - offset;
    return n == 0 ? bytes{} : bytes{block_, data_ + offset, n};
  }
  /// Takes in `next` if it lies right behind this slice in the same block; else false.
  bool extend(const bytes& next) noexcept {
    if (!block_ || block_ != next.block_ || data_ + size_ != next.data_)
      return false;
    size_ += next.size_;
    return true;
  }
  bool operator==(const bytes& o) const noexcept {
    return size_ == o.size_ && (size_ == 0 || std::memcmp(data_, o.data_, size_) == 0);
  }

private:
  block* block_ = nullptr;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A buffer being filled by one owner: append at the end, cut slices off what is filled.
/// A slice keeps the block alive, so a full slab is replaced, never overwritten.
class slab {
public:
  slab() noexcept = default;
  explicit slab(std::size_t capacity) : block_(block::make(capacity)) {}
  slab(const slab&) = delete;
  slab& operator=(const slab&) = delete;
  slab(slab&& o) noexcept
    : block_(std::exchange(o.block_, nullptr)), filled_(std::exchange(o.filled_, 0)) {
    // nop
  }
  slab& operator=(slab&& o) noexcept {
    std::swap(block_, o.block_);
    std::swap(filled_, o.filled_);
    return *this;
  }
  ~slab() {
    if (block_)
      block_->unref();
  }

  std::size_t capacity() const noexcept { return block_ ? block_->capacity() : 0; }
  std::size_t filled() const noexcept { return filled_; }
  /// Room behind the filled part; write there, then `commit`.
  std::span<std::uint8_t> room() noexcept {
    return block_ ? std::span<std::uint8_t>{block_->data() + filled_, capacity() - filled_}
                  : std::span<std::uint8_t>{};
  }
  /// The first `n` bytes of `room` are filled now; clipped to the room.
  void commit(std::size_t n) noexcept {
    auto left = capacity() - filled_;
    filled_ += n < left ? n : left;
  }
  /// A shared slice of the filled part, clipped to it.
  bytes cut(std::size_t offset, std::size_t n) const noexcept {
    offset = offset < filled_ ? offset : filled_;
    n = n < filled_ - offset ? n : filled_ - offset;
    return n == 0 ? bytes{} : bytes{block_, block_->data() + offset, n};
  }
  byte_view view() const noexcept {
    return block_ ? byte_view{block_->data(), filled_} : byte_view{};
  }
  /// True if no slice is alive, so that the block may be filled from the start again.
  bool unshared() const noexcept { return block_ && block_->unique(); }
  /// Starts over in the same block. False, and nothing happens, while a slice is alive.
  bool rewind() noexcept {
    if (!unshared())
      return false;
    filled_ = 0;
    return true;
  }

private:
  block* block_ = nullptr;
  std::size_t filled_ = 0;
};

/// Lower-case hex of `v`.
std::string to_hex(byte_view v);
/// Parses hex of either case; false on an odd length, another character or too little room.
bool from_hex(std::string_view text, std::span<std::uint8_t> out);

} // namespace ron::core
