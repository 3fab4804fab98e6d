#pragma once

#include <chrono>
#include <thread>

namespace ron::test {

/// Waits until `condition()` is true, looking every millisecond; false when that takes longer
/// than `limit`. For what no message announces.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds{20}) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  return true;
}

} // namespace ron::test
