#pragma once

#include "core/config_cli.hpp"
#include "core/config_load.hpp"
#include "core/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ron::node {

/// What a reload of the configuration would do, or has done.
struct reload_outcome {
  /// What is wrong; if there is anything, nothing was changed.
  std::vector<std::string> problems;
  /// What has another value now.
  std::vector<core::config::difference> changed;
  /// What has another value in the files that counts only from the next start of the node on.
  std::vector<core::config::difference> later;

  bool refused() const noexcept { return !problems.empty(); }
};

/// What came of a reload; metric label.
enum class reload_result : std::uint8_t { taken, refused };
inline constexpr std::size_t reload_result_count = 2;
std::string_view to_string(reload_result r) noexcept;

} // namespace ron::node

namespace ron::core::metrics {

template <>
inline constexpr std::size_t label_count<node::reload_result> = node::reload_result_count;

} // namespace ron::core::metrics

namespace ron::node {

/// Compares what the node runs with and what its sources say now. Pure.
reload_outcome plan_reload(const core::node_config& running, const core::config::loaded& fresh);

/// `running` with the values of `fresh` for all keys that a running node takes over.
core::node_config_ptr take_over(const core::node_config& running, const core::node_config& fresh);

/// Those who asked for a reload and wait for its outcome. Any thread.
class reload_requests {
public:
  static constexpr std::size_t waiting_max = 16;
  /// Called once, on any thread.
  using handler = std::move_only_function<void(const reload_outcome&)>;

  /// Queues `then` and sends this process a SIGHUP. False, and `then` is gone, when too many wait.
  bool ask(handler then);
  /// Answers all who wait.
  void answer(const reload_outcome& outcome);

private:
  std::mutex mutex_;
  std::vector<handler> waiting_;
};

} // namespace ron::node
