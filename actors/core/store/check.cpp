#include "core/store/check.hpp"

#include <algorithm>
#include <vector>

namespace ron::core::store {

void check_table(const snapshot& s, table t, const std::string& what, check_log& log,
                 const std::function<void(byte_view key, byte_view value)>& entry) {
  std::vector<std::uint8_t> last;
  std::uint64_t n = 0;
  auto at = s.scan(t);
  for (bool there = at.first(); there; there = at.next(), ++n) {
    const auto k = at.key();
    if (n > 0 && !std::ranges::lexicographical_compare(last, k)) {
      log.damaged(what + " " + std::to_string(n) + " is out of order: the table is damaged");
      return; // a damaged tree may lead in a circle
    }
    last.assign(k.begin(), k.end());
    const auto found = s.get(t, k);
    if (!found || found->data() != at.value().data())
      log.damaged(what + " " + std::to_string(n)
                  + " is not found by its key: the table is damaged");
    entry(k, at.value());
  }
  if (auto ok = at.status(); !ok)
    log.damaged("the table of " + what + "s cannot be read after " + std::to_string(n)
                + " entries: " + ok.error().message);
}

} // namespace ron::core::store
