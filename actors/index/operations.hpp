#pragma once

#include "core/actor/downstream.hpp"
#include "core/live.hpp"
#include "index/messages.hpp"
#include "transport/operation.hpp"

#include <chrono>
#include <vector>

namespace ron::index {

/// Times the index's operations keep.
struct operation_limits {
  core::knob<std::chrono::milliseconds> resolve_budget = std::chrono::milliseconds{1'200};
};

/// What the index role serves on either wire: names, resolution, manifests, providers. Shapes and
/// statuses are those of the HTTP surface, sections 2 and 7.
std::vector<transport::operation> operations(core::downstream<index_actor> index,
                                             operation_limits limits);

/// The answer of `resolve` as the surface shows it.
core::json to_json(const resolution& r, std::string_view key);

} // namespace ron::index
