#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

#include <string>

namespace ron::cli {

/// A file that is read or written from start to end. Errors say what the system said.
class file {
public:
  /// `flags` as of open(2).
  static core::result<file> open(const std::string& path, int flags);
  static file standard_output() { return file{1}; }

  file(file&& o) noexcept;
  file& operator=(file&&) = delete;
  ~file();

  /// The next bytes, empty at the end.
  core::result<core::bytes> read();
  core::result<void> write(core::byte_view v);

private:
  explicit file(int fd) : fd_(fd) {}
  int fd_;
};

} // namespace ron::cli
