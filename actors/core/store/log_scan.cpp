#include "core/store/log_scan.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace ron::core::store {

namespace {

/// The next whole record of the log at `from` or behind it.
std::optional<log_record> find_record(byte_view image, std::size_t from, std::uint64_t id) {
  for (auto at = from; at < image.size(); at += log_page_bytes)
    if (auto r = decode_record(image, at); r && r->of.id == id)
      return r;
  return std::nullopt;
}

/// All whole records of the log, of whatever generation.
std::vector<log_record> records_in(byte_view image, std::uint64_t id) {
  std::vector<log_record> out;
  for (auto at = log_page_bytes; auto r = find_record(image, at, id);) {
    at = r->at + log_record_bytes(r->payload.size());
    out.push_back(*r);
  }
  return out;
}

/// Whose records these are, if the head does not say so: those that were written last.
std::optional<log_segment_head> guess_head(const std::vector<log_record>& all) {
  const auto latest = std::ranges::max_element(
    all, {}, [](const log_record& r) { return r.of.generation; });
  if (latest == all.end())
    return std::nullopt;
  const auto first = std::ranges::find(all, latest->of.generation,
                                       [](const log_record& r) { return r.of.generation; });
  return log_segment_head{latest->of, first->lsn};
}

} // namespace

scanned_segment scan_segment(byte_view image, std::size_t slot, std::uint64_t id) {
  scanned_segment out;
  out.slot = slot;
  out.head = decode_head(image);
  if (out.head && out.head->of.id != id)
    out.head.reset();
  auto all = records_in(image, id);
  if (!out.head) {
    out.head = guess_head(all);
    out.head_damaged = out.head.has_value();
  }
  if (!out.head)
    return out;
  auto next = out.head->first_lsn;
  for (const auto& r : all) {
    if (r.of.generation != out.head->of.generation || r.lsn < next)
      continue; // left over from an earlier use
    out.records.push_back(r);
    next = r.lsn + 1;
  }
  return out;
}

std::string to_string(const log_damage& d) {
  auto out = d.first_lsn == d.last_lsn
               ? "record " + std::to_string(d.first_lsn)
               : "records " + std::to_string(d.first_lsn) + " to " + std::to_string(d.last_lsn);
  return out + " of the log, in or before log." + std::to_string(d.slot) + " at byte "
         + std::to_string(d.at);
}

log_replay replay_of(std::vector<scanned_segment> segments, std::uint64_t applied) {
  std::erase_if(segments, [](const scanned_segment& s) { return !s.head; });
  std::ranges::sort(segments, {},
                    [](const scanned_segment& s) { return s.head->of.generation; });
  log_replay out;
  out.last_lsn = applied;
  auto expect = [&out](std::uint64_t lsn, std::size_t slot, std::size_t at) {
    if (lsn > out.last_lsn + 1)
      out.damages.push_back({out.last_lsn + 1, lsn - 1, slot, at});
  };
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto& s = segments[i];
    const auto end = i + 1 < segments.size() ? segments[i + 1].head->first_lsn
                                             : std::numeric_limits<std::uint64_t>::max();
    for (const auto& r : s.records) {
      if (r.lsn >= end || r.lsn <= out.last_lsn)
        continue;
      expect(r.lsn, s.slot, r.at);
      out.records.push_back(r);
      out.last_lsn = r.lsn;
    }
    out.last_generation = s.head->of.generation;
  }
  // A segment is begun with the number behind the last one that was acknowledged.
  if (!segments.empty() && !segments.back().head_damaged) {
    const auto& last = *segments.back().head;
    expect(last.first_lsn, segments.back().slot, 0);
    out.last_lsn = std::max(out.last_lsn, last.first_lsn - 1);
  }
  return out;
}

} // namespace ron::core::store
