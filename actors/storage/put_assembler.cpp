#include "storage/put_assembler.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

namespace ron::storage {

using core::b3::group_bytes;

core::result<void> put_assembler::add(core::byte_view piece) {
  if (piece.size() > size_max_ - size_)
    return core::fail(core::ec::body_cap, "the object is larger than " + std::to_string(size_max_)
                                            + " bytes (storage.object-bytes-max)");
  size_ += piece.size();
  while (!piece.empty()) {
    if (group_.filled() == group_bytes)
      close_group();
    if (group_.capacity() == 0)
      group_ = core::slab{group_bytes};
    auto n = std::min(piece.size(), group_bytes - group_.filled());
    std::memcpy(group_.room().data(), piece.data(), n);
    group_.commit(n);
    piece = piece.subspan(n);
  }
  return {};
}

void put_assembler::close_group() {
  tree_.add_group(group_.view());
  ready_.push_back({group_.cut(0, group_.filled()), tree_.take_nodes()});
  group_ = core::slab{};
}

std::optional<full_group> put_assembler::next() {
  if (ready_.empty())
    return std::nullopt;
  std::optional<full_group> out{std::move(ready_.front())};
  ready_.pop_front();
  return out;
}

finished_upload put_assembler::finish() {
  finished_upload out;
  // A group that fills little of its memory is worth a copy, because it may be kept for long.
  auto filled = group_.filled();
  if (filled > 0) {
    tree_.add_group(group_.view());
    out.last = filled < group_bytes / 4 * 3 ? core::bytes::copy(group_.view())
                                            : group_.cut(0, filled);
  }
  out.cid.hash = tree_.finish();
  out.size = size_;
  out.nodes = tree_.take_nodes();
  group_ = core::slab{};
  return out;
}

} // namespace ron::storage
