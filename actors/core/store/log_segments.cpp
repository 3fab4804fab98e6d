#include "core/store/log_segments.hpp"

#include "core/store/log_format.hpp"

#include <algorithm>

namespace ron::core::store {

void log_segments::reset(std::size_t segments, std::uint64_t last_lsn,
                         std::uint64_t last_generation, std::uint64_t applied) {
  // Which of them holds what does not matter: they are free again together.
  slot one;
  one.is = use::full;
  one.generation = last_generation;
  one.first_lsn = applied + 1;
  one.last_lsn = last_lsn;
  one.end = bytes_;
  slots_.assign(segments, one);
  active_.reset();
  last_lsn_ = last_lsn;
  last_generation_ = last_generation;
  this->applied(applied);
}

bool log_segments::fits(std::size_t record_bytes) const noexcept {
  if (!active_)
    return false;
  const auto end = slots_[*active_].end;
  return end == log_page_bytes || end + record_bytes <= bytes_; // an empty one grows for it
}

std::optional<log_segments::active_segment> log_segments::place_for(std::size_t record_bytes,
                                                                    bool may_reuse) {
  if (active_ && !fits(record_bytes)) {
    slots_[*active_].is = use::full;
    active_.reset();
  }
  if (!active_) {
    const auto i = unused(may_reuse);
    if (!i)
      return std::nullopt;
    begin(*i);
  }
  const auto& s = slots_[*active_];
  return active_segment{*active_, s.generation, s.first_lsn, s.end, !s.head_written};
}

std::optional<std::size_t> log_segments::unused(bool may_reuse) {
  if (may_reuse)
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].is == use::free)
        return i;
  if (slots_.size() >= segments_max_)
    return std::nullopt;
  slots_.emplace_back();
  return slots_.size() - 1;
}

void log_segments::begin(std::size_t i) {
  slots_[i] = {use::active, ++last_generation_, last_lsn_ + 1, last_lsn_, log_page_bytes, false};
  active_ = i;
}

void log_segments::wrote(std::size_t record_bytes) {
  auto& s = slots_[*active_];
  s.head_written = true;
  s.last_lsn = ++last_lsn_;
  s.end += record_bytes;
  live_bytes_ += record_bytes;
}

void log_segments::failed() {
  if (!active_)
    return;
  auto& s = slots_[*active_];
  // With nothing in it that counts it can be begun again: all of it is written anew then.
  s.is = s.last_lsn < s.first_lsn ? use::free : use::full;
  active_.reset();
}

void log_segments::applied(std::uint64_t lsn) {
  applied_ = std::max(applied_, lsn);
  for (auto& s : slots_)
    if (s.is == use::full && s.last_lsn <= applied_)
      s.is = use::free;
  count();
}

/// A segment counts until all of it is applied.
void log_segments::count() {
  live_bytes_ = 0;
  for (const auto& s : slots_)
    if (s.is != use::free && s.last_lsn > applied_)
      live_bytes_ += s.end - log_page_bytes;
}

} // namespace ron::core::store
