#include "core/store/lookup_path.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <optional>

namespace ron::core::store {

namespace {

static_assert(std::endian::native == std::endian::little, "nodes are laid out otherwise");

// A page: number 8, pad 2, flags 2, end of the offsets 2, end of the room 2, offsets 2 each.
constexpr std::size_t flags_at = 10;
constexpr std::size_t lower_at = 12;
constexpr std::size_t offsets_at = 16;
constexpr std::uint16_t branch_page = 0x01;
constexpr std::uint16_t leaf_page = 0x02;
constexpr std::uint16_t compact_leaf_page = 0x20; // of tables that we do not have

// A node: size of the data or, with the flags, number of the child 4, flags 2, size of the key 2.
constexpr std::size_t node_header = 8;
constexpr std::uint16_t holds_table = 0x02;

// A table: pad 4, flags 2, depth 2, three counts of pages, entries, root.
constexpr std::size_t table_bytes = 48;
constexpr std::size_t root_at = 40;
constexpr auto no_root = ~std::uint64_t{0};

// The meta page: magic 4, version 4, address 8, size 8, table of free pages, of tables, last page,
// transaction.
constexpr std::size_t meta_at = 16;
constexpr std::uint32_t meta_magic = 0xbeef'c0de;
constexpr std::uint32_t data_version = 1;
constexpr std::size_t tables_root_at = meta_at + 24 + table_bytes + root_at;
constexpr std::size_t txn_at = meta_at + 24 + 2 * table_bytes + 8;

/// Deeper than any tree: one that leads in a circle ends here.
constexpr int depth_max = 32;

template <class T>
T number(const std::uint8_t* at) noexcept {
  T out;
  std::memcpy(&out, at, sizeof out);
  return out;
}

/// A node that lies within its page.
struct node {
  byte_view key;
  const std::uint8_t* header;

  /// Of a branch.
  std::uint64_t child() const noexcept {
    return number<std::uint32_t>(header)
           | static_cast<std::uint64_t>(number<std::uint16_t>(header + 4)) << 32;
  }
};

class page {
public:
  static std::optional<page> at(page_source& from, std::uint64_t which) noexcept {
    const auto* begin = from.at(which);
    if (begin == nullptr)
      return std::nullopt;
    page p{begin, from.page_bytes()};
    const auto lower = number<std::uint16_t>(begin + lower_at);
    const auto kind = p.flags() & (branch_page | leaf_page | compact_leaf_page);
    if ((kind != branch_page && kind != leaf_page) || lower < offsets_at || lower > p.bytes_
        || number<std::uint64_t>(begin) != which)
      return std::nullopt;
    p.count_ = (lower - offsets_at) / 2;
    return p;
  }

  bool is_leaf() const noexcept { return (flags() & leaf_page) != 0; }
  std::size_t count() const noexcept { return count_; }

  /// `i` < `count()`. Nothing if it does not lie within the page.
  std::optional<node> operator[](std::size_t i) const noexcept {
    const auto offset = number<std::uint16_t>(begin_ + offsets_at + 2 * i);
    if (offset < offsets_at || offset + node_header > bytes_)
      return std::nullopt;
    const auto* header = begin_ + offset;
    const auto key_bytes = number<std::uint16_t>(header + 6);
    if (offset + node_header + key_bytes > bytes_)
      return std::nullopt;
    return node{{header + node_header, key_bytes}, header};
  }

  /// The root of the table that a node of the tree of tables describes.
  std::optional<std::uint64_t> root_in(const node& n) const noexcept {
    const auto* data = n.key.data() + n.key.size();
    if (number<std::uint16_t>(n.header + 4) != holds_table
        || number<std::uint32_t>(n.header) != table_bytes
        || static_cast<std::size_t>(data - begin_) + table_bytes > bytes_)
      return std::nullopt;
    return number<std::uint64_t>(data + root_at);
  }

private:
  page(const std::uint8_t* begin, std::size_t bytes) noexcept : begin_(begin), bytes_(bytes) {}
  std::uint16_t flags() const noexcept { return number<std::uint16_t>(begin_ + flags_at); }

  const std::uint8_t* begin_;
  std::size_t bytes_;
  std::size_t count_ = 0;
};

/// The first entry from `first` on whose key is not before `k`. Nothing for a damaged page.
std::optional<std::size_t> lower_bound(const page& p, std::size_t first, byte_view k) noexcept {
  auto last = p.count();
  while (first < last) {
    const auto middle = first + (last - first) / 2;
    const auto n = p[middle];
    if (!n)
      return std::nullopt;
    if (std::ranges::lexicographical_compare(n->key, k))
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

/// Where a walk has ended: an entry of a leaf, the place behind the last one included.
struct place {
  page leaf;
  std::size_t entry;
};

std::optional<place> descend(page_source& pages, std::uint64_t root, byte_view k) noexcept {
  for (int depth = 0; depth < depth_max; ++depth) {
    const auto p = page::at(pages, root);
    if (!p || p->count() == 0)
      return std::nullopt;
    // The first key of a branch is not stored: all that is before the second one is below it.
    const auto i = lower_bound(*p, p->is_leaf() ? 0 : 1, k);
    if (!i)
      return std::nullopt;
    if (p->is_leaf())
      return place{*p, *i};
    auto n = *i < p->count() ? (*p)[*i] : std::nullopt;
    if (!n || !std::ranges::equal(n->key, k))
      n = (*p)[*i - 1];
    if (!n)
      return std::nullopt;
    root = n->child();
  }
  return std::nullopt;
}

/// The root of the tree of tables as `txn` sees it.
std::optional<std::uint64_t> tables_of(page_source& pages, std::uint64_t txn) noexcept {
  const auto* meta = pages.at(txn & 1);
  // By the second commit after it, another transaction has written over what it began with.
  if (meta == nullptr || pages.page_bytes() < txn_at + 8
      || number<std::uint32_t>(meta + meta_at) != meta_magic
      || number<std::uint32_t>(meta + meta_at + 4) != data_version
      || number<std::uint64_t>(meta + txn_at) != txn)
    return std::nullopt;
  return number<std::uint64_t>(meta + tables_root_at);
}

} // namespace

bool path_in_memory(page_source& pages, std::uint64_t txn, std::string_view table, byte_view k,
                    lookup how) noexcept {
  const byte_view name{reinterpret_cast<const std::uint8_t*>(table.data()), table.size()};
  const auto tables = tables_of(pages, txn);
  if (!tables)
    return false;
  const auto of_table = descend(pages, *tables, name);
  if (!of_table || of_table->entry == of_table->leaf.count())
    return false;
  const auto n = of_table->leaf[of_table->entry];
  if (!n || !std::ranges::equal(n->key, name))
    return false;
  const auto root = of_table->leaf.root_in(*n);
  if (!root)
    return false;
  if (*root == no_root)
    return true; // an empty table
  const auto found = descend(pages, *root, k);
  return found && (how == lookup::exact || found->entry < found->leaf.count());
}

} // namespace ron::core::store
