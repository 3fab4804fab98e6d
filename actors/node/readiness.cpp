#include "node/readiness.hpp"

#include <algorithm>

namespace ron::node {

std::string_view to_string(readiness r) noexcept {
  switch (r) {
    case readiness::ready:
      return "ready";
    case readiness::degraded:
      return "degraded";
    case readiness::unready:
      break;
  }
  return "unready";
}

readiness readiness_machine::sample(std::vector<readiness_key> keys, double pressure, bool shed,
                                    core::instant now) {
  keys_ = std::move(keys);
  high_samples_ = pressure >= limits_.pressure_high ? high_samples_ + 1 : 0;
  if (shed || high_samples_ >= limits_.samples)
    pressed_ = true;

  // Pressure is gone only after a calm time: flapping would send the same clients back at once.
  const bool calm = !shed && pressure <= limits_.pressure_low;
  if (calm && !calm_)
    calm_since_ = now;
  calm_ = calm;
  if (pressed_ && calm_ && now - calm_since_ >= limits_.hold)
    pressed_ = false;

  auto down = [this](bool hard) {
    return std::any_of(keys_.begin(), keys_.end(),
                       [hard](const readiness_key& k) { return !k.ok && k.hard == hard; });
  };
  if (down(true))
    state_ = readiness::unready;
  else
    state_ = pressed_ || down(false) ? readiness::degraded : readiness::ready;
  return state();
}

bool readiness_machine::refuses_writes() const noexcept {
  return pressed_ || std::ranges::any_of(keys_, [](const readiness_key& k) {
           return !k.ok && !k.hard && !k.advisory;
         });
}

std::vector<std::string> readiness_machine::missing() const {
  std::vector<std::string> out;
  if (draining_)
    out.emplace_back("draining");
  for (const auto& k : keys_)
    if (!k.ok)
      out.emplace_back(k.name);
  if (pressed_)
    out.emplace_back("pressure");
  return out;
}

} // namespace ron::node
