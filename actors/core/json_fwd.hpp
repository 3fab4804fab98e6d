#pragma once

#include <nlohmann/json_fwd.hpp>

namespace ron::core {

/// A JSON or CBOR value. Byte strings are `json::binary`; in JSON text they are base64.
/// Include `core/json.hpp` to look inside.
using json = nlohmann::json;

} // namespace ron::core
