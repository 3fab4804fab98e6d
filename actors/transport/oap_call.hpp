#pragma once

#include "core/error.hpp"
#include "core/ids.hpp"
#include "oap/events.hpp"
#include "transport/exchange.hpp"
#include "transport/oap_service.hpp"

namespace ron::transport {

/// Reads a START into a call: the operation by its name, the args map with its reserved keys
/// (`_corr`, `_trace`, `_idem`, `_dl`, `_if`, `range`). Pure. Errors: unknown_operation (an unknown
/// app or name), bad_request.
core::result<call> call_of(const oap::opened& start, const oap_service& service,
                           const oap_settings& limits, const link_info& peer, core::id_source& ids,
                           core::instant now);

} // namespace ron::transport
