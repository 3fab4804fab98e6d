#include "index/manifest.hpp"

#include "core/json.hpp"
#include "core/object_reader.hpp"

#include <limits>

namespace ron::index {

using core::ec;
using core::fail;

namespace {

constexpr std::uint64_t integer_max = std::numeric_limits<std::int64_t>::max();

bool is_token(char c) {
  constexpr std::string_view others = "!#$&-^_.+";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
         || others.find(c) != others.npos;
}

// A media type of RFC 6838 with optional parameters of visible ASCII: it becomes a header line.
bool is_media_type(std::string_view text) {
  auto slash = text.find('/');
  if (slash == 0 || slash == text.npos)
    return false;
  auto semicolon = text.find(';');
  auto essence = text.substr(0, semicolon);
  if (slash + 1 >= essence.size())
    return false;
  for (std::size_t i = 0; i < essence.size(); ++i)
    if (i != slash && !is_token(essence[i]))
      return false;
  for (char c : text.substr(essence.size()))
    if (c < 0x20 || c > 0x7e)
      return false;
  return true;
}

} // namespace

core::result<std::string> check_manifest(const core::json& manifest, const core::cid& about) {
  core::object_reader in{manifest, "manifest"};
  in.uint("version", 1, 1);
  if (auto c = in.optional_cid("cid"); c && *c != about)
    in.refuse("cid", "is not the object that the manifest is stored for");
  in.uint("size", 0, integer_max);
  if (auto type = in.text("content_type", {.min_bytes = 3, .max_bytes = 255});
      in.good() && !is_media_type(type))
    in.refuse("content_type", "is no media type, e.g. image/png");
  in.optional_array("chunks", manifest_limits::chunks_max);
  in.optional_text("title", {.min_bytes = 0, .max_bytes = manifest_limits::title_bytes_max});
  in.optional_texts("tags", manifest_limits::tags_max, {.min_bytes = 1, .max_bytes = 64});
  in.uint("created_at_ms", 0, integer_max);
  if (auto ok = in.finish(); !ok)
    return std::unexpected{ok.error()};
  auto copy = manifest;
  copy["cid"] = about.to_text();
  auto text = core::dump_json(copy);
  if (text.size() > manifest_limits::bytes_max)
    return fail(ec::body_cap, "manifest: longer than 65536 bytes");
  return text;
}

} // namespace ron::index
