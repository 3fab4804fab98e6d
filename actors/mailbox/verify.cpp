#include "mailbox/verify.hpp"

#include "mailbox/layout.hpp"

#include <string>

namespace ron::mailbox {

namespace {

using core::byte_view;
using core::store::check_log;
using core::store::check_table;
using core::store::snapshot;

constexpr std::string_view seq_key = "seq";
constexpr std::string_view topics_key = "topics";
constexpr std::size_t topics_key_bytes = 16;

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// `message 17 of part 3`: where an entry of `mail` or `states` belongs.
std::string place_of(const char* what, byte_view key) {
  return std::string{what} + " " + std::to_string(core::store::load<std::uint64_t>(key, 2))
         + " of part " + std::to_string(core::store::load<bucket>(key));
}

void count(check_log& log, const char* what, byte_view key, byte_view value) {
  ++log.counts[what];
  log.passed(key.size() + value.size());
}

void check_mail(const snapshot& s, const layout::time_frame& at, check_log& log) {
  const auto counter = s.get(layout::counters, text(seq_key));
  const auto last = counter ? core::store::load<std::uint64_t>(*counter) : 0;
  check_table(s, layout::mail, "message", log, [&](byte_view key, byte_view value) {
    count(log, "messages", key, value);
    const auto m = layout::decode_mail(key, value, at);
    if (!m)
      log.damaged(place_of("message", key) + ": the record is damaged");
    else if (core::store::load<bucket>(key) >= buckets || m->seq > last)
      log.damaged(place_of("message", key) + ": there is no such place");
  });
}

void check_states(const snapshot& s, const layout::time_frame& at, check_log& log) {
  check_table(s, layout::states, "state", log, [&](byte_view key, byte_view value) {
    count(log, "states", key, value);
    if (!layout::decode_state(key, value, at))
      log.damaged(place_of("state", key) + ": the record is damaged");
    else if (!s.get(layout::mail, key))
      log.damaged(place_of("state", key) + ": there is no such message");
  });
}

void check_sends(const snapshot& s, const layout::time_frame& at, check_log& log) {
  check_table(s, layout::sends, "send", log, [&](byte_view key, byte_view value) {
    count(log, "sends", key, value);
    if (!layout::decode_send(key, value, at))
      log.damaged("a remembered send of part "
                  + std::to_string(core::store::load<bucket>(key)) + ": the record is damaged");
  });
}

} // namespace

core::result<void> verify_store(const std::string& path, const core::clock& clock,
                                check_log& log) {
  auto s = snapshot::open(path, layout::table_names(), layout::format);
  if (!s)
    return std::unexpected{s.error()};
  log.counts = {{"messages", 0}, {"states", 0}, {"sends", 0}};
  const auto topics = s->get(layout::counters, text(topics_key));
  if (!topics || topics->size() != topics_key_bytes)
    log.damaged("the key that spreads topics over the store is missing or damaged");
  const layout::time_frame at{clock};
  check_mail(*s, at, log);
  check_states(*s, at, log);
  check_sends(*s, at, log);
  return {};
}

} // namespace ron::mailbox
