#pragma once

#include "transport/operation.hpp"

#include <vector>

namespace ron::inspect {

/// `GET /debug/v1/actors`: who is alive, as `ronctl actors` shows it. For the admin listener.
std::vector<transport::operation> operations();

} // namespace ron::inspect
