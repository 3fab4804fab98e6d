#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

#include <cstddef>
#include <memory>
#include <string_view>

namespace ron::http {

/// Parses one request after the other with Boost.Beast: the head (already passed by `check_head`,
/// so this is a second opinion) and the body, whose bytes are handed out as slices of the input,
/// never copied and never collected. Hides Beast, whose headers are expensive. One thread.
class request_parser {
public:
  /// A chunk-size line with its extensions, or one trailer field, may be this long.
  static constexpr std::size_t line_bytes_max = 1'024;
  /// All trailer fields together. They are read and dropped.
  static constexpr std::size_t trailer_bytes_max = 4'096;

  request_parser();
  ~request_parser();
  request_parser(const request_parser&) = delete;
  request_parser& operator=(const request_parser&) = delete;

  /// Starts a new message. Error: bad_request when Beast refuses the head.
  core::result<void> begin(std::string_view head);

  /// What one call of `next` did.
  struct step {
    std::size_t used = 0; ///< bytes of the input that are dealt with
    core::bytes data;     ///< a slice of the input, part of the body; may be empty
  };
  /// Reads on in the body: `in` is what has arrived and was not used yet. Without data and before
  /// `done`, more input is needed; the unused rest must then be given again, it is never longer
  /// than `line_bytes_max`.
  /// Errors: bad_request for malformed chunks, over-long lines or trailers, control bytes or line
  /// breaks where two parsers would disagree.
  core::result<step> next(const core::bytes& in);

  /// The message is complete, body and trailers included.
  bool done() const noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace ron::http
