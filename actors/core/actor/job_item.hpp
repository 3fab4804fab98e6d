#pragma once

#include "core/actor/shard.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace ron::core {

/// A submitted function in the shape of what a shard runs. Held by exactly one queue; freed when
/// it has run or was discarded.
class job_item final : public caf::resumable {
public:
  /// `waiting` counts the jobs of a shard and outlives the item; may be null.
  job_item(job f, std::atomic<std::uint32_t>* waiting) noexcept
    : f_(std::move(f)), waiting_(waiting) {
    // nop
  }
  ~job_item() override {
    if (waiting_)
      waiting_->fetch_sub(1, std::memory_order_relaxed);
  }

  subtype_t subtype() const override { return function_object; }

  resume_result resume(caf::execution_unit*, std::size_t) noexcept override {
    f_();
    return caf::resumable::done;
  }

  void intrusive_ptr_add_ref_impl() override {
    refs_.fetch_add(1, std::memory_order_relaxed);
  }
  void intrusive_ptr_release_impl() override {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete this;
  }

private:
  job f_;
  std::atomic<std::uint32_t>* waiting_;
  std::atomic<std::uint32_t> refs_{1};
};

} // namespace ron::core
