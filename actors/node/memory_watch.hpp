#pragma once

#include "core/config_types.hpp"
#include "core/metrics.hpp"
#include "node/memory_guard.hpp"
#include "transport/operation.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ron::node {

/// One of the parts of the node that hold much memory.
struct memory_part {
  std::string_view name; ///< a literal; value of the label `part`
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0; ///< its own bound; 0 = none
};

/// Holds the memory of the process against `node.memory-max`, and shows who has it. The bound is a
/// soft one: nothing that was acknowledged goes, and what is under way goes on.
class memory_watch {
public:
  /// Always the same parts in the same order. Any thread.
  using ask_parts = std::function<std::vector<memory_part>()>;

  memory_watch(core::metrics::registry& r, const core::config::memory_bound& max);

  /// Another bound. Any thread.
  void set(const core::config::memory_bound& max) noexcept;
  /// Looks and says in the log when the level changes. One thread.
  memory_level look();
  /// From now on shows these parts in the metrics; until `hide`.
  void show(ask_parts parts);
  void hide() noexcept;
  /// `GET /admin/memory`.
  transport::operation admin_row() const;

private:
  struct table;
  const std::uint64_t available_;
  core::metrics::registry& registry_;
  memory_guard guard_;
  memory_level last_ = memory_level::calm;
  std::shared_ptr<table> table_;
  std::vector<std::unique_ptr<core::metrics::callback>> shown_;
};

} // namespace ron::node
