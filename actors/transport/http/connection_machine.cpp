#include "transport/http/connection_machine.hpp"

#include <algorithm>
#include <cstring>

namespace ron::http {

namespace {

using core::ec;
using core::fail;

/// Pieces below this are worth a copy to hand out fewer of them.
constexpr std::size_t gather_below = 16'384;

/// Adds `next` to what waits; usually the link has put it right behind.
void append(core::bytes& waiting, core::bytes next) {
  if (waiting.empty()) {
    waiting = std::move(next);
  } else if (!waiting.extend(next)) {
    core::slab s{waiting.size() + next.size()};
    std::memcpy(s.room().data(), waiting.data(), waiting.size());
    s.commit(waiting.size());
    std::memcpy(s.room().data(), next.data(), next.size());
    s.commit(next.size());
    waiting = s.cut(0, s.filled());
  }
}

} // namespace

connection_machine::connection_machine(const connection_limits& limits, core::instant now)
  : limits_(limits),
    since_(now),
    body_rate_(limits.body_rate_min, limits.rate_window),
    answer_rate_(limits.answer_rate_min, limits.rate_window) {
  // nop
}

// -- what the link reports -------------------------------------------------------

void connection_machine::received(core::bytes slice, core::instant now) {
  switch (phase_) {
    case phase::closed:
      return;
    case phase::lingering:
      discarded_ += slice.size();
      if (discarded_ > limits_.discard_max)
        end_connection();
      return;
    case phase::idle:
    case phase::head:
      append(pending_, std::move(slice));
      return take_head(now);
    case phase::serving:
      body_rate_.add(slice.size());
      append(pending_, std::move(slice));
      return give_body(now);
  }
}

void connection_machine::ended(core::instant) {
  ended_ = true;
  if (phase_ != phase::serving)
    return end_connection();
  // A complete request is answered also to a peer that closed its half. A long poll is not: the
  // usual reason is that the caller has left.
  const bool waiting = !request_.started && (!request_.body_done || request_.waits);
  if (waiting || (request_.endless && !request_.finished)) {
    actions_.push_back(gone{});
    end_connection();
  }
}

void connection_machine::failed() {
  if (phase_ == phase::serving && !request_.finished)
    actions_.push_back(gone{});
  end_connection();
}

void connection_machine::written(std::size_t backlog, std::uint64_t sent, core::instant now) {
  answer_rate_.add(sent - sent_);
  sent_ = sent;
  if (request_.endless && backlog == 0)
    answer_rate_.reset(); // there is nothing it could take
  else if (request_.endless)
    answer_rate_.resume(now);
  if (phase_ == phase::serving && request_.finished && backlog == 0)
    request_over(now);
}

void connection_machine::tick(core::instant now) {
  switch (phase_) {
    case phase::idle:
      if (now >= since_ + (first_ ? limits_.header_timeout : limits_.idle_timeout))
        end_connection();
      return;
    case phase::head:
      if (now >= since_ + limits_.header_timeout)
        refuse_head({ec::timeout, "the request head took too long"});
      return;
    case phase::serving:
      return tick_serving(now);
    case phase::lingering:
      if (now >= since_ + limits_.discard_timeout)
        end_connection();
      return;
    case phase::closed:
      return;
  }
}

void connection_machine::tick_serving(core::instant now) {
  auto& r = request_;
  if (r.started) {
    if (!answer_rate_.missed(now))
      return;
    if (!r.finished)
      actions_.push_back(gone{});
    return end_connection();
  }
  if (r.asked && body_rate_.missed(now))
    return fail_body({ec::timeout, "the body came too slowly"}, now);
  if (r.expired || now < answer_due())
    return;
  r.expired = true;
  if (r.asked)
    actions_.push_back(expired{{ec::timeout, "the body did not come before the deadline"}});
  else
    actions_.push_back(expired{{ec::downstream_timeout, "no answer before the deadline"}});
}

/// A peer whose bytes we wait for has its own measure, the rate; only the deadline counts then.
core::instant connection_machine::answer_due() const noexcept {
  const auto& r = request_;
  if (r.asked || r.waits)
    return r.deadline;
  return std::min(r.deadline, r.turn + limits_.answer_timeout);
}

// -- heads -----------------------------------------------------------------------

void connection_machine::take_head(core::instant now) {
  if (!blank_seen_ && pending_.text().starts_with("\r\n")) { // RFC 9112, 2.2
    use(2);
    blank_seen_ = true;
  }
  if (pending_.empty() || (!blank_seen_ && pending_.text() == "\r"))
    return;
  if (phase_ == phase::idle) {
    phase_ = phase::head;
    if (!first_)
      since_ = now;
  }
  auto length = scanner_.scan(pending_.text(), limits_.head);
  if (!length)
    return refuse_head(std::move(length.error()));
  if (*length == 0)
    return;
  // A copy: a request may wait for long and must not hold a whole read buffer meanwhile.
  auto text = core::bytes::copy(pending_.text().substr(0, *length));
  use(*length);
  begin_request(std::move(text), now);
}

void connection_machine::begin_request(core::bytes text, core::instant now) {
  auto head = check_head(text.text(), limits_.head);
  if (!head)
    return refuse_head(std::move(head.error()));
  if (auto ok = parser_.begin(text.text()); !ok)
    return refuse_head(std::move(ok.error()));
  scanner_.reset();
  blank_seen_ = false;
  first_ = false;
  phase_ = phase::serving;
  request_ = {};
  request_.keep_alive = head->keep_alive && !head->http_1_0;
  request_.continue_due = head->expects_continue;
  request_.body_done = parser_.done();
  request_.turn = now;
  body_rate_.reset();
  answer_rate_.reset();
  actions_.push_back(serve{std::move(*head), std::move(text)});
}

void connection_machine::refuse_head(core::error why) {
  phase_ = phase::serving;
  first_ = false;
  request_ = {};
  request_.body_done = false; // where it ends is unknown
  request_.body_broken = true;
  request_.expired = true; // it is being answered
  actions_.push_back(refuse{std::move(why)});
}

void connection_machine::expect_answer(core::instant deadline, bool waits) noexcept {
  request_.deadline = deadline;
  request_.waits = waits;
}

// -- bodies ----------------------------------------------------------------------

void connection_machine::ask_body(core::instant now) {
  auto& r = request_;
  if (phase_ != phase::serving || r.asked || r.started)
    return;
  r.asked = true;
  if (r.body_broken)
    return fail_body({ec::bad_request, "the body is malformed"}, now);
  if (r.continue_due && pending_.empty() && !r.body_done)
    actions_.push_back(send_continue{});
  r.continue_due = false;
  give_body(now);
}

void connection_machine::give_body(core::instant now) {
  auto& r = request_;
  if (!r.asked)
    return;
  auto piece = take_piece();
  if (!piece)
    return fail_body(std::move(piece.error()), now);
  r.body_done = parser_.done();
  if (piece->empty() && !r.body_done)
    return body_rate_.resume(now);
  r.asked = false;
  r.turn = now;
  body_rate_.pause(now);
  actions_.push_back(body{std::move(*piece), r.body_done});
}

/// The next bytes of the body, as a slice if they come in one large piece, else gathered.
core::result<core::bytes> connection_machine::take_piece() {
  core::slab gathered;
  while (!parser_.done() && !pending_.empty()) {
    const auto room = piece_max - gathered.filled();
    auto step = parser_.next(pending_.slice(0, room));
    if (!step)
      return std::unexpected{std::move(step.error())};
    use(step->used);
    if (step->data.empty())
      break;
    if (gathered.filled() == 0) {
      if (step->data.size() >= gather_below || pending_.empty() || parser_.done())
        return std::move(step->data);
      gathered = core::slab{piece_max};
    }
    std::memcpy(gathered.room().data(), step->data.data(), step->data.size());
    gathered.commit(step->data.size());
    if (piece_max - gathered.filled() < gather_below)
      break;
  }
  return gathered.filled() == 0 ? core::bytes{} : gathered.cut(0, gathered.filled());
}

void connection_machine::fail_body(core::error why, core::instant now) {
  request_.asked = false;
  request_.body_broken = true;
  request_.turn = now;
  body_rate_.reset();
  pending_ = {};
  actions_.push_back(body_failed{std::move(why)});
}

void connection_machine::use(std::size_t n) {
  pending_ = n == pending_.size() ? core::bytes{} : pending_.slice(n);
}

// -- answers ---------------------------------------------------------------------

bool connection_machine::answer_started(core::instant now) {
  auto& r = request_;
  r.started = true;
  r.asked = false;
  r.last = !r.keep_alive || !r.body_done || ended_ || draining_;
  answer_rate_.reset();
  answer_rate_.resume(now);
  return r.last;
}

bool connection_machine::events_started(core::instant now) {
  request_.endless = true;
  const bool last = answer_started(now);
  answer_rate_.reset();
  return last;
}

void connection_machine::answer_finished(core::instant) {
  if (phase_ != phase::serving || request_.finished)
    return;
  request_.finished = true;
  if (request_.last)
    actions_.push_back(shut{});
}

/// The answer is with the kernel: the next request, or the end.
void connection_machine::request_over(core::instant now) {
  answer_rate_.reset();
  since_ = now;
  if (request_.last) {
    if (ended_)
      return end_connection();
    // Closing now would make the kernel reset the connection and the peer lose the answer.
    phase_ = phase::lingering;
    discarded_ = pending_.size();
    pending_ = {};
    if (discarded_ > limits_.discard_max)
      end_connection();
    return;
  }
  phase_ = phase::idle;
  take_head(now);
  if (phase_ != phase::serving && (ended_ || (draining_ && phase_ == phase::idle)))
    end_connection();
}

void connection_machine::abort() {
  end_connection();
}

void connection_machine::drain() {
  draining_ = true;
  if (phase_ == phase::idle)
    end_connection();
}

void connection_machine::end_connection() {
  if (phase_ == phase::closed)
    return;
  phase_ = phase::closed;
  pending_ = {};
  actions_.push_back(close{});
}

// -- what to do --------------------------------------------------------------------

std::optional<connection_machine::action> connection_machine::next() {
  if (actions_.empty())
    return std::nullopt;
  auto a = std::move(actions_.front());
  actions_.erase(actions_.begin());
  return a;
}

bool connection_machine::wants_read() const noexcept {
  if (ended_ || phase_ == phase::closed)
    return false;
  if (phase_ != phase::serving)
    return true;
  // After the body one read stays out: it notices a caller that leaves.
  return request_.body_done ? pending_.empty() : request_.asked;
}

std::optional<core::instant> connection_machine::wake_at() const noexcept {
  switch (phase_) {
    case phase::idle:
      return since_ + (first_ ? limits_.header_timeout : limits_.idle_timeout);
    case phase::head:
      return since_ + limits_.header_timeout;
    case phase::lingering:
      return since_ + limits_.discard_timeout;
    case phase::closed:
      return std::nullopt;
    case phase::serving:
      break;
  }
  if (request_.started)
    return answer_rate_.due();
  auto due = request_.expired ? core::instant::max() : answer_due();
  if (request_.asked)
    if (auto rate = body_rate_.due())
      due = std::min(due, *rate);
  return due == core::instant::max() ? std::nullopt : std::optional{due};
}

} // namespace ron::http
