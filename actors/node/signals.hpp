#pragma once

#include <chrono>
#include <csignal>
#include <cstdint>

namespace ron::node {

/// What a signal asks for.
enum class told : std::uint8_t { nothing, stop, reload };

/// SIGTERM, SIGINT and SIGHUP, taken off the process and waited for. Make it before the first
/// thread. SIGPIPE is ignored.
class signals {
public:
  signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }

  /// Waits up to `d` for one of them.
  told wait(std::chrono::milliseconds d) {
    timespec t{};
    t.tv_sec = d.count() / 1'000;
    t.tv_nsec = d.count() % 1'000 * 1'000'000;
    const auto number = sigtimedwait(&set_, nullptr, &t);
    return number <= 0 ? told::nothing : number == SIGHUP ? told::reload : told::stop;
  }
  /// The same where a reload makes no sense (the node starts or stops): true if it is to stop.
  bool wait_stop(std::chrono::milliseconds d) { return wait(d) == told::stop; }

private:
  sigset_t set_{};
};

} // namespace ron::node
