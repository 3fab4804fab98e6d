#include "storage/verify.hpp"

#include "core/hash.hpp"
#include "storage/backend.hpp"
#include "storage/lmdb_layout.hpp"

#include <algorithm>
#include <ranges>
#include <string>
#include <vector>

namespace ron::storage {

namespace {

namespace b3 = core::b3;
using core::byte_view;
using core::store::check_log;
using core::store::check_table;
using core::store::snapshot;

/// Groups that a line names before it only counts them.
constexpr std::size_t groups_named_max = 8;

core::cid cid_of(byte_view key) noexcept {
  core::cid c;
  std::copy_n(key.begin(), std::min(key.size(), c.hash.size()), c.hash.begin());
  return c;
}

/// One object of the store.
class object_check {
public:
  object_check(const snapshot& s, const core::cid& c, const layout::record& r, check_log& log)
    : s_(s), cid_(c), record_(r), log_(log), groups_(b3::group_count(r.size)) {
    // nop
  }

  void run() {
    b3::tree_builder tree;
    bool whole = true;
    for (std::uint64_t g = 0; g < groups_; ++g) {
      const auto data = s_.get(layout::chunks, layout::chunk_key(record_.number, g));
      ++log_.counts["groups"];
      log_.passed(data ? data->size() : 0);
      if (!data || data->size() != b3::group_size(record_.size, g)) {
        whole = false;
        break;
      }
      tree.add_group(*data);
      compare(tree.take_nodes(), false);
    }
    if (whole && tree.finish() == cid_.hash) {
      compare(tree.take_nodes(), true);
      if (!nodes_match_)
        log_.damaged(cid_.to_text() + ": the tree above its bytes is damaged");
    } else {
      name_groups();
    }
    if (record_.state == object_state::quarantined)
      ++log_.counts["quarantined"];
    check_books();
  }

private:
  /// Holds new nodes of the tree against the stored ones, a page at a time.
  void compare(const std::vector<std::uint8_t>& nodes, bool last) {
    nodes_.insert(nodes_.end(), nodes.begin(), nodes.end());
    while (nodes_.size() >= layout::node_page_bytes || (last && !nodes_.empty())) {
      const auto n = std::min(nodes_.size(), layout::node_page_bytes);
      const auto page = s_.get(layout::outboard, layout::chunk_key(record_.number, page_++));
      nodes_match_ = nodes_match_ && page && std::ranges::equal(*page, std::views::take(nodes_, n));
      nodes_.erase(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(n));
    }
  }

  const std::uint8_t* node(std::uint64_t index) const {
    const auto page = s_.get(layout::outboard, layout::chunk_key(record_.number,
                                                                 index / layout::nodes_per_page));
    const auto offset = index % layout::nodes_per_page * b3::node_bytes;
    return page && page->size() >= offset + b3::node_bytes ? page->data() + offset : nullptr;
  }

  /// The bytes are not the object's: says which of its groups cannot be served.
  void name_groups() {
    std::string named;
    std::uint64_t bad = 0;
    for (std::uint64_t g = 0; g < groups_; ++g) {
      const auto data = s_.get(layout::chunks, layout::chunk_key(record_.number, g));
      if (data && b3::verify_group(cid_.hash, record_.size, g, *data,
                                   [this](std::uint64_t index) { return node(index); }))
        continue;
      if (++bad <= groups_named_max)
        named += (named.empty() ? "" : ", ") + std::to_string(g);
    }
    log_.damaged(cid_.to_text() + ": " + std::to_string(bad) + " of " + std::to_string(groups_)
                 + " groups are damaged: " + named + (bad > groups_named_max ? ", ..." : ""));
  }

