#include "stores/backup.hpp"

#include "core/store/files.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <sys/stat.h>

namespace ron::stores {

namespace {

namespace fs = std::filesystem;
using core::ec;
using core::fail;
using core::result;

result<void> make_empty(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(ec::degraded, "cannot make " + path + ": " + std::strerror(errno));
  std::error_code error;
  const bool empty = fs::is_empty(path, error);
  if (error)
    return fail(ec::degraded, "cannot look into " + path + ": " + error.message());
  if (!empty)
    return fail(ec::conflict, path + " is not empty: a backup needs a folder of its own");
  return {};
}

/// Copies that are not complete; they go unless they get their names.
class partial_copies {
public:
  explicit partial_copies(std::string to) : to_(std::move(to)) {}
  partial_copies(const partial_copies&) = delete;
  partial_copies& operator=(const partial_copies&) = delete;
  ~partial_copies() {
    std::error_code ignored;
    for (auto k : kinds_)
      fs::remove_all(name(k), ignored);
  }

  std::string add(kind k) {
    kinds_.push_back(k);
    return name(k);
  }
  result<void> keep() {
    std::error_code error;
    for (auto k : kinds_) {
      fs::rename(name(k), to_ + "/" + to_string(k), error);
      if (error)
        return fail(ec::degraded, "cannot rename " + name(k) + ": " + error.message());
    }
    kinds_.clear();
    if (auto code = core::store::sync_path(to_); code != 0)
      return fail(ec::degraded, "cannot sync " + to_ + ": " + std::strerror(code));
    return {};
  }

private:
  std::string name(kind k) const { return to_ + "/" + to_string(k) + ".partial"; }

  std::string to_;
  std::vector<kind> kinds_;
};

} // namespace

result<std::vector<copied>> backup(const std::vector<place>& from, const std::string& to,
                                   const backup_progress& tell) {
  if (auto ok = make_empty(to); !ok)
    return std::unexpected{ok.error()};
  partial_copies partial{to};
  std::vector<copied> out;
  for (const auto& p : from) {
    core::store::copy_progress told;
    if (tell)
      told = [&](std::uint64_t written, std::uint64_t about) { tell(p, written, about); };
    auto bytes = core::store::copy_environment(p.path, partial.add(p.is), told);
    if (!bytes)
      return std::unexpected{bytes.error()};
    out.push_back({p.is, to + "/" + to_string(p.is), *bytes});
  }
  if (auto ok = partial.keep(); !ok)
    return std::unexpected{ok.error()};
  return out;
}

} // namespace ron::stores
