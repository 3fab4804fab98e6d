#include "omnigate/hydration.hpp"

#include <algorithm>

namespace ron::omnigate {

namespace {

constexpr int envelope_version = 1;

part part_of(core::ec code) noexcept {
  switch (code) {
    case core::ec::not_found:
      return part::missing;
    case core::ec::timeout:
    case core::ec::downstream_timeout:
      return part::timeout;
    case core::ec::busy:
    case core::ec::degraded:
    case core::ec::draining:
      return part::busy;
    default:
      return part::error;
  }
}

} // namespace

std::string_view to_string(leg l) noexcept {
  constexpr std::array<std::string_view, leg_count> names{"index", "storage", "mailbox"};
  return names[static_cast<std::size_t>(l)];
}

std::string_view to_string(part p) noexcept {
  constexpr std::array<std::string_view, 6> names{"pending", "ok",   "missing",
                                                  "timeout", "busy", "error"};
  return names[static_cast<std::size_t>(p)];
}

std::vector<leg> hydration::next() {
  std::vector<leg> out;
  auto start = [&](leg l) {
    if (at(l).at == phase::idle) {
      at(l).at = phase::asked;
      out.push_back(l);
    }
  };
  if (at(leg::index).at == phase::idle)
    start(leg::index);
  else if (at(leg::index).is == part::ok) {
    start(leg::storage);
    start(leg::mailbox);
  }
  return out;
}

void hydration::on_ok(leg l, core::json data) {
  if (at(l).at != phase::asked)
    return; // late: the leg was given up
  at(l) = {phase::ended, part::ok};
  data_.update(data);
}

void hydration::on_error(leg l, const core::error& e) {
  if (at(l).at != phase::asked)
    return;
  at(l) = {phase::ended, part_of(e.code)};
  if (l == leg::index)
    index_error_ = e;
  else
    warnings_.push_back(std::string{to_string(l)} + "_" + std::string{to_string(at(l).is)});
}

bool hydration::done() const noexcept {
  if (at(leg::index).at != phase::ended)
    return false;
  if (at(leg::index).is != part::ok)
    return true;
  return std::all_of(legs_.begin(), legs_.end(),
                     [](const state& s) { return s.at == phase::ended; });
}

core::result<core::json> hydration::body() const {
  if (at(leg::index).is != part::ok)
    return std::unexpected{index_error_};
  core::json parts = core::json::object();
  for (auto l : {leg::index, leg::storage, leg::mailbox})
    parts[std::string{to_string(l)}] = std::string{to_string(at(l).is)};
  return core::json{{"view", view_},     {"version", envelope_version},
                    {"data", data_},     {"parts", std::move(parts)},
                    {"partial", !complete()}, {"warnings", warnings_}};
}

bool hydration::complete() const noexcept {
  return std::all_of(legs_.begin(), legs_.end(), [](const state& s) { return s.is == part::ok; });
}

} // namespace ron::omnigate
