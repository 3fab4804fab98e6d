#pragma once

#include "core/error.hpp"
#include "core/ids.hpp"
#include "core/json_fwd.hpp"

#include <cstddef>
#include <string>

namespace ron::index {

/// Bounds of a manifest.
struct manifest_limits {
  static constexpr std::size_t bytes_max = 65'536; ///< as JSON text
  static constexpr std::size_t chunks_max = 1'024;
  static constexpr std::size_t tags_max = 64;
  static constexpr std::size_t title_bytes_max = 512;
};

/// Checks a manifest v1, `{"version":1,"cid","size","content_type","chunks?","title?","tags?",
/// "created_at_ms"}`, that shall describe `about`; unknown fields are refused. `cid` may be left
/// out and is then filled in. Returns the canonical JSON text. Error: bad_request.
core::result<std::string> check_manifest(const core::json& manifest, const core::cid& about);

} // namespace ron::index
