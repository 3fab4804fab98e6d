#pragma once

#include "core/store/key.hpp"
#include "core/store/transaction.hpp"
#include "index/record.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// How names lie in LMDB. Numbers are big-endian.
///
/// | table     | key       | value                                               |
/// |-----------|-----------|-----------------------------------------------------|
/// | names     | name      | cid 32, version u64, updated ms u64, ttl seconds u32 |
/// | manifests | cid       | manifest as JSON text                               |
/// | counters  | "version" | the last version that was given out u64             |
/// | named     | cid, name | nothing: which names point at an object             |
///
/// Format 1 had no table `named`.
namespace ron::index::layout {

namespace lmdb = core::store;

inline constexpr std::uint32_t format = 2;
inline constexpr std::uint32_t min_reader = 2;

inline constexpr lmdb::table names{0};
inline constexpr lmdb::table manifests{1};
inline constexpr lmdb::table counters{2};
inline constexpr lmdb::table named{3};
std::vector<std::string> table_names();

inline constexpr std::size_t record_bytes = 32 + 8 + 8 + 4;

inline core::byte_view text_view(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
inline std::string_view text_of(core::byte_view v) noexcept {
  return {reinterpret_cast<const char*>(v.data()), v.size()};
}

lmdb::key encode(const name_record& r);
/// Error: internal (a record of a wrong size).
core::result<name_record> decode(std::string_view name, core::byte_view value);

inline lmdb::key named_key(const core::cid& c, std::string_view name) {
  lmdb::key k;
  k.add(c.view()).add(name);
  return k;
}

} // namespace ron::index::layout
