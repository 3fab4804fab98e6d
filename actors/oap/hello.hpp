#pragma once

#include "core/bytes.hpp"
#include "core/limits.hpp"
#include "oap/reject.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ron::oap {

/// What a side says about itself. The defaults are the floors that a missing key means.
struct hello {
  std::string ua{};                        ///< name and version of the program; for logs
  std::vector<std::uint32_t> versions{1};
  std::uint32_t max_frame = core::limits::oap_frame_bytes_default; ///< bytes, header included
  std::uint32_t max_inflight = core::limits::oap_inflight_default; ///< frames
  std::uint32_t max_streams = core::limits::oap_streams_floor;
  std::uint32_t ack_window = core::limits::oap_ack_window_default; ///< frames
  std::uint32_t flags_supported = 255;
  std::vector<std::string> transports{};
  std::vector<std::string> features{};     ///< unknown ones are kept
  std::string pq{};                        ///< JSON text of the posture, opaque; empty = not said

  bool has_feature(std::string_view name) const noexcept;
};

/// The JSON text of `h`. At most 16 KiB, else the caller put too much into ua, transports,
/// features or pq; those are then left out in that order of need (pq first).
std::string build_hello(const hello& h);

/// Reads the body of a HELLO. Unknown keys are ignored. Nothing for more than 16 KiB, text that is
/// not one JSON object, a duplicate key, a value of a wrong type (`ua: null` counts as missing), a
/// value below its floor, or `versions` without 1; each of these is `reason::bad_hello`.
std::optional<hello> parse_hello(core::byte_view body);

/// What holds on a connection.
struct agreement {
  std::uint32_t max_frame = core::limits::oap_frame_bytes_default;
  std::uint32_t max_inflight = core::limits::oap_inflight_default;
  std::uint32_t max_streams = core::limits::oap_streams_floor;
  std::uint32_t ack_window = core::limits::oap_ack_window_default;
  bool x1 = false;
  bool zstd = false;
  bool operator==(const agreement&) const = default;
};

/// The lesser of both sides, never above the protocol's law (1 MiB, 1,024, 65,536, 1,024).
/// `alpn`: `oap/1` was negotiated below, which means x1 whatever the features say.
agreement negotiate(const hello& ours, const hello& theirs, bool alpn) noexcept;

/// What a side may act on before the peer's HELLO arrived.
agreement floors(bool alpn) noexcept;

/// The body of an ERROR for a peer without x1: the JSON error object.
std::string build_error_json(reason why, std::string_view message, std::uint32_t retry_after_ms,
                             std::uint64_t corr);

/// What such a body says. Text that is no such object gives empty fields.
struct json_error {
  std::string code{};
  std::string message{};
  std::uint32_t retry_after_ms = 0;
};
json_error parse_error_json(std::string_view text);

} // namespace ron::oap
