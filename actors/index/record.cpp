#include "index/record.hpp"

namespace ron::index {

core::result<void> precondition::check(const std::optional<std::uint64_t>& current) const {
  using core::ec;
  switch (is) {
    case kind::none:
      return {};
    case kind::absent:
      if (current)
        return core::fail(ec::precondition_failed,
                          "the name exists (version " + std::to_string(*current) + ")");
      return {};
    case kind::version:
      break;
  }
  if (!current)
    return core::fail(ec::precondition_failed, "If-Match on a name that does not exist");
  if (*current != version)
    return core::fail(ec::precondition_failed, "the name is at version " + std::to_string(*current)
                                                 + ", not " + std::to_string(version));
  return {};
}

} // namespace ron::index
