#pragma once

#include "core/error.hpp"
#include "core/json_fwd.hpp"
#include "options.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ron::cli {

/// Prints a table on stdout: column names, then rows, padded; numbers are right-aligned. Without
/// a terminal the columns are separated by tabs and have no head, for `cut` and `awk`.
void print_table(const std::vector<std::string>& columns,
                 const std::vector<std::vector<std::string>>& rows);

/// Prints one JSON value and a line end on stdout.
void print_json(const core::json& value);

/// What a message looks like in one cell: text if it is printable, else its size.
std::string payload_text(const core::json& payload);

/// One line on stderr: `ronctl: what failed: why`, with what to do next. Returns the exit code.
exit_code report(std::string_view doing, const core::error& why);

/// `12.3 MiB`.
std::string human_bytes(std::uint64_t n);
/// `1.2 s`, `35 ms`.
std::string human_time(std::chrono::nanoseconds d);

/// A progress bar on stderr, only when it is a terminal. Any thread may add.
class progress {
public:
  progress(std::uint64_t files, std::uint64_t bytes);
  ~progress();
  void add_bytes(std::uint64_t n);
  void add_file();
  /// Corrects how many bytes there will be.
  void set_total(std::uint64_t bytes) noexcept { bytes_ = bytes; }
  std::uint64_t bytes() const noexcept { return bytes_done_; }

private:
  void draw(bool last);
  const bool shown_;
  const std::uint64_t files_;
  std::atomic<std::uint64_t> bytes_; ///< 0 = not known
  const std::chrono::steady_clock::time_point start_;
  std::atomic<std::uint64_t> files_done_{0};
  std::atomic<std::uint64_t> bytes_done_{0};
  std::mutex mutex_;
  std::chrono::steady_clock::time_point drawn_{};
};

} // namespace ron::cli
