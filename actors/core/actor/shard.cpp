#include "core/actor/shard.hpp"

#include "core/actor/job_item.hpp"
#include "core/actor/shard_clock.hpp"
#include "core/actor/shards.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <caf/actor_system.hpp>

#include <pthread.h>

#include <chrono>
#include <string>
#include <utility>

namespace ron::core {

namespace {

thread_local shard* current_shard = nullptr;

// The counters have one writer: a plain store, no locked instruction.
template <class T>
void bump(std::atomic<T>& counter, T n = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

} // namespace

shard::shard(caf::actor_system& system, shards& owner, std::size_t index)
  : caf::execution_unit(&system),
    owner_(owner),
    index_(index),
    io_(std::make_unique<boost::asio::io_context>(1)),
    clock_(std::make_unique<shard_clock>(*io_)) {
  // nop
}

shard::~shard() = default;

shard* shard::current() noexcept {
  return current_shard;
}

// -- ways in -----------------------------------------------------------------------

bool shard::submit(job f) {
  return jobs_.load(std::memory_order_relaxed) < jobs_max && post(std::move(f));
}

bool shard::post(job f) {
  jobs_.fetch_add(1, std::memory_order_relaxed);
  caf::resumable* item = new job_item(std::move(f), &jobs_);
  auto* from = current();
  if (from == this) {
    push_local(item);
  } else if (from && &from->owner_ == &owner_) {
    from->push_remote(*this, item);
  } else if (!push_foreign({&item, 1})) {
    caf::intrusive_ptr_release(item);
    return false;
  }
  return true;
}

void shard::defer(job f) {
  deferred_.push_back(std::move(f));
}

call_timers::handle shard::time_call(instant due, std::shared_ptr<timed_call> what) {
  return clock_->time_call(due, std::move(what));
}

void shard::forget_call(call_timers::handle h) {
  clock_->forget_call(h);
}

void shard::exec_later(caf::resumable* what) {
  owner_.route(what, this);
}

void shard::push_local(caf::resumable* what) {
  ready_.push(what);
}

// Wake-ups for other shards wait for the end of the turn: one lock and one wake for all of them.
void shard::push_remote(shard& to, caf::resumable* what) {
  bump(remote_);
  outgoing_[to.index_].push_back(what);
  has_outgoing_ = true;
}

bool shard::push_foreign(std::span<caf::resumable* const> what) {
  return inbox_.push(what, [this] {
    wakes_.fetch_add(1, std::memory_order_relaxed);
    boost::asio::post(*io_, [] {});
  });
}

// -- the loop ------------------------------------------------------------------------

void shard::run() {
  auto work = boost::asio::make_work_guard(*io_);
  while (!stop_.load(std::memory_order_relaxed)) {
    bump(turns_);
    if (!inbox_.empty())
      take_inbox();
    drain();
    end_turn();
    if (has_outgoing_)
      hand_over();
    if (ready_.empty() && deferred_.empty())
      sleep();
    else
      poll_some();
  }
}

void shard::take_inbox() {
  inbox_.take(taken_);
  for (auto* what : taken_)
    ready_.push(what);
  taken_.clear();
}

void shard::drain() {
  if (ready_.empty())
    return;
  turn_time_ = std::chrono::steady_clock::now();
  for (auto n = turn_budget; n > 0 && !ready_.empty(); --n)
    resume_one(ready_.pop());
  ready_size_.store(static_cast<std::uint32_t>(ready_.size()), std::memory_order_relaxed);
}

void shard::resume_one(caf::resumable* what) {
  bump(resumes_);
  switch (what->resume(this, owner_.max_throughput())) {
    case caf::resumable::resume_later:
      owner_.route(what, this); // keeps the reference
      break;
    case caf::resumable::shutdown_execution_unit:
      break;
    default:
      caf::intrusive_ptr_release(what);
  }
}

void shard::end_turn() {
  if (deferred_.empty())
    return;
  deferred_now_.swap(deferred_); // what they defer belongs to the next turn
  for (auto& f : deferred_now_)
    f();
  deferred_now_.clear();
}

void shard::hand_over() {
  has_outgoing_ = false;
  for (std::size_t i = 0; i < outgoing_.size(); ++i) {
    auto& batch = outgoing_[i];
    if (batch.empty())
      continue;
    if (!owner_.at(i).push_foreign(batch))
      for (auto* what : batch)
        shards::discard(what);
    batch.clear();
  }
}

// Bounded, so that busy sockets cannot starve actors that are ready.
void shard::poll_some() {
  for (auto n = poll_budget; n > 0 && io_->poll_one() > 0; --n) {
    // nop
  }
}

// Straight into the blocking call: polling first would cost one more system call per sleep. What
// came with the first event is taken, too: it goes through one turn, to one write of each kind.
void shard::sleep() {
  if (!inbox_.may_sleep())
    return;
  bump(sleeps_);
  io_->run_one();
  inbox_.awake();
  poll_some();
}

// -- life ----------------------------------------------------------------------------

void shard::start() {
  outgoing_.resize(owner_.size());
  // CAF's logger is not installed on this thread: Debian compiles its output out, and what is left
  // of it takes a lock shared by all threads with every resume.
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), ("shard." + std::to_string(index_)).c_str());
    system_->thread_started();
    current_shard = this;
    run();
    current_shard = nullptr;
    system_->thread_terminates();
  });
}

void shard::request_stop() {
  stop_.store(true, std::memory_order_relaxed);
  inbox_.interrupt([this] { boost::asio::post(*io_, [] {}); });
}

void shard::join() {
  if (thread_.joinable())
    thread_.join();
}

void shard::close(std::vector<caf::resumable*>& leftovers) {
  inbox_.close(leftovers);
  while (!ready_.empty())
    leftovers.push_back(ready_.pop());
  for (auto& batch : outgoing_) {
    leftovers.insert(leftovers.end(), batch.begin(), batch.end());
    batch.clear();
  }
}

void shard::destroy_io() {
  deferred_.clear();
  clock_->detach();
  io_.reset(); // frees completion handlers, and with them the actors they kept
}

shard_stats shard::stats() const noexcept {
  auto get = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  return {get(resumes_), get(turns_),  get(sleeps_),
          get(wakes_),   get(remote_), get(ready_size_)};
}

} // namespace ron::core
