#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace ron::core::log {

/// Writes whole lines to a descriptor without waiting for its reader. The flags of the descriptor
/// stay as they are, because other processes share them: a pipe or terminal is opened once more,
/// a socket is told per call. A regular file is written as usual. Any thread.
/// The process ignores SIGPIPE.
class line_sink {
public:
  /// `fd` stays the caller's and must stay open.
  explicit line_sink(int fd);
  line_sink(const line_sink&) = delete;
  line_sink& operator=(const line_sink&) = delete;
  ~line_sink();

  /// True if the whole line was taken (the rest of a line that was cut short goes first, next
  /// time). False and counted if it would have blocked or failed.
  bool write(std::string_view line);
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }
  /// True if the descriptor is a terminal.
  bool terminal() const noexcept { return terminal_; }

private:
  enum class kind : std::uint8_t { file, own_nonblocking, socket, polled };

  /// Bytes taken, 0 if it would block, -1 on an error.
  std::int64_t put(std::string_view text) noexcept;

  int fd_;
  kind kind_ = kind::file;
  bool terminal_ = false;
  std::mutex mutex_; ///< held during one write that does not wait
  std::string tail_; ///< of a line that was taken in part; shorter than a line
  std::atomic<std::uint64_t> dropped_{0};
};

} // namespace ron::core::log
