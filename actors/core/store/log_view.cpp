#include "core/store/log_view.hpp"

#include "core/store/key.hpp"
#include "core/store/log_checkpoint.hpp"

#include <utility>

namespace ron::core::store {

result<log_view> log_view::read(const std::string& folder) {
  auto files = read_log(folder);
  if (!files)
    return std::unexpected{files.error()};
  log_view out;
  out.files_ = std::move(*files);
  return out;
}

void log_view::join(const snapshot& s) {
  const auto place = s.meta({reinterpret_cast<const std::uint8_t*>(log_place_key.data()),
                             log_place_key.size()});
  const auto id = place ? load<std::uint64_t>(*place) : 0;
  const auto applied = place ? load<std::uint64_t>(*place, 8) : 0;
  std::vector<scanned_segment> found;
  for (const auto& [slot, image] : files_)
    found.push_back(scan_segment(image, slot, id));
  auto replay = replay_of(std::move(found), applied);
  damages_ = std::move(replay.damages);
  records_ = replay.records.size();
  std::vector<byte_view> payloads;
  for (const auto& r : replay.records)
    payloads.push_back(r.payload);
  changes_ = std::make_unique<net_changes>(payloads, false);
}

std::span<const log_step> log_view::changes() const noexcept {
  return changes_ ? changes_->all() : std::span<const log_step>{};
}

std::uint64_t log_view::bytes() const noexcept {
  std::uint64_t n = 0;
  for (const auto& [slot, image] : files_)
    n += image.size();
  return n;
}

} // namespace ron::core::store
