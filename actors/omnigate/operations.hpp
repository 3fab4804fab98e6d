#pragma once

#include "core/actor/downstream.hpp"
#include "index/messages.hpp"
#include "mailbox/messages.hpp"
#include "storage/messages.hpp"
#include "transport/operation.hpp"

#include <chrono>
#include <vector>

namespace ron::omnigate {

/// The downstreams a view is put together from; one that is not configured answers `degraded`.
struct view_parts {
  core::downstream<index::index_actor> index;
  core::downstream<storage::storage_actor> storage;
  core::downstream<mailbox::mailbox_actor> mailbox;
  std::chrono::milliseconds budget{2'000};
};

/// What omnigate adds to the operations of its downstreams: hydrated views. Shapes and statuses
/// are those of the HTTP surface, section 3.
std::vector<transport::operation> operations(view_parts parts);

} // namespace ron::omnigate
