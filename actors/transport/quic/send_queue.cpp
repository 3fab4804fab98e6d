#include "transport/quic/send_queue.hpp"

#include <utility>

namespace ron::transport::quic {

void send_queue::push(core::bytes slice) {
  if (slice.empty())
    return;
  end_ += slice.size();
  if (at_ >= live().size() || !slices_.back().extend(slice))
    slices_.push_back(std::move(slice));
}

std::size_t send_queue::gather(std::span<iovec> out) const noexcept {
  std::size_t n = 0;
  auto skip = static_cast<std::size_t>(next_ - at_base_);
  for (const auto& s : live().subspan(at_)) {
    if (n == out.size())
      break;
    if (skip < s.size()) // who sends only reads; iovec knows no const
      out[n++] = {const_cast<std::uint8_t*>(s.data()) + skip, s.size() - skip};
    skip = 0;
  }
  return n;
}

void send_queue::sent(std::size_t n) noexcept {
  next_ += n;
  const auto all = live();
  while (at_ < all.size() && at_base_ + all[at_].size() <= next_) {
    at_base_ += all[at_].size();
    ++at_;
  }
}

void send_queue::acknowledged(std::uint64_t offset) noexcept {
  while (at_ > 0 && base_ + slices_[first_].size() <= offset) {
    base_ += slices_[first_].size();
    slices_[first_++] = {};
    --at_;
  }
  constexpr std::size_t spare_max = 16; // so many empty places move rarely
  if (first_ == slices_.size()) {
    slices_.clear();
    first_ = 0;
  } else if (first_ >= spare_max && first_ * 2 >= slices_.size()) {
    slices_.erase(slices_.begin(), slices_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

std::size_t send_queue::rewind() noexcept {
  at_ = 0;
  at_base_ = base_;
  return static_cast<std::size_t>(std::exchange(next_, base_) - base_);
}

std::size_t send_queue::drop_unsent() noexcept {
  const auto n = unsent();
  if (n == 0)
    return 0;
  const auto kept = static_cast<std::size_t>(next_ - at_base_); // of the slice in the middle
  slices_.resize(first_ + at_ + (kept != 0 ? 1 : 0));
  if (kept != 0)
    slices_.back() = slices_.back().slice(0, kept);
  end_ = next_;
  sent(0);
  return n;
}

} // namespace ron::transport::quic
