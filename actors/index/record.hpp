#pragma once

#include "core/error.hpp"
#include "core/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ron::index {

/// What a name points at.
struct name_record {
  std::string name;             ///< canonical
  core::cid cid;
  std::uint64_t version = 0;    ///< from one counter per store, never used twice
  std::int64_t updated_ms = 0;  ///< wall clock of the write
  std::uint32_t ttl_s = 0;      ///< how long caches may keep it; 0 = the default
  bool operator==(const name_record&) const = default;
};

/// The condition of a compare-and-set write.
struct precondition {
  enum class kind : std::uint8_t { none, absent, version };
  kind is = kind::none;
  std::uint64_t version = 0;    ///< with `kind::version`

  /// Error precondition_failed unless `current` (none = no such name) satisfies the condition.
  core::result<void> check(const std::optional<std::uint64_t>& current) const;
};

/// A write of a name; evaluated as one step of the store.
struct put_name {
  std::string name;             ///< canonical
  core::cid cid;
  std::uint32_t ttl_s = 0;
  precondition when;
  std::string manifest;         ///< checked manifest of `cid` as JSON text; empty = none
};

/// A removal of a name.
struct del_name {
  std::string name;
  precondition when;
};

/// The outcome of `put_name`.
struct name_written {
  name_record record;
  bool created = false;
};

/// One page of a listing, in byte order of the names.
struct name_page {
  std::vector<name_record> items;
  std::string next;             ///< cursor: last name of the page; empty = that was all
};

} // namespace ron::index
