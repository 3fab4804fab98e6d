#include "transport/write_queue.hpp"

#include <algorithm>

namespace ron::transport {

void write_queue::push(std::vector<core::bytes>& slices) {
  if (head_ > 0) { // a peer that is slow for long must not make the vector grow for ever
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  for (auto& x : slices) {
    if (x.empty())
      continue;
    bytes_ += x.size();
    slices_.push_back(std::move(x));
  }
  slices.clear();
}

std::size_t write_queue::gather(std::span<iovec> out) const noexcept {
  std::size_t used = 0;
  std::size_t room = gather_bytes_max;
  auto last = std::min({out.size(), gather_slices_max, slices_.size() - head_});
  while (used < last && room > 0) {
    auto& x = slices_[head_ + used];
    auto n = std::min(x.size(), room);
    // The kernel only reads; iovec serves readv too and knows no const.
    out[used++] = {const_cast<std::uint8_t*>(x.data()), n};
    room -= n;
  }
  return used;
}

void write_queue::consume(std::size_t n) noexcept {
  bytes_ -= n;
  while (n > 0) {
    auto& front = slices_[head_];
    if (n < front.size()) {
      front = front.slice(n);
      return;
    }
    n -= front.size();
    front = {};
    ++head_;
  }
  if (bytes_ == 0)
    clear();
}

void write_queue::clear() noexcept {
  slices_.clear();
  head_ = 0;
  bytes_ = 0;
}

} // namespace ron::transport
