#pragma once

#include <chrono>
#include <csignal>

namespace ron::node {

/// SIGTERM and SIGINT, taken off the process and waited for. Make it before the first thread.
/// SIGPIPE is ignored, and SIGHUP for as long as nothing is reloaded by it.
class signals {
public:
  signals() {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  /// Waits up to `d` for one of them; true if one came.
  bool wait(std::chrono::milliseconds d) {
    timespec t{};
    t.tv_sec = d.count() / 1'000;
    t.tv_nsec = d.count() % 1'000 * 1'000'000;
    return sigtimedwait(&set_, nullptr, &t) > 0;
  }

private:
  sigset_t set_{};
};

} // namespace ron::node
