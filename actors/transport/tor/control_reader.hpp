#pragma once

#include "core/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ron::transport::tor {

/// One answer or event of a control port.
struct control_reply {
  std::uint16_t status = 0;       ///< 650: an event, nobody asked
  std::vector<std::string> lines; ///< without status, separator and CRLF; at least one
};

/// Cuts what a control port sends into replies (Tor's control-spec, section 2.3). The data behind
/// a line with `+` is read and dropped: none of it is asked for. Pure.
class control_reader {
public:
  static constexpr std::size_t line_bytes_max = 4'096;
  static constexpr std::size_t lines_max = 64;           ///< of a reply
  static constexpr std::size_t reply_bytes_max = 16'384; ///< dropped data included

  /// Appends to `out` the replies that `in` completes. False when the peer broke the grammar or a
  /// bound: nothing of it can be believed from here on.
  bool feed(core::byte_view in, std::vector<control_reply>& out);

private:
  bool take_line(std::vector<control_reply>& out);

  std::string line_; ///< without its end
  control_reply reply_;
  std::size_t bytes_ = 0; ///< of the reply so far
  bool in_data_ = false;
};

/// The value of `KEY=value` among the words of `line`, quotes and escapes taken off
/// (control-spec, section 2.1.1). Empty if there is no such word, or its quotes do not end.
std::string word_value(std::string_view line, std::string_view key);

} // namespace ron::transport::tor
