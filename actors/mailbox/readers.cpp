#include "mailbox/readers.hpp"

#include <utility>

namespace ron::mailbox {

bool reader_book::enter(reader_id r, std::size_t held_max) {
  if (readers_.contains(r))
    return true;
  if (readers_.size() >= readers_max_)
    return false;
  readers_[r].held_max = held_max;
  return true;
}

std::size_t reader_book::room(reader_id r, core::instant now) {
  auto& one = readers_.at(r);
  while (!one.line.empty() && one.line.front().until <= now) {
    holders_.erase(one.line.front().receipt);
    one.line.pop_front();
  }
  return one.held_max - one.line.size();
}

std::optional<core::instant> reader_book::room_at(reader_id r) const {
  const auto& line = readers_.at(r).line;
  return line.empty() ? std::nullopt : std::optional{line.front().until};
}

void reader_book::took(reader_id r, const std::string& receipt, core::instant until) {
  auto& line = readers_.at(r).line;
  line.push_back({until, receipt});
  holders_.emplace(receipt, place_held{r, std::prev(line.end())});
}

void reader_book::settled(const std::string& receipt) {
  auto held = holders_.extract(receipt);
  if (held)
    readers_.at(held.mapped().by).line.erase(held.mapped().at);
}

std::vector<std::string> reader_book::leave(reader_id r) {
  if (left_.insert(r).second) {
    left_line_.push_back(r);
    if (left_line_.size() > left_max) {
      left_.erase(left_line_.front());
      left_line_.pop_front();
    }
  }
  std::vector<std::string> receipts;
  auto gone = readers_.extract(r);
  if (!gone)
    return receipts;
  for (auto& d : gone.mapped().line) {
    holders_.erase(d.receipt);
    receipts.push_back(std::move(d.receipt));
  }
  return receipts;
}

} // namespace ron::mailbox
