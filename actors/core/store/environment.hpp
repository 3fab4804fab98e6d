#pragma once

#include "core/error.hpp"
#include "core/store/files.hpp"
#include "core/store/residency.hpp"
#include "core/store/transaction.hpp"
#include "core/store/warm_pages.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

struct MDB_env;

namespace ron::core::store {

/// How an environment is opened.
struct environment_options {
  std::string path;                  ///< folder; made (0700) when missing, its parent exists
  std::uint64_t map_bytes = 0;       ///< cap of the file; address space, reserved for good
  std::uint32_t readers_max = 16;    ///< views at once: shards + 16
  std::vector<std::string> tables;   ///< made when missing; `table` is the place in this list
  std::uint32_t format = 1;          ///< what this program writes
  std::uint32_t min_reader = 1;      ///< oldest program format that can read what it writes
  /// Turns data of an older format into ours, in one transaction; a copy of the old data and of
  /// the log in front of it lies in `<path>/before-<format>` by then. Without it an older format is
  /// refused.
  std::function<result<void>(transaction&, std::uint32_t old_format)> migrate;
  /// False: what is not in memory is read alone. The kernel reads up to megabytes around it
  /// otherwise (`read_ahead_kb` of the device), which others wait for, and which pushes out what
  /// they need once the file is larger than memory. Who knows what comes next has
  /// `read_view::read_ahead`.
  bool read_around = true;
};

/// Why an environment could not be opened.
enum class open_failure : std::uint8_t {
  too_new, ///< written by a newer program that ours cannot read: exit 78
  in_use,  ///< another process has it: exit 69
  failed,  ///< anything else: exit 70
};

struct open_error {
  open_failure kind = open_failure::failed;
  std::string message;
};

/// What an environment holds. `used` counts pages in use, free pages inside the file not; those are
/// as of `environment::count_free_pages`.
struct environment_usage {
  std::uint64_t map_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint64_t file_bytes = 0;  ///< up to the last page ever used
  std::uint32_t readers = 0;     ///< reader slots taken
  std::uint32_t readers_max = 0;
};

/// An LMDB environment in a folder of its own: opened once per process, locked against other
/// processes, map size fixed, no writable map. Views may be taken on any thread; writes go through
/// the one `writer`.
class environment {
public:
  /// Share of the map that new data may fill, in percent; the rest is for deletes.
  static constexpr std::uint64_t data_percent_max = 95;
  /// What is left for deletes however small the map is: they copy the pages that they change.
  static constexpr std::uint64_t spare_bytes_min = 128u << 10;

  static std::expected<std::unique_ptr<environment>, open_error> open(environment_options options);
  ~environment();
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;

  /// A view of the last commit. Never waits: while the environment is being reopened, with all
  /// reader slots taken, or with a disk between it and the commit, the error is busy; degraded if
  /// it could not be reopened. About 0.1 us.
  result<read_view> read();
  /// The same, but waits for the disk and a reopening to end. Not on a shard.
  result<read_view> wait_and_read();

  /// A few loads, nothing from the disk. Any thread; busy as `read`, but for reader slots.
  result<environment_usage> usage();

  /// No more records of LMDB's list of free pages are counted; of a list with more the rest is
  /// taken to be like these.
  static constexpr std::size_t counted_records_max = 4'096;
  /// Walks over the list of free pages, which may have to come from the disk, for `usage`. Done at
  /// opening; then on the writer's thread. False: it could not begin, and the last count stays.
  bool count_free_pages(std::size_t records_max = counted_records_max) noexcept;

  /// Bytes that may be written before new data is refused; 0 if that cannot be told now. Walks the
  /// whole list of free pages when there is less than `plenty`. A batch must keep to it by itself:
  /// what it has written shows only after its commit. Not on
  /// a shard.
  std::uint64_t room_for_data(std::size_t plenty);

  /// Frees reader slots of processes that died; done at open, too. Returns how many. Any thread.
  int clear_stale_readers();

  const std::string& path() const noexcept { return options_.path; }
  /// What the store knows about itself; keys "format" and "min_reader" are the environment's own.
  table meta() const noexcept { return table{static_cast<std::uint16_t>(options_.tables.size())}; }

private:
  static constexpr std::uint32_t counting_readers = 1; ///< the writer
  static constexpr std::uint32_t guest_readers = 4; ///< other processes: backup, verification

  friend class read_view;
  friend class writer;

  explicit environment(environment_options options);

  std::expected<void, open_error> lock_folder();
  std::expected<void, open_error> open_env();
  std::expected<void, open_error> check_format();
  std::expected<void, open_error> write_format(transaction& t);
  std::expected<void, open_error> migrate_from(std::uint32_t old_format);
  void close_env() noexcept;
  /// Throws away what the process knows about the file and opens it again. The writer's thread.
  result<void> reopen();

  std::span<const unsigned> dbis() const noexcept { return dbis_; }
  /// Takes part in `active_`; false while a reopening is under way.
  bool enter() noexcept;
  void leave() noexcept;
  void give_back(MDB_txn* txn) noexcept;
  result<read_view> lease(std::uint32_t leased_max);

  environment_options options_;
  std::optional<file_lock> lock_; ///< on the folder
  MDB_env* env_ = nullptr;
  mapped_file file_; ///< the data that `env_` maps
  warm_pages warm_;  ///< of it
  std::vector<unsigned> dbis_; ///< one per table, `meta` last
  std::atomic<std::uint64_t> free_pages_{0}; ///< as of the last count
  std::atomic<std::uint32_t> active_{0};
  std::atomic<bool> reopening_{false};
  std::mutex idle_mutex_;
  std::vector<MDB_txn*> idle_; ///< reset read transactions with their slots
  std::uint32_t leased_ = 0;   ///< made and not in `idle_`
};

} // namespace ron::core::store
