#pragma once

#include "core/error.hpp"

#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>

#include <cstdint>
#include <exception>
#include <string>

/// Lets a handler `return ec::busy;` or `return caf::make_error(ec::busy, "text", retry_ms)`.
/// The category is `ron`; code, text and retry time travel to other nodes.
CAF_ERROR_CODE_ENUM(ron::core::ec, "ron")

namespace ron::core {

/// Our error as an actor answers it. Loses nothing.
caf::error to_caf(const error& e);

/// What an actor answered, as our error. Ours come back as they went in. Of CAF's own:
/// `request_timeout` -> downstream_timeout; a receiver that is gone, ended or on a node that is
/// gone -> degraded; the rest, `none` included, -> internal with CAF's words as the message.
error to_error(const caf::error& e);

/// An exception that left a handler, as the reason the actor ends with: always ec::internal.
caf::error to_caf(const std::exception_ptr& e);

/// Renders errors of the category `ron` ("busy: mailbox_full"); registered by
/// `configure_actors`.
std::string render_error(std::uint8_t code, caf::atom_value category, const caf::message& context);

} // namespace ron::core
