#pragma once

#include "core/store/faults.hpp"

#include <atomic>

namespace ron::test {

/// A disk that does not answer while it is `stuck`: whoever syncs waits.
class stuck_disk : public core::store::faults {
public:
  int on_sync() noexcept override {
    stuck_.wait(true);
    return 0;
  }
  void stick() noexcept { stuck_ = true; }
  void go_on() noexcept {
    stuck_ = false;
    stuck_.notify_all();
  }

private:
  std::atomic<bool> stuck_{false};
};

} // namespace ron::test
