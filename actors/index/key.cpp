#include "index/key.hpp"

#include "index/name.hpp"

namespace ron::index {

core::result<resolve_key> parse_key(std::string_view text) {
  resolve_key key;
  if (text.starts_with("b3:")) {
    auto cid = core::cid::parse(text);
    if (!cid)
      return core::fail(core::ec::bad_request, "key: expected b3:<64 lower-case hex>");
    key.cid = *cid;
    return key;
  }
  if (text.starts_with("name:"))
    text.remove_prefix(5);
  auto checked = name::parse(text);
  if (!checked)
    return std::unexpected{checked.error()};
  key.name = checked->text();
  return key;
}

} // namespace ron::index
