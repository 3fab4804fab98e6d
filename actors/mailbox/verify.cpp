#include "mailbox/verify.hpp"

#include "core/store/log_checkpoint.hpp"
#include "core/store/log_view.hpp"
#include "mailbox/layout.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace ron::mailbox {

namespace {

using core::byte_view;
using core::store::check_log;
using core::store::check_table;
using core::store::log_op;
using core::store::log_view;
using core::store::snapshot;
using core::store::table;

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

/// One store with its log, while it is checked.
class checker {
public:
  checker(const snapshot& s, const log_view& behind, const layout::time_frame& at, check_log& log)
    : snapshot_(s), behind_(behind), at_(at), log_(log) {
    const auto counter = s.get(layout::counters, text(layout::seq_key));
    last_seq_ = counter ? core::store::load<std::uint64_t>(*counter) : 0;
    for (const auto& step : behind.changes())
      if (step.op == log_op::raise)
        last_seq_ = std::max(last_seq_, core::store::load<std::uint64_t>(step.value));
      else if (step.op != log_op::remove && step.to == layout::mail)
        mail_in_log_.push_back(step.key);
  }

  void check_log_files() {
    for (const auto& d : behind_.damages())
      log_.damaged(to_string(d) + ": missing; what was acknowledged by them is lost");
    if (behind_.unreadable() != 0)
      log_.damaged(std::to_string(behind_.unreadable())
                   + " records of the log hold something else than changes");
    log_.counts["log records"] = behind_.records();
    for (const auto& step : behind_.changes())
      log_.passed(step.key.size() + step.value.size());
  }

  void check_mail() {
    check("messages", layout::mail, "message", [this](byte_view key, byte_view value) {
      const auto m = layout::decode_mail(key, value, at_);
      if (!m)
        log_.damaged(place_of("message", key) + ": the record is damaged");
      else if (core::store::load<bucket>(key) >= buckets || m->seq > last_seq_)
        log_.damaged(place_of("message", key) + ": there is no such place");
    });
  }
  void check_states() {
    check("states", layout::states, "state", [this](byte_view key, byte_view value) {
      if (!layout::decode_state(key, value, at_))
        log_.damaged(place_of("state", key) + ": the record is damaged");
      else if (!snapshot_.get(layout::mail, key)
               && !std::ranges::binary_search(mail_in_log_, key, before))
        log_.damaged(place_of("state", key) + ": there is no such message");
    });
  }
  void check_sends() {
    check("sends", layout::sends, "send", [this](byte_view key, byte_view value) {
      if (!layout::decode_send(key, value, at_))
        log_.damaged("a remembered send of part "
                     + std::to_string(core::store::load<bucket>(key))
                     + ": the record is damaged");
    });
  }

private:
  static bool before(byte_view a, byte_view b) {
    return std::ranges::lexicographical_compare(a, b);
  }

  /// Every entry of a table as it is, and as the log will make it; counts what comes to stay.
  template <class F>
  void check(const char* plural, table in, const char* what, F entry) {
    auto& n = log_.counts[plural];
    check_table(snapshot_, in, what, log_, [&](byte_view key, byte_view value) {
      ++n;
      log_.passed(key.size() + value.size());
      entry(key, value);
    });
    for (const auto& step : behind_.changes()) {
      if (step.to != in)
        continue;
      const bool there = snapshot_.get(in, step.key).has_value();
      if (step.op == log_op::remove) {
        n -= there ? 1 : 0;
        continue;
      }
      n += there ? 0 : 1;
      // The record that it lies in has a check of its own.
      entry(step.key, core::store::ended_value(step, layout::seal));
    }
  }

  const snapshot& snapshot_;
  const log_view& behind_;
  const layout::time_frame& at_;
  check_log& log_;
  std::uint64_t last_seq_ = 0;
  std::vector<byte_view> mail_in_log_; ///< ascending, as `net_changes` has them
};

} // namespace

core::result<void> verify_store(const std::string& path, const core::clock& clock,
                                check_log& log) {
  auto behind = log_view::read(path);
  if (!behind)
    return std::unexpected{behind.error()};
  auto s = snapshot::open(path, layout::table_names(), layout::format);
  if (!s)
    return std::unexpected{s.error()};
  behind->join(*s);
  const auto topics = s->get(layout::counters, text(topics_key));
  if (!topics || topics->size() != topics_key_bytes)
    log.damaged("the key that spreads topics over the store is missing or damaged");
  const layout::time_frame at{clock};
  checker c{*s, *behind, at, log};
  c.check_log_files();
  c.check_mail();
  c.check_states();
  c.check_sends();
  return {};
}

} // namespace ron::mailbox
