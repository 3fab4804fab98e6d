#pragma once

#include "core/store/environment.hpp"
#include "core/store/net_changes.hpp"
#include "core/store/writer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ron::core::store {

/// Eight bytes that the environment has behind the value of a step and the log does not need, as a
/// check, big-endian; none for most tables. Any thread.
using value_end = std::function<std::optional<std::uint64_t>(const log_step&)>;

/// The value of a step as the environment has it. `end` may be null.
std::vector<std::uint8_t> ended_value(const log_step& s, const value_end& end);

/// Name of the entry in the table `meta` that says which log lies in front of an environment and
/// how much of it the environment has: id u64, lsn u64.
inline constexpr std::string_view log_place_key = "log";

/// Payloads of a log in the order of their records, to be shared by who reads them.
using log_blocks = std::shared_ptr<const std::vector<log_steps>>;

/// Changes of a log that are on their way into the environment behind it. They are made in several
/// transactions, each small enough not to hold up whoever waits for the same disk; the last one
/// says that all of them have been made. Before that they can be made again from the start.
class log_checkpoint : public std::enable_shared_from_this<log_checkpoint> {
public:
  /// Bounds of one transaction. One that finds the map full is tried again with fewer steps.
  static constexpr std::size_t slice_steps = 4'096;
  static constexpr std::size_t slice_bytes = 2u << 20;

  /// `blocks`: payloads of the records up to `last_lsn` of the log `id`; `images` is what they
  /// point into if they do not own their bytes.
  struct source {
    std::uint64_t id = 0;
    std::uint64_t last_lsn = 0;
    std::vector<log_blocks> blocks;
    std::vector<std::vector<std::uint8_t>> images;
    std::vector<byte_view> replayed; ///< into `images`
    bool trust_fresh = true;         ///< see `net_changes`
    std::size_t claims = 0;          ///< what it may add to the map
    value_end end_value;             ///< may be null
  };

  explicit log_checkpoint(source s) : source_(std::move(s)) {}

  std::uint64_t last_lsn() const noexcept { return source_.last_lsn; }
  std::size_t claims() const noexcept { return source_.claims; }

  /// Calls `f(payload)` for each in order. Any thread, also while it runs.
  template <class F>
  void each_payload(F f) const {
    for (const auto payload : source_.replayed)
      f(payload);
    for (const auto& blocks : source_.blocks)
      for (const auto& b : *blocks)
        f(b.view());
  }

  /// What the source comes to; made when it is asked for the first time. Not while it runs.
  const net_changes& changes();

  /// Makes them. `then` runs on the writer's thread; after an error it may be run again. `to`
  /// outlives the run. Errors: as of a `write_job`.
  void run(environment& env, writer& to, std::function<void(result<void>)> then);

private:
  void submit(environment& env, writer& to);
  result<void> apply(transaction& t, table meta);
  result<void> make(transaction& t, std::optional<table_writer>& at, const log_step& s);
  result<void> put(table_writer& to, const log_step& s) const;

  const source source_;
  std::unique_ptr<net_changes> changes_;
  std::function<void(result<void>)> then_;
  std::size_t from_ = 0; ///< all on the writer's thread, as long as it runs
  std::size_t next_ = 0;
  std::size_t steps_max_ = slice_steps;
};

} // namespace ron::core::store
