#pragma once

#include "core/clock.hpp"
#include "transport/quic/address.hpp"

#include <ngtcp2/ngtcp2.h>

#include <chrono>

/// Between our words and those of ngtcp2. For the sources of this folder only.
namespace ron::transport::quic {

inline ngtcp2_cid to_native(const connection_id& id) noexcept {
  ngtcp2_cid out;
  ngtcp2_cid_init(&out, id.bytes.data(), id.size);
  return out;
}

inline connection_id of_native(const ngtcp2_cid& id) noexcept {
  return connection_id::of(id.data, id.datalen);
}

inline ngtcp2_tstamp to_native(core::instant t) noexcept {
  return static_cast<ngtcp2_tstamp>(
    std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count());
}

inline ngtcp2_duration to_native(std::chrono::nanoseconds d) noexcept {
  return static_cast<ngtcp2_duration>(d.count());
}

/// Valid as long as `a` is.
inline ngtcp2_addr to_native(const address& a) noexcept {
  // ngtcp2 copies what it is given and only reads it.
  return {const_cast<ngtcp2_sockaddr*>(a.get()), a.size};
}

/// Valid as long as `p` is.
inline ngtcp2_path to_native(const path& p) noexcept {
  return {to_native(p.local), to_native(p.remote), nullptr};
}

} // namespace ron::transport::quic
