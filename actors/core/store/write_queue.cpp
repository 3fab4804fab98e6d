#include "core/store/write_queue.hpp"

#include <utility>

namespace ron::core::store {

bool write_queue::push(write_job& job) {
  if (size_ > 0 && (size_ >= limits_.jobs_max || bytes_ + job.bytes > limits_.bytes_max))
    return false;
  auto [line, fresh] = lines_.try_emplace(job.source);
  if (fresh)
    turns_.push_back(job.source);
  ++size_;
  bytes_ += job.bytes;
  callers_ += job.callers;
  line->second.push_back(std::move(job));
  return true;
}

std::optional<write_job> write_queue::pop(std::size_t batch_bytes, std::size_t batch_bytes_max) {
  if (turns_.empty())
    return std::nullopt;
  auto source = turns_.front();
  auto line = lines_.find(source);
  auto& job = line->second.front();
  if (batch_bytes > 0 && batch_bytes + job.bytes > batch_bytes_max)
    return std::nullopt;
  std::optional<write_job> out{std::move(job)};
  line->second.pop_front();
  turns_.pop_front();
  if (line->second.empty())
    lines_.erase(line);
  else
    turns_.push_back(source);
  --size_;
  bytes_ -= out->bytes;
  callers_ -= out->callers;
  return out;
}

} // namespace ron::core::store
