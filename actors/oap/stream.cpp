#include "oap/stream.hpp"

#include "core/limits.hpp"

#include <cstring>

namespace ron::oap {

// -- obj_rule --------------------------------------------------------------------

reason obj_rule::on_frame(bool has_bytes, bool push, const std::uint8_t* obj) noexcept {
  if (!declared_)
    return obj ? reason::obj_form : reason::none;
  if (obj) {
    if (known_)
      return std::memcmp(id_.hash.data(), obj, id_.hash.size()) == 0 ? reason::none
                                                                     : reason::obj_form;
    std::memcpy(id_.hash.data(), obj, id_.hash.size());
    known_ = true;
    return reason::none;
  }
  if (!has_bytes || push || known_)
    return reason::none;
  if (!result_first_)
    return reason::missing_obj;
  result_first_ = false;
  return reason::none;
}

// -- stream ----------------------------------------------------------------------

bool stream::owns(const frame_view& f) const noexcept {
  if (f.app() != app)
    return false;
  auto t = f.tenant();
  return t == tenant || t.is_zero();
}

// -- stream_table ----------------------------------------------------------------

stream& stream_table::open(corr_t corr) {
  if (spare_.empty()) {
    pool_.push_back(std::make_unique<stream>());
    spare_.reserve(pool_.size());
    spare_.push_back(pool_.back().get());
  }
  auto* s = spare_.back();
  map_.insert(corr, s);
  spare_.pop_back();
  s->corr = corr;
  last_ = s;
  return *s;
}

stream* stream_table::find(corr_t corr) noexcept {
  if (last_ && last_->corr == corr)
    return last_;
  auto* found = map_.find(corr);
  if (!found)
    return nullptr;
  last_ = *found;
  return last_;
}

void stream_table::close(stream& s) noexcept {
  map_.erase(s.corr);
  if (last_ == &s)
    last_ = nullptr;
  s = stream{};
  spare_.push_back(&s);
}

std::size_t stream_table::memory_bytes() const noexcept {
  return pool_.size() * sizeof(stream) + pool_.capacity() * sizeof(pool_.front())
         + spare_.capacity() * sizeof(stream*) + map_.memory_bytes();
}

void stream_table::trim() noexcept {
  if (map_.size() != 0)
    return;
  map_.trim();
  pool_ = decltype(pool_){};
  spare_ = decltype(spare_){};
  last_ = nullptr;
}

// -- errored_table ---------------------------------------------------------------

errored* errored_table::find(corr_t corr) noexcept {
  auto* i = map_.find(corr);
  return i ? &ring_[*i] : nullptr;
}

void errored_table::remember(const errored& e) {
  if (auto* known = find(e.corr)) {
    *known = e;
    return;
  }
  if (ring_.size() < core::limits::oap_errored_corrs_max) {
    map_.insert(e.corr, static_cast<std::uint32_t>(ring_.size()));
    ring_.push_back(e);
    return;
  }
  map_.erase(ring_[oldest_].corr);
  map_.insert(e.corr, static_cast<std::uint32_t>(oldest_));
  ring_[oldest_] = e;
  oldest_ = (oldest_ + 1) % ring_.size();
}

} // namespace ron::oap
