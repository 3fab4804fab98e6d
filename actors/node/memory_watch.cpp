#include "node/memory_watch.hpp"

#include "core/json.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>

namespace ron::node {

namespace {

using namespace std::chrono_literals;
using core::metrics::kind;
using steady = std::chrono::steady_clock;

} // namespace

/// What metrics and the admin route look at; outlives the node's parts.
struct memory_watch::table {
  std::atomic<std::uint64_t> max{0};
  std::atomic<memory_level> level{memory_level::calm};
  std::mutex mutex;
  ask_parts ask;
  std::vector<memory_part> last;
  steady::time_point taken{};

  /// A scrape asks for many values at once.
  std::vector<memory_part> parts() {
    std::lock_guard guard{mutex};
    if (const auto now = steady::now(); ask && now - taken > 500ms) {
      last = ask();
      taken = now;
    }
    return last;
  }
};

memory_watch::memory_watch(core::metrics::registry& r, const core::config::memory_bound& max)
    : available_(core::available_memory()), registry_(r), table_(std::make_shared<table>()) {
  set(max);
  auto add = [&](const char* name, const char* help, std::function<double()> f) {
    shown_.push_back(
      std::make_unique<core::metrics::callback>(r, kind::gauge, name, help, std::move(f)));
  };
  add("memory_used_bytes", "Memory of the process without pages of files",
      [] { return static_cast<double>(core::private_bytes()); });
  add("memory_max_bytes", "Bound of it (node.memory-max); writes are shed from 90 % on",
      [t = table_] { return static_cast<double>(t->max.load()); });
}

void memory_watch::set(const core::config::memory_bound& max) noexcept {
  table_->max = max.resolve(available_);
}

memory_level memory_watch::look() {
  const auto used = core::private_bytes();
  const auto max = table_->max.load();
  const auto now = guard_.look(used, max);
  if (now == last_)
    return now;
  auto say = now > last_ ? core::log::level::warn : core::log::level::info;
  core::log::write("node", say, "memory in use: " + std::string{to_string(now)},
                   {{"used", used}, {"node.memory-max", max}});
  last_ = now;
  table_->level = now;
  return now;
}

void memory_watch::show(ask_parts parts) {
  {
    std::lock_guard guard{table_->mutex};
    table_->ask = std::move(parts);
  }
  std::vector<std::string> names;
  for (const auto& p : table_->parts())
    names.emplace_back(p.name);
  auto add = [&](const char* name, const char* help, std::uint64_t memory_part::* field) {
    shown_.push_back(std::make_unique<core::metrics::callback>(
      registry_, kind::gauge, name, help, "part", names, [t = table_, field](std::size_t i) {
        const auto all = t->parts();
        return i < all.size() ? static_cast<double>(all[i].*field) : 0.0;
      }));
  };
  add("memory_part_bytes", "Memory of one part of the node", &memory_part::bytes);
  add("memory_part_max_bytes", "Bound of it; 0 = none of its own", &memory_part::bytes_max);
}

void memory_watch::hide() noexcept {
  std::lock_guard guard{table_->mutex};
  table_->ask = nullptr;
}

transport::operation memory_watch::admin_row() const {
  return {.method = "GET",
          .path = "/admin/memory",
          .needs = transport::access::none,
          .handle = [t = table_](transport::exchange_ptr x) {
            auto parts = core::json::array();
            for (const auto& p : t->parts())
              parts.push_back({{"part", p.name},
                               {"bytes", p.bytes},
                               {"max", p.bytes_max == 0 ? core::json(nullptr)
                                                        : core::json(p.bytes_max)}});
            transport::answer a;
            a.result = {{"used", core::private_bytes()},
                        {"resident", core::read_process_usage().resident_bytes},
                        {"max", t->max.load()},
                        {"level", to_string(t->level)},
                        {"parts", std::move(parts)}};
            x->reply(std::move(a));
          }};
}

} // namespace ron::node
