#pragma once

#include "core/bytes.hpp"
#include "mailbox/partition.hpp"

#include <string>
#include <vector>

/// The answers that a busy mailbox gives, written without a tree. Each is what `core::dump_cbor`
/// makes of the same answer as JSON.
namespace ron::mailbox {

core::bytes pack(const sent& s);
core::bytes pack(const sent_batch& b);
core::bytes pack(const std::vector<delivery>& messages);
/// What became of `receipts`, in their order.
core::bytes pack(const std::vector<receipt_status>& statuses,
                 const std::vector<std::string>& receipts);

} // namespace ron::mailbox
