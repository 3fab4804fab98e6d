#pragma once

namespace ron::core::store {

/// Where faults are put in, for tests and the fault points `store.write.every` and
/// `store.sync.every`. Each function returns 0 or the errno that the system call would have given.
/// Called on the thread of the writer, or of the log in front of it, or on both at once.
class faults {
public:
  virtual ~faults() = default;
  /// Once per job, before it is applied: a value other than 0 fails the job.
  virtual int on_write() noexcept { return 0; }
  /// Once per commit, or write of the log: a value other than 0 fails the batch as a failed
  /// fdatasync would.
  virtual int on_sync() noexcept { return 0; }
  /// Once per commit or write of the log that has reached the disk, before anybody is told of it.
  virtual void synced() noexcept {}
};

} // namespace ron::core::store