  void check_books() {
    std::uint64_t holders = 0;
    auto at = s_.scan(layout::holders);
    for (bool there = at.seek(cid_.view());
         there && core::store::starts_with(at.key(), cid_.view()); there = at.next())
      ++holders;
    if (holders != record_.holders)
      log_.damaged(cid_.to_text() + ": " + std::to_string(holders) + " holders, the record says "
                   + std::to_string(record_.holders));
    const bool listed = s_.get(layout::pins, cid_.view()).has_value();
    if (listed != (record_.pins > 0))
      log_.damaged(cid_.to_text() + ": the table of pins and the record disagree");
  }

  const snapshot& s_;
  const core::cid cid_;
  const layout::record record_;
  check_log& log_;
  const std::uint64_t groups_;
  std::vector<std::uint8_t> nodes_;
  std::uint64_t page_ = 0;
  bool nodes_match_ = true;
};

/// Numbers of chunks that neither a record nor an upload owns.
void check_owners(const snapshot& s, std::vector<std::uint64_t> owned, check_log& log) {
  check_table(s, layout::loose, "unfinished upload", log, [&](byte_view key, byte_view) {
    owned.push_back(core::store::load<std::uint64_t>(key));
  });
  std::ranges::sort(owned);
  for (auto t : {layout::chunks, layout::outboard}) {
    auto at = s.scan(t);
    std::uint64_t number = 0;
    for (bool there = at.first(); there;
         there = at.seek(core::store::key::of(number + 1))) { // the next number's first group
      const auto found = core::store::load<std::uint64_t>(at.key());
      if (found < number)
        break; // a damaged tree may lead in a circle
      number = found;
      if (!std::ranges::binary_search(owned, number))
        log.damaged("bytes under number " + std::to_string(number) + " belong to no object");
    }
    if (auto ok = at.status(); !ok)
      log.damaged("the table of groups cannot be read: " + ok.error().message);
  }
}

void check_side_tables(const snapshot& s, check_log& log) {
  auto known = [&](byte_view key, const char* what) {
    const auto cid = cid_of(key);
    if (!s.get(layout::objects, cid.view()))
      log.damaged(cid.to_text() + ": " + what + " of an object that is not there");
  };
  check_table(s, layout::holders, "holder", log,
              [&](byte_view key, byte_view) { known(key, "a holder"); });
  check_table(s, layout::pins, "pin", log, [&](byte_view key, byte_view) { known(key, "a pin"); });
}

void check_total(const snapshot& s, std::string_view name, std::uint64_t counted, check_log& log) {
  const auto v = s.get(layout::totals, {reinterpret_cast<const std::uint8_t*>(name.data()),
                                        name.size()});
  const auto stored = v ? core::store::load<std::uint64_t>(*v) : 0;
  if (stored != counted)
    log.damaged("the total of " + std::string{name} + " is " + std::to_string(stored) + ", counted "
                + std::to_string(counted));
}

} // namespace

core::result<void> verify_store(const std::string& path, check_log& log) {
  auto s = snapshot::open(path, layout::table_names(), layout::format);
  if (!s)
    return std::unexpected{s.error()};
  log.counts = {{"objects", 0}, {"groups", 0}, {"bytes", 0}, {"quarantined", 0}};
  std::vector<std::uint64_t> owned;
  std::uint64_t cost = 0;
  bool readable = true;
  check_table(*s, layout::objects, "object", log, [&](byte_view key, byte_view value) {
    ++log.counts["objects"];
    const auto cid = cid_of(key);
    const auto r = layout::decode(cid, value);
    if (!r) {
      readable = false; // its number and size are not known
      return log.damaged(cid.to_text() + ": the record is damaged");
    }
    log.counts["bytes"] += r->size;
    cost += cost_of(r->size);
    owned.push_back(r->number);
    object_check{*s, cid, *r, log}.run();
  });
  check_side_tables(*s, log);
  check_total(*s, "objects", log.counts["objects"], log);
  if (readable) {
    check_total(*s, "bytes", cost, log);
    check_owners(*s, std::move(owned), log);
  }
  return {};
}

} // namespace ron::storage
