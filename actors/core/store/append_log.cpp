#include "core/store/append_log.hpp"

#include "core/store/lmdb_error.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace ron::core::store {

namespace {

constexpr std::array<std::uint8_t, log_page_bytes> zeros{};

std::size_t size_of(std::span<const byte_view> pieces) noexcept {
  std::size_t n = 0;
  for (const auto p : pieces)
    n += p.size();
  return n;
}

} // namespace

result<log_replay> append_log::open(std::uint64_t applied, std::vector<log_image>& images) {
  const auto n = log_files_in(options_.folder);
  images.resize(n);
  std::vector<scanned_segment> found;
  for (std::size_t slot = 0; slot < n; ++slot) {
    if (auto rc = files_.read(slot, images[slot]); rc != 0)
      return lmdb_fail(rc, "read " + log_file_name(options_.folder, slot));
    if (const auto head = decode_head(images[slot]); head && head->of.id != options_.id)
      return fail(ec::precondition_failed,
                  log_file_name(options_.folder, slot)
                    + " belongs to another store than data.mdb beside it: put back the data.mdb"
                      " that it came with, or move the log.* files away to go on without them");
    found.push_back(scan_segment(images[slot], slot, options_.id));
  }
  auto out = replay_of(std::move(found), applied);
  std::lock_guard guard{mutex_};
  segments_.reset(n, out.last_lsn, out.last_generation, applied);
  return out;
}

bool append_log::has_place(std::size_t payload_bytes) {
  return place_for(log_record_bytes(payload_bytes)).has_value();
}

std::optional<log_segments::active_segment> append_log::place_for(std::size_t record_bytes) {
  std::lock_guard guard{mutex_};
  if (segments_.fits(record_bytes))
    return segments_.place_for(record_bytes, false);
  // Who copies the log must not find a segment changed under his hands.
  const bool alone = files_.try_lock();
  auto place = segments_.place_for(record_bytes, alone);
  if (!place)
    files_.unlock();
  return place;
}

int append_log::write(const log_segments::active_segment& at, std::span<const byte_view> payload,
                      std::size_t record_bytes) {
  const log_identity of{options_.id, at.generation};
  if (at.is_new) {
    if (auto rc = files_.prepare(at.slot); rc != 0)
      return rc;
    const auto page = encode_head({of, at.first_lsn});
    const byte_view head{page};
    if (auto rc = files_.write(at.slot, 0, std::span{&head, 1}); rc != 0)
      return rc;
  }
  const auto head = encode_record_head(of, last_lsn() + 1, payload);
  pieces_.assign({byte_view{head}});
  pieces_.insert(pieces_.end(), payload.begin(), payload.end());
  pieces_.push_back(
    byte_view{zeros}.first(record_bytes - log_record_head_bytes - size_of(payload)));
  if (auto rc = files_.write(at.slot, at.end, pieces_); rc != 0)
    return rc;
  if (auto rc = faults_ != nullptr ? faults_->on_sync() : 0; rc != 0)
    return rc;
  return files_.sync(at.slot);
}

result<void> append_log::append(std::span<const byte_view> payload) {
  const auto bytes = size_of(payload);
  if (bytes > log_payload_bytes_max)
    return fail(ec::internal, "store: a record of " + std::to_string(bytes) + " bytes is too long");
  const auto record_bytes = log_record_bytes(bytes);
  const auto at = place_for(record_bytes);
  if (!at)
    return fail(ec::busy, "store: the log is full and waits for the disk", 250);
  const auto rc = write(*at, payload, record_bytes);
  std::lock_guard guard{mutex_};
  files_.unlock();
  if (rc != 0) {
    segments_.failed();
    return lmdb_fail(rc, "log");
  }
  segments_.wrote(record_bytes);
  return {};
}

void append_log::applied(std::uint64_t lsn) {
  std::lock_guard guard{mutex_};
  segments_.applied(lsn);
}

std::uint64_t append_log::last_lsn() const {
  std::lock_guard guard{mutex_};
  return segments_.last_lsn();
}

std::size_t append_log::bytes() const {
  std::lock_guard guard{mutex_};
  return segments_.bytes();
}

std::size_t append_log::segments() const {
  std::lock_guard guard{mutex_};
  return segments_.segments();
}

} // namespace ron::core::store
