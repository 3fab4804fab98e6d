#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

/// Every protocol constant and default bound, one reason per line. What an operator may change is
/// a key of the configuration schema whose default is taken from here.
namespace ron::core::limits {

using namespace std::chrono_literals;

// -- OAP/1 (protocol law unless it says default) -------------------------------
inline constexpr std::uint32_t oap_frame_bytes_law = 1'048'576; ///< never negotiated higher
inline constexpr std::uint32_t oap_frame_bytes_default = 66'560; ///< 64 KiB chunk + optional parts
inline constexpr std::uint32_t oap_hello_frame_bytes_max = 16'422; ///< before HELLO was read
inline constexpr std::uint32_t oap_hello_body_bytes_max = 16'384;
inline constexpr std::uint32_t oap_cap_bytes_max = 4'096;
inline constexpr std::uint32_t oap_message_bytes_max = 1'024; ///< text of an ERROR
inline constexpr std::uint32_t oap_inflate_bytes_max = 8u << 20; ///< raw_len above is refused
inline constexpr std::uint32_t oap_ack_window_default = 8;
inline constexpr std::uint32_t oap_ack_window_max = 1'024;
inline constexpr std::uint32_t oap_inflight_default = 64;
inline constexpr std::uint32_t oap_inflight_max = 1'024;
inline constexpr std::uint32_t oap_streams_floor = 64;
inline constexpr std::uint32_t oap_streams_default = 512;
inline constexpr std::uint32_t oap_streams_max = 65'536;
inline constexpr std::uint32_t oap_errored_corrs_max = 1'024; ///< remembered after our ERROR
inline constexpr std::size_t oap_receive_budget_default = 8u << 20;

// -- bytes ---------------------------------------------------------------------
inline constexpr std::size_t chunk_bytes = 65'536; ///< usual chunk of a sender; BLAKE3 group
inline constexpr std::size_t read_buffer_bytes = 131'072;  ///< one read of a link
inline constexpr std::size_t bulk_slab_bytes = 524'288; ///< what a link reads frames on into
inline constexpr std::size_t write_coalesce_bytes = 65'536; ///< one flush before the record layer
inline constexpr std::size_t json_body_bytes_max = 1u << 20;
inline constexpr std::size_t json_depth_max = 32; ///< nesting of JSON and CBOR we read
inline constexpr std::size_t json_values_max = 65'536; ///< 64 B of ours may cost 3 B of text
inline constexpr std::size_t error_message_bytes_max = 1'024; ///< `message` on every surface
inline constexpr std::uint64_t object_bytes_max_default = 1ull << 30;

// -- actors --------------------------------------------------------------------
inline constexpr std::uint32_t mailbox_bound_default = 256;
inline constexpr std::uint32_t mailbox_bound_connection = 64; ///< connection, stream, lookup
inline constexpr std::uint32_t mailbox_bound_max = 65'536;

// -- admission -----------------------------------------------------------------
inline constexpr std::uint32_t inflight_default = 512;
inline constexpr std::uint32_t rate_default = 500;  ///< requests a second, all callers
inline constexpr std::uint32_t burst_default = 1'000;
inline constexpr std::uint32_t permits_index = 128;
inline constexpr std::uint32_t permits_storage = 128;
inline constexpr std::uint32_t permits_mailbox = 64;

// -- deadlines -----------------------------------------------------------------
inline constexpr auto request_timeout = 5s;   ///< to the first byte of an answer
inline constexpr auto resolve_budget = 1'200ms;
inline constexpr auto view_budget = 2'000ms;
inline constexpr auto handshake_timeout = 5s;
inline constexpr auto idle_timeout = 60s;
inline constexpr auto drain_timeout = 10s;

} // namespace ron::core::limits
