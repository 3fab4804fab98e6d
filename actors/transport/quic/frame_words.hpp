#pragma once

#include "oap/frame.hpp"

#include <cstdint>

/// What the lanes look at in a frame whose header is complete. For frame_lanes*.cpp only.
namespace ron::transport::quic {

inline std::uint16_t flags_of(const std::uint8_t* frame) noexcept {
  return oap::load_be<std::uint16_t>(frame + oap::off::flags);
}
inline std::uint16_t app_of(const std::uint8_t* frame) noexcept {
  return oap::load_be<std::uint16_t>(frame + oap::off::app);
}
inline std::uint16_t status_of(const std::uint8_t* frame) noexcept {
  return oap::load_be<std::uint16_t>(frame + oap::off::code) & std::uint16_t(~oap::code_ext);
}

/// Of a frame with an app; whether its flags make sense at all is for the session to say.
inline bool is_error(const std::uint8_t* frame) noexcept {
  return (flags_of(frame) & oap::flag::resp) != 0 && status_of(frame) >= oap::status_error_min;
}

/// The reason in an ERROR with extension block. 0 is no application error.
inline std::uint64_t error_code(const std::uint8_t* frame) noexcept {
  return oap::load_be<std::uint16_t>(frame + oap::header_bytes + 2);
}

} // namespace ron::transport::quic
