#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <vector>

/// Types of `core` that messages may carry inside one process and that must never cross to
/// another node: they hold memory or instants that mean nothing elsewhere. Every folder lists its
/// own such types beside its messages; a type is listed once in the whole program.

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::core::bytes)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::vector<ron::core::bytes>)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::core::instant)
