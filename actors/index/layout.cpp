#include "index/layout.hpp"

#include <cstring>

namespace ron::index::layout {

std::vector<std::string> table_names() {
  return {"names", "manifests", "counters", "named"};
}

lmdb::key encode(const name_record& r) {
  lmdb::key out;
  out.add(r.cid.view()).add(r.version).add(static_cast<std::uint64_t>(r.updated_ms)).add(r.ttl_s);
  return out;
}

core::result<name_record> decode(std::string_view name, core::byte_view v) {
  if (v.size() != record_bytes)
    return core::fail(core::ec::internal, "index: a record of a wrong size");
  name_record r;
  r.name = name;
  std::memcpy(r.cid.hash.data(), v.data(), r.cid.hash.size());
  r.version = lmdb::load<std::uint64_t>(v, 32);
  r.updated_ms = static_cast<std::int64_t>(lmdb::load<std::uint64_t>(v, 40));
  r.ttl_s = lmdb::load<std::uint32_t>(v, 48);
  return r;
}

} // namespace ron::index::layout
