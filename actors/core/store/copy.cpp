#include "core/store/copy.hpp"

#include "core/store/files.hpp"
#include "core/store/lmdb_error.hpp"
#include "core/store/log_files.hpp"
#include "core/store/snapshot.hpp"

#include <lmdb.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ron::core::store {

namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds tell_period{200};

std::unexpected<error> io_fail(const std::string& what, int code) {
  return fail(code == ENOSPC || code == EDQUOT ? ec::disk_full : ec::degraded,
              what + ": " + std::strerror(code));
}

/// Tells how long a file is until it goes: LMDB copies in one call and reports nothing.
class watch {
public:
  watch(int fd, std::uint64_t about, const copy_progress& tell) {
    if (tell)
      thread_ = std::jthread{[this, fd, about, &tell](std::stop_token stop) {
        std::unique_lock lock{mutex_};
        while (!wake_.wait_for(lock, stop, tell_period, [&] { return stop.stop_requested(); })) {
          struct ::stat s {};
          if (::fstat(fd, &s) == 0)
            tell(static_cast<std::uint64_t>(s.st_size), about);
        }
      }};
  }

private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_; ///< last: uses the others
};

/// A file that goes again unless it was kept.
class new_file {
public:
  explicit new_file(std::string path)
    : path_(std::move(path)),
      fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {
    // nop
  }
  new_file(const new_file&) = delete;
  new_file& operator=(const new_file&) = delete;
  ~new_file() {
    if (fd_ < 0)
      return;
    ::close(fd_);
    if (!kept_)
      ::unlink(path_.c_str());
  }
  int fd() const noexcept { return fd_; }
  /// Durable under its final name. 0 or errno.
  int keep(const std::string& name) {
    if (::fsync(fd_) != 0 || ::rename(path_.c_str(), name.c_str()) != 0)
      return errno;
    kept_ = true;
    return sync_path(fs::path{name}.parent_path().string());
  }

private:
  std::string path_;
  int fd_;
  bool kept_ = false;
};

/// Writes the last commit of an environment to a file. Returns the file's bytes.
result<std::uint64_t> copy_data(const std::string& from, const std::string& file,
                                const copy_progress& tell) {
  auto home = guest::open(from, 0);
  if (!home)
    return std::unexpected{home.error()};
  new_file out{file + ".partial"};
  if (out.fd() < 0)
    return io_fail("cannot make " + file + ".partial", errno);
  int rc = 0;
  {
    watch progress{out.fd(), home->used_bytes(), tell};
    rc = ::mdb_env_copyfd2(home->env(), out.fd(), MDB_CP_COMPACT);
  }
  if (rc != 0)
    return lmdb_fail(rc, "copy " + from);
  struct ::stat s {};
  if (::fstat(out.fd(), &s) != 0)
    return io_fail("cannot look at " + file, errno);
  if (auto code = out.keep(file); code != 0)
    return io_fail("cannot keep " + file, code);
  const auto bytes = static_cast<std::uint64_t>(s.st_size);
  if (tell)
    tell(bytes, bytes);
  return bytes;
}

result<void> make_empty_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return io_fail("cannot make " + path, errno);
  std::error_code error;
  const bool empty = fs::is_empty(path, error);
  if (error)
    return fail(ec::degraded, "cannot look into " + path + ": " + error.message());
  if (!empty)
    return fail(ec::conflict, path + " is not empty; nothing in it was touched");
  return {};
}

/// An exclusive lock, or who has it.
result<file_lock> lock_alone(const std::string& path, const char* name, const char* who) {
  auto lock = file_lock::take(path + "/" + name, file_lock::mode::exclusive);
  if (lock)
    return std::move(*lock);
  if (lock.error() == EWOULDBLOCK)
    return fail(ec::busy, path + " is open in " + who);
  return io_fail("cannot lock " + path, lock.error());
}

} // namespace

result<std::uint64_t> copy_log(const std::string& from, const std::string& to) {
  const auto files = read_log(from);
  if (!files)
    return std::unexpected{files.error()};
  std::uint64_t bytes = 0;
  for (const auto& [slot, image] : *files) {
    const auto name = log_file_name(to, slot);
    new_file out{name + ".partial"};
    if (out.fd() < 0)
      return io_fail("cannot make " + name + ".partial", errno);
    for (std::size_t done = 0; done < image.size();) {
      const auto n = ::write(out.fd(), image.data() + done, image.size() - done);
      if (n < 0 && errno != EINTR)
        return io_fail("cannot write " + name, errno);
      done += n > 0 ? static_cast<std::size_t>(n) : 0;
    }
    if (auto code = out.keep(name); code != 0)
      return io_fail("cannot keep " + name, code);
    bytes += image.size();
  }
  return bytes;
}

result<std::uint64_t> copy_environment(const std::string& from, const std::string& to,
                                       const copy_progress& tell) {
  if (::access((from + "/data.mdb").c_str(), F_OK) != 0)
    return fail(ec::not_found, "no store in " + from);
  if (auto ok = make_empty_folder(to); !ok)
    return std::unexpected{ok.error()};
  const auto log = copy_log(from, to);
  auto data = log ? copy_data(from, to + "/data.mdb", tell) : log;
  if (data)
    return *data + *log;
  for (std::size_t slot = 0; slot < log_files_in(to); ++slot)
    ::unlink(log_file_name(to, slot).c_str());
  return data;
}

result<compacted> compact_environment(const std::string& path, const copy_progress& tell) {
  const auto data = path + "/data.mdb";
  struct ::stat before {};
  if (::stat(data.c_str(), &before) != 0)
    return fail(ec::not_found, "no store in " + path);
  auto owner = lock_alone(path, owner_lock_name, "a node that runs; stop it first");
  if (!owner)
    return std::unexpected{owner.error()};
  const auto fresh = path + "/data.compact";
  auto bytes = copy_data(path, fresh, tell);
  if (!bytes)
    return std::unexpected{bytes.error()};
  // From here on nobody may hold the lock file: it speaks of transactions of the old data.
  auto alone = lock_alone(path, guest_lock_name, "a backup or a verification; wait for its end");
  if (!alone) {
    ::unlink(fresh.c_str());
    return std::unexpected{alone.error()};
  }
  ::unlink((path + "/lock.mdb").c_str());
  if (::rename(fresh.c_str(), data.c_str()) != 0)
    return io_fail("cannot put " + fresh + " in place", errno);
  if (auto code = sync_path(path); code != 0)
    return io_fail("cannot sync " + path, code);
  return compacted{static_cast<std::uint64_t>(before.st_size), *bytes};
}

} // namespace ron::core::store
