#pragma once

#include "core/actor/downstream.hpp"
#include "storage/messages.hpp"
#include "transport/operation.hpp"

#include <vector>

namespace ron::storage {

/// What the storage role serves on either wire: objects by id, streamed in and out in pieces of at
/// most 64 KiB. Shapes and statuses are those of the HTTP surface, sections 1 and 7.
std::vector<transport::operation> operations(core::downstream<storage_actor> storage);

} // namespace ron::storage
