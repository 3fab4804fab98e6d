#include "commands.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

namespace ron::cli {

namespace fs = std::filesystem;
using core::bytes;
using core::ec;
using core::fail;
using core::json;
using core::result;

namespace {

constexpr std::size_t read_bytes = 256 * 1024;

class file {
public:
  static result<file> open(const std::string& path, int flags) {
    file f{::open(path.c_str(), flags | O_CLOEXEC, 0644)};
    if (f.fd_ < 0)
      return fail(ec::bad_request, path + ": " + std::strerror(errno));
    return f;
  }
  file(file&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  file& operator=(file&&) = delete;
  ~file() {
    if (fd_ > STDERR_FILENO)
      ::close(fd_);
  }
  static file standard_output() { return file{STDOUT_FILENO}; }

  /// The next bytes, empty at the end.
  result<bytes> read() {
    core::slab s{read_bytes};
    const auto n = ::read(fd_, s.room().data(), s.room().size());
    if (n < 0)
      return fail(ec::bad_request, std::string{"reading: "} + std::strerror(errno));
    s.commit(static_cast<std::size_t>(n));
    return s.cut(0, static_cast<std::size_t>(n));
  }

  result<void> write(core::byte_view v) {
    while (!v.empty()) {
      const auto n = ::write(fd_, v.data(), v.size());
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail(ec::disk_full, std::string{"writing: "} + std::strerror(errno)
                                     + (errno == ENOSPC ? "; make room and try again" : ""));
      v = v.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

private:
  explicit file(int fd) : fd_(fd) {}
  int fd_;
};

// -- put -------------------------------------------------------------------------

/// A file to store.
struct job {
  std::string path;
  std::string relative; ///< for its name
  std::uint64_t size = 0;
};

/// What became of it.
struct stored {
  job what;
  sdk::object_info object;
  std::optional<core::error> error;
};

result<std::vector<job>> find_files(const std::vector<std::string>& paths) {
  std::vector<job> out;
  for (const auto& p : paths) {
    std::error_code e;
    if (fs::is_directory(p, e)) {
      fs::recursive_directory_iterator i{p, fs::directory_options::skip_permission_denied, e};
      for (const fs::recursive_directory_iterator end; !e && i != end; i.increment(e))
        if (i->is_regular_file(e) && !i->is_symlink(e))
          out.push_back({i->path().string(), fs::relative(i->path(), p, e).generic_string(),
                         i->file_size(e)});
      if (e)
        return fail(ec::bad_request, p + ": " + e.message());
    } else if (fs::exists(p, e)) {
      out.push_back({p, fs::path{p}.filename().string(), fs::file_size(p, e)});
    } else {
      return fail(ec::not_found, p + ": no such file or folder");
    }
  }
  return out;
}

/// Stores files with one connection per worker; the workers share the list.
class uploader {
public:
  uploader(const target& t, std::vector<job> jobs, std::string publish, progress& bar)
    : target_(t), publish_(std::move(publish)), bar_(bar) {
    for (auto& j : jobs)
      results_.push_back({std::move(j), {}, std::nullopt});
  }

  void run(std::size_t workers) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < std::min(workers, results_.size()); ++i)
      threads.emplace_back([this] { work(); });
    for (auto& t : threads)
      t.join();
  }

  const std::vector<stored>& results() const { return results_; }

private:
  stored* next() {
    std::lock_guard guard{mutex_};
    return at_ < results_.size() ? &results_[at_++] : nullptr;
  }

  void work() {
    std::optional<sdk::client> client;
    while (auto* s = next()) {
      if (!client) {
        auto c = connect(target_);
        if (!c) {
          s->error = c.error();
          continue;
        }
        client.emplace(std::move(*c));
      }
      if (auto ok = store(*client, *s); !ok) {
        s->error = ok.error();
        if (exit_code_of(ok.error().code) == exit_unavailable)
          client.reset(); // the connection may be gone; the next file tries a new one
      }
      bar_.add_file();
    }
  }

  result<void> store(sdk::client& client, stored& s) {
    auto in = file::open(s.what.path, O_RDONLY);
    if (!in)
      return std::unexpected{in.error()};
    auto object = client.put([&]() -> result<bytes> {
      auto part = in->read();
      if (part)
        bar_.add_bytes(part->size());
      return part;
    });
    if (!object)
      return std::unexpected{object.error()};
    s.object = *object;
    if (publish_.empty())
      return {};
    auto named = client.call("name.put", {{"name", publish_ + '/' + s.what.relative},
                                          {"cid", object->cid.to_text()}});
    if (!named)
      return std::unexpected{named.error()};
    return {};
  }

  const target& target_;
  const std::string publish_;
  progress& bar_;
  std::mutex mutex_;
  std::size_t at_ = 0;
  std::vector<stored> results_;
};

void print_stored(const std::vector<stored>& all, format how) {
  json items = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& s : all) {
    if (s.error)
      continue;
    const auto cid = s.object.cid.to_text();
    items.push_back({{"path", s.what.path}, {"cid", cid}, {"size", s.object.size},
                     {"existed", s.object.existed}});
    rows.push_back({cid, std::to_string(s.object.size), s.what.path});
  }
  if (how == format::json)
    print_json(items);
  else
    print_table({"ID", "BYTES", "PATH"}, rows);
}

// -- get -------------------------------------------------------------------------

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

/// Fetches into `path` by way of a file beside it, so that a broken download leaves the old one.
result<sdk::object_info> fetch(sdk::client& client, const core::cid& cid,
                               const std::optional<sdk::byte_range>& range,
                               const std::string& path) {
  const bool to_stdout = path == "-";
  const auto partial = path + ".part-" + std::to_string(::getpid());
  auto out = to_stdout ? result<file>{file::standard_output()}
                       : file::open(partial, O_WRONLY | O_CREAT | O_EXCL);
  if (!out)
    return std::unexpected{out.error()};
  auto info = client.get(cid, range, [&](const bytes& b) { return out->write(b.view()); });
  if (to_stdout)
    return info;
  if (info && ::rename(partial.c_str(), path.c_str()) != 0)
    info = fail(ec::disk_full, path + ": " + std::strerror(errno));
  if (!info)
    ::unlink(partial.c_str());
  return info;
}

} // namespace

exit_code run_put(const arguments& args, const target& t, format how) {
  auto workers = parse_number("--jobs", args.get("--jobs", "4"), 1, 16);
  if (!workers)
    return report("put", workers.error());
  auto jobs = find_files(args.positional);
  if (!jobs)
    return report("put", jobs.error());
  std::uint64_t total = 0;
  for (const auto& j : *jobs)
    total += j.size;
  const auto files = jobs->size();
  std::vector<stored> results;
  {
    progress bar{files, total};
    uploader up{t, std::move(*jobs), args.get("--publish"), bar};
    up.run(*workers);
    results = up.results();
  }
  print_stored(results, how);
  auto worst = exit_ok;
  for (const auto& s : results)
    if (s.error)
      worst = std::max(worst, report("put " + s.what.path, *s.error));
  return worst;
}

exit_code run_get(const arguments& args, const target& t, format) {
  const auto& what = args.positional[0];
  const auto doing = "get " + what;
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
