#pragma once

#include "core/bytes.hpp"

namespace ron::oap::test {

/// Reads all frames of `in` with the real reader and with the specification, under several limits.
/// Aborts, saying why, if they differ in anything: verdict, fields, or a prefix that is judged
/// differently. Returns how many frames and rejects were compared.
std::size_t compare_readers(core::byte_view in);

} // namespace ron::oap::test
