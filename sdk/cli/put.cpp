#include "commands.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "file.hpp"
#include "output.hpp"
#include "workers.hpp"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <optional>

namespace ron::cli {

namespace fs = std::filesystem;
using core::bytes;
using core::ec;
using core::fail;
using core::json;
using core::result;

namespace {

/// A file to store, and what became of it.
struct upload {
  std::string path;
  std::string relative; ///< for its name
  std::uint64_t size = 0;
  sdk::object_info object;
  std::optional<core::error> error;
};

result<std::vector<upload>> find_files(const std::vector<std::string>& paths) {
  std::vector<upload> out;
  for (const auto& p : paths) {
    std::error_code e;
    if (fs::is_directory(p, e)) {
      fs::recursive_directory_iterator i{p, fs::directory_options::skip_permission_denied, e};
      for (const fs::recursive_directory_iterator end; !e && i != end; i.increment(e))
        if (i->is_regular_file(e) && !i->is_symlink(e))
          out.push_back({i->path().string(), fs::relative(i->path(), p, e).generic_string(),
                         i->file_size(e), {}, {}});
      if (e)
        return fail(ec::bad_request, p + ": " + e.message());
    } else if (fs::exists(p, e)) {
      out.push_back({p, fs::path{p}.filename().string(), fs::file_size(p, e), {}, {}});
    } else {
      return fail(ec::not_found, p + ": no such file or folder");
    }
  }
  return out;
}

result<void> store(sdk::client& client, upload& u, const std::string& publish, progress& bar) {
  auto in = file::open(u.path, O_RDONLY);
  if (!in)
    return std::unexpected{in.error()};
  auto object = client.put([&]() -> result<bytes> {
    auto part = in->read();
    if (part)
      bar.add_bytes(part->size());
    return part;
  });
  if (!object)
    return std::unexpected{object.error()};
  u.object = *object;
  if (publish.empty())
    return {};
  auto named = client.call("name.put", {{"name", publish + '/' + u.relative},
                                        {"cid", object->cid.to_text()}});
  if (!named)
    return std::unexpected{named.error()};
  return {};
}

void print_stored(const std::vector<upload>& all, format how) {
  json items = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& s : all) {
    if (s.error)
      continue;
    const auto cid = s.object.cid.to_text();
    items.push_back({{"path", s.path}, {"cid", cid}, {"size", s.object.size},
                     {"existed", s.object.existed}});
    rows.push_back({cid, std::to_string(s.object.size), s.path});
  }
  if (how == format::json)
    print_json(items);
  else
    print_table({"ID", "BYTES", "PATH"}, rows);
}

} // namespace

exit_code run_put(const arguments& args, const target& t, format how) {
  auto count = parse_number("--jobs", args.get("--jobs", "4"), 1, 16);
  if (!count)
    return report("put", count.error());
  auto uploads = find_files(args.positional);
  if (!uploads)
    return report("put", uploads.error());
  std::uint64_t total = 0;
  for (const auto& u : *uploads)
    total += u.size;
  {
    progress bar{uploads->size(), total};
    workers<upload>{t, *uploads}.run(*count, [&](sdk::client& client, upload& u) {
      auto ok = store(client, u, args.get("--publish"), bar);
      bar.add_file();
      return ok;
    });
  }
  print_stored(*uploads, how);
  auto worst = exit_ok;
  for (const auto& u : *uploads)
    if (u.error)
      worst = std::max(worst, report("put " + u.path, *u.error));
  return worst;
}

} // namespace ron::cli
