#include "commands.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "file.hpp"
#include "output.hpp"
#include "workers.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
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

result<sdk::byte_range> parse_range(const std::string& text) {
  const auto dash = text.find('-');
  constexpr auto most = std::uint64_t{1} << 62;
  auto first = parse_number("--range", std::string_view{text}.substr(0, dash), 0, most);
  if (!first)
    return std::unexpected{first.error()};
  sdk::byte_range r{*first, std::nullopt};
  if (dash == text.npos || dash + 1 == text.size())
    return r;
  auto last = parse_number("--range", std::string_view{text}.substr(dash + 1), *first, most);
  if (!last)
    return std::unexpected{last.error()};
  r.last = *last;
  return r;
}

result<core::cid> resolve(sdk::client& client, const std::string& text) {
  if (text.starts_with("b3:")) {
    if (auto cid = core::cid::parse(text))
      return *cid;
    return fail(ec::bad_request, text + " is no id; expected b3:<64 lower-case hex>");
  }
  auto answer = client.call("resolve", {{"key", "name:" + text}});
  if (!answer)
    return std::unexpected{answer.error()};
  auto cid = core::cid::parse(answer->value("cid", std::string{}));
  if (!cid)
    return fail(ec::downstream_5xx, "the node's answer names no object");
  return *cid;
}

/// Something to write to that is no file: a pipe, a terminal, /dev/null.
bool is_special(const std::string& path) {
  std::error_code e;
  const auto status = fs::status(path, e);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

/// Fetches into `path` by way of a file beside it, so that a broken download leaves the old one.
/// What is no file is written to as it is: replacing /dev/null would be a surprise.
result<sdk::object_info> fetch(sdk::client& client, const core::cid& cid,
                               const std::optional<sdk::byte_range>& range,
                               const std::string& path) {
  const bool in_place = path == "-" || is_special(path);
  const auto partial = in_place ? path : path + ".part-" + std::to_string(::getpid());
  auto out = path == "-" ? result<file>{file::standard_output()}
                         : file::open(partial, in_place ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL);
  if (!out)
    return std::unexpected{out.error()};
  auto info = client.get(cid, range, [&](const bytes& b) { return out->write(b.view()); });
  if (in_place)
    return info;
  if (info && ::rename(partial.c_str(), path.c_str()) != 0)
    info = fail(ec::disk_full, path + ": " + std::strerror(errno));
  if (!info)
    ::unlink(partial.c_str());
  return info;
}

// -- a whole tree ------------------------------------------------------------------

/// A name to fetch, and what became of it.
struct download {
  std::string name;
  core::cid cid;
  std::string path;
  std::optional<core::error> error;
};

/// Where below `folder` the name `name` of the tree `prefix` belongs. A node that lies about its
/// names must not be able to write elsewhere.
result<std::string> path_below(const std::string& folder, const std::string& prefix,
                               const std::string& name) {
  const auto rest = fs::path{name.substr(std::min(prefix.size(), name.size()))};
  for (const auto& part : rest)
    if (part == ".." || part == "." || part.is_absolute())
      return fail(ec::bad_request, "the node names a file outside of the folder: " + name);
  return (fs::path{folder} / rest.relative_path()).string();
}

result<std::vector<download>> list_tree(sdk::client& client, const std::string& prefix,
                                        const std::string& folder) {
  std::vector<download> out;
  json args{{"prefix", prefix}, {"limit", 100}};
  while (true) {
    auto page = client.call("name.list", args);
    if (!page)
      return std::unexpected{page.error()};
    for (const auto& item : page->value("items", json::array())) {
      auto cid = core::cid::parse(item.value("cid", std::string{}));
      const auto name = item.value("name", std::string{});
      auto path = path_below(folder, prefix, name);
      if (!cid || !path)
        return std::unexpected{path ? core::error{ec::downstream_5xx, "a name without an id"}
                                    : path.error()};
      out.push_back({name, *cid, std::move(*path), std::nullopt});
    }
    const auto next = page->find("next_cursor");
    if (next == page->end() || !next->is_string())
      return out;
    args["cursor"] = *next;
  }
}

exit_code get_tree(const target& t, std::string prefix, const std::string& folder) {
  if (!prefix.ends_with('/'))
    prefix += '/';
  const auto doing = "get --tree " + prefix;
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  auto all = list_tree(*client, prefix, folder);
  if (!all)
    return report(doing, all.error());
  if (all->empty())
    return report(doing, {ec::not_found, "no name begins with " + prefix});
  {
    progress bar{all->size(), 0};
    constexpr std::size_t connections = 4;
    workers<download>{t, *all}.run(connections, [&](sdk::client& c, download& d) -> result<void> {
      std::error_code e;
      fs::create_directories(fs::path{d.path}.parent_path(), e);
      auto info = fetch(c, d.cid, std::nullopt, d.path);
      if (!info)
        return std::unexpected{info.error()};
      bar.add_bytes(info->size);
      bar.add_file();
      return {};
    });
  }
  auto worst = exit_ok;
  for (const auto& d : *all)
    if (d.error)
      worst = std::max(worst, report("get " + d.name, *d.error));
  return worst;
}

} // namespace

exit_code run_get(const arguments& args, const target& t, format) {
  const auto& what = args.positional[0];
  const auto doing = "get " + what;
  if (args.has("--tree"))
    return get_tree(t, what, args.get("-o", "."));
  std::optional<sdk::byte_range> range;
  if (args.has("--range")) {
    auto r = parse_range(args.get("--range"));
    if (!r)
      return report(doing, r.error());
    range = *r;
  }
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  auto cid = resolve(*client, what);
  if (!cid)
    return report(doing, cid.error());
  auto path = args.get("-o");
  if (path.empty())
    path = what.starts_with("b3:") ? what.substr(3, 16) : fs::path{what}.filename().string();
  const auto start = std::chrono::steady_clock::now();
  auto info = fetch(*client, *cid, range, path);
  if (!info)
    return report(doing, info.error());
  std::fprintf(stderr, "%s  %s of %s in %s%s\n", cid->to_text().c_str(),
               range ? "a range" : "all", human_bytes(info->size).c_str(),
               human_time(std::chrono::steady_clock::now() - start).c_str(),
               path == "-" ? "" : (", written to " + path).c_str());
  return exit_ok;
}

} // namespace ron::cli
