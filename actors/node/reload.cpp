#include "node/reload.hpp"

#include "core/config_schema.hpp"

#include <unistd.h>

#include <csignal>
#include <utility>
#include <variant>

namespace ron::node {

namespace {

using core::config::reload_effect;

/// Copies the value of one key of a configuration to another one.
struct copy_value {
  template <class T>
  void operator()(T* to, T* from) const {
    *to = *from;
  }
  void operator()(core::config::choice_slot to, core::config::choice_slot from) const {
    *to.value = *from.value;
  }
  void operator()(core::config::share_slot to, core::config::share_slot from) const {
    for (std::size_t i = 0; i < to.values.size(); ++i)
      if (to.values[i])
        *to.values[i] = *from.values[i];
  }
  template <class To, class From>
  void operator()(To, From) const {
    // nop: a key has the same type everywhere
  }
};

/// Where the values come from, and with it which members of families there are.
void take_over_origins(core::node_config& running, const core::node_config& fresh) {
  const auto is_live = [](const auto& entry) {
    const auto key = core::config::find_key(entry.first);
    return key && key->info->on_reload == reload_effect::at_once;
  };
  std::erase_if(running.origins, is_live);
  for (const auto& entry : fresh.origins)
    if (is_live(entry))
      running.origins.insert(entry);
}

} // namespace

std::string_view to_string(reload_result r) noexcept {
  return r == reload_result::taken ? "taken" : "refused";
}

reload_outcome plan_reload(const core::node_config& running, const core::config::loaded& fresh) {
  reload_outcome out;
  for (const auto& e : fresh.errors)
    out.problems.push_back(core::config::to_string(e));
  if (!fresh.config)
    return out;
  for (auto& d : core::config::diff(running, *fresh.config)) {
    switch (d.on_reload) {
    case reload_effect::refused:
      out.problems.push_back(d.name + ": cannot change from " + d.before + " to " + d.after
                             + " while the node runs; restart it");
      break;
    case reload_effect::next_start:
      out.later.push_back(std::move(d));
      break;
    case reload_effect::at_once:
      out.changed.push_back(std::move(d));
      break;
    }
  }
  return out;
}

core::node_config_ptr take_over(const core::node_config& running, const core::node_config& fresh) {
  auto next = std::make_shared<core::node_config>(running);
  auto from = fresh;
  for (const auto& k : core::config::schema())
    if (k.on_reload == reload_effect::at_once && !k.is_family())
      std::visit(copy_value{}, k.bind(*next, {}), k.bind(from, {}));
  next->log.levels = fresh.log.levels; // the one family among them
  take_over_origins(*next, fresh);
  return next;
}

bool reload_requests::ask(handler then) {
  {
    std::lock_guard lock{mutex_};
    if (waiting_.size() >= waiting_max)
      return false;
    waiting_.push_back(std::move(then));
  }
  ::kill(::getpid(), SIGHUP);
  return true;
}

void reload_requests::answer(const reload_outcome& outcome) {
  std::vector<handler> all;
  {
    std::lock_guard lock{mutex_};
    all.swap(waiting_);
  }
  for (auto& then : all)
    then(outcome);
}

} // namespace ron::node
