#include "storage/group_reader.hpp"

#include <algorithm>
#include <utility>

namespace ron::storage {

namespace b3 = core::b3;
using core::ec;
using core::result;

namespace {

/// RAM for nodes that were verified: the lowest ones above 800 MiB of objects, and the others.
constexpr std::uint64_t node_cache(std::uint64_t verified_cache) noexcept {
  return std::min<std::uint64_t>(verified_cache / 64, 1u << 20);
}

/// RAM for pages of outboards that were read lately: as a rule the same few of an object, over and
/// over. A sixteenth of the cache of groups, and enough for 4 GiB of objects.
constexpr std::uint64_t outboard_cache(std::uint64_t verified_cache) noexcept {
  return std::min<std::uint64_t>(verified_cache / 16, 4u << 20);
}

/// Groups in a row that are read ahead together: to the end of the second such row, so that the
/// disk has something to do while the first one is served.
constexpr std::uint64_t row_ahead = 32;

/// Has the disk begin with groups from `first` on, no more than `count`. Those that lie next to
/// each other are one request.
void read_ahead(const core::store::read_view& view, const layout::record& r, std::uint64_t first,
                std::uint64_t count) {
  constexpr std::ptrdiff_t gap_max = 8'192; // rest of a page, head of the next value
  count = std::min(count, 2 * row_ahead - first % row_ahead);
  auto at = view.scan(layout::chunks);
  core::byte_view whole;
  for (bool found = at.seek(layout::chunk_key(r.number, first)); found && count > 0;
       found = at.next(), --count) {
    if (core::store::load<std::uint64_t>(at.key()) != r.number)
      break;
    const auto v = at.value();
    const auto gap = whole.empty() ? -1 : v.data() - (whole.data() + whole.size());
    if (gap >= 0 && gap < gap_max) {
      whole = {whole.data(), v.data() + v.size()};
      continue;
    }
    view.read_ahead(whole);
    whole = v;
  }
  view.read_ahead(whole);
}

} // namespace

group_reader::group_reader(std::uint64_t verified_cache)
  : outboards_(outboard_cache(verified_cache), layout::node_page_bytes),
    nodes_(node_cache(verified_cache)) {
  // nop
}

void group_reader::set_max(std::uint64_t verified_cache) {
  outboards_.set_max(outboard_cache(verified_cache));
  nodes_.set_max(node_cache(verified_cache));
}

std::optional<result<group_copy>> group_reader::copy(const core::store::read_view& view,
                                                     const layout::record& r, std::uint64_t group,
                                                     std::uint64_t following, patience p,
                                                     outboard_from from) {
  group_copy out;
  if (p == patience::any && following > 0)
    read_ahead(view, r, group, 1 + following);
  const auto key = layout::chunk_key(r.number, group);
  if (p == patience::none && !view.in_memory(layout::chunks, key))
    return std::nullopt;
  auto data = view.get(layout::chunks, key);
  if (!data && data.error().code != ec::not_found)
    return std::unexpected{data.error()};
  if (!data || data->size() != b3::group_size(r.size, group))
    return out; // does not verify
  auto bytes = copy_of(view, *data, p);
  if (!bytes)
    return std::nullopt;
  if (bytes->size() != data->size())
    return out; // the disk has lost it
  out.path = b3::path_of(group, b3::group_count(r.size));
  out.nodes.reserve(out.path.size * b3::node_bytes);
  constexpr auto no_page = ~std::uint64_t{0};
  auto at = no_page;
  core::bytes page;
  for (auto step : out.path.view()) {
    if (verified_nodes::node held;
        from == outboard_from::memory && nodes_.find(r.number, step.index, held)) {
      out.nodes.insert(out.nodes.end(), held.begin(), held.end());
      out.top_verified = true;
      break;
    }
    if (auto wanted = step.index / layout::nodes_per_page; wanted != at) {
      auto found = outboard_page(view, r, wanted, p, from);
      if (!found)
        return std::nullopt;
      if (!*found)
        return std::unexpected{found->error()};
      page = std::move(**found);
      at = wanted;
    }
    auto offset = step.index % layout::nodes_per_page * b3::node_bytes;
    if (page.size() < offset + b3::node_bytes)
      return out; // does not verify
    auto node = page.view().subspan(offset, b3::node_bytes);
    out.nodes.insert(out.nodes.end(), node.begin(), node.end());
  }
  out.data = std::move(*bytes);
  return out;
}

std::optional<result<core::bytes>>
group_reader::outboard_page(const core::store::read_view& view, const layout::record& r,
                            std::uint64_t page, patience p, outboard_from from) {
  if (from == outboard_from::memory)
    if (auto held = outboards_.find(r.number, page))
      return std::move(*held);
  const auto key = layout::chunk_key(r.number, page);
  if (p == patience::none && !view.in_memory(layout::outboard, key))
    return std::nullopt;
  auto v = view.get(layout::outboard, key);
  if (!v && v.error().code != ec::not_found)
    return std::unexpected{v.error()};
  if (!v)
    return core::bytes{};
  auto copy = copy_of(view, *v, p);
  if (!copy)
    return std::nullopt;
  if (from == outboard_from::memory && !copy->empty())
    outboards_.put(r.number, page, *copy);
  return std::move(*copy);
}

} // namespace ron::storage
