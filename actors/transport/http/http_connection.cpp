#include "transport/http/http_connection.hpp"

#include "core/json.hpp"
#include "core/log.hpp"
#include "transport/http/conditional.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <utility>

namespace ron::http {

namespace {

using core::ec;

/// The operation may write on while less than this waits for the kernel: what one system call
/// sends best.
constexpr std::size_t backlog_max = 4 * core::limits::chunk_bytes;
/// Chunks that go out before other actors of the shard get their turn.
constexpr int offers_max = 4;
/// Actions of the machine before they do: a read may hold thousands of pipelined requests.
constexpr int actions_max = 64;

/// What the connections of a shard share; one thread.
struct shard_tools {
  core::id_source ids;
  date_line date;
};

shard_tools& tools() {
  static thread_local shard_tools t;
  return t;
}

bool names_object(const core::json& args, const core::cid& id) {
  const auto text = id.to_text();
  return std::ranges::any_of(args, [&text](const core::json& v) {
    return v.is_string() && v.get_ref<const std::string&>() == text;
  });
}

} // namespace

struct http_connection::collector {
  collector(transport::coding c, const transport::inflate_limits& limits) : guard(c, limits) {
    // nop
  }
  transport::inflate_guard guard;
  std::string text;
};

http_connection::http_connection(http_connection_self self, http_service_ptr service,
                                 transport::wire via, link_factory make_link)
  : self_(self),
    service_(std::move(service)),
    settings_(service_->settings()),
    via_(via),
    make_link_(std::move(make_link)),
    machine_(settings_->connection, service_->clock().now()),
    timer_(self->home().io()) {
  link_ = make_link_(self->home().io(), transport::link_owner{self, *this});
  service_->metrics().connections.add();
  link_->start();
  arm_timer();
}

http_connection::~http_connection() {
  ended_ = true;
  link_->close();
  if (current_) {
    count(*current_, core::info(ec::cancelled).http_status, ec::cancelled);
    std::exchange(current_, nullptr)->cancel({ec::cancelled, "the connection ended"});
  }
  service_->metrics().connections.sub();
}

void http_connection::drain() {
  machine_.drain();
  if (current_ && current_->request().op && current_->request().op->waits)
    current_->drain({ec::draining, "the node is stopping"});
  pump();
}

// -- link ------------------------------------------------------------------------------

void http_connection::link_opened(const transport::link_info& info) {
  opened_ = true;
  peer_ = info.peer;
  pump();
}

void http_connection::link_read(core::bytes slice) {
  reading_ = false;
  machine_.received(std::move(slice), now());
  pump();
}

void http_connection::link_read_end(bool) {
  reading_ = false;
  machine_.ended(now());
  pump();
}

void http_connection::link_written() {
  pump();
  offer_room();
}

void http_connection::link_failed(const core::error& why) {
  core::log::debug("http", "http connection failed",
                   {{"peer", peer_}, {"reason", why.message}});
  machine_.failed();
  pump();
}

// -- the machine's actions ---------------------------------------------------------------

void http_connection::pump() {
  if (std::exchange(pumping_, true)) {
    pump_again_ = true;
    return;
  }
  int left = actions_max;
  do {
    pump_again_ = false;
    machine_.written(link_->backlog(), link_->bytes_out(), now());
    for (; left > 0; --left) {
      auto action = machine_.next();
      if (!action)
        break;
      std::visit([this](auto& a) { perform(a); }, *action);
    }
  } while (pump_again_ && left > 0);
  pumping_ = false;
  if (ended_)
    return;
  if (left == 0)
    self_->defer([this] { end_of_turn(); });
  if (opened_ && !reading_ && machine_.wants_read()) {
    reading_ = true;
    link_->read(machine_.pending());
  }
  arm_timer();
}

void http_connection::perform(connection_machine::serve& a) {
  link_->settled();
  http::request r;
  auto ok = read_request(a.head, service_->operations(), settings_->json_bytes_max, r);
  identify(r);
  set_deadlines(r);
  auto x = std::make_shared<http_exchange>(*this, self_, std::move(r));
  current_ = x.get();
  service_->metrics().requests.begin(x->request().op);
  if (!ok)
    return send_error(*x, std::move(ok.error()));
  service_->gate().admit(x->request(), [this, x](core::result<transport::admission> admission) {
    if (!x->cancelled())
      enter([&] { admitted(x, std::move(admission)); });
  });
}

void http_connection::perform(connection_machine::refuse& a) {
  http::request r;
  identify(r);
  auto x = std::make_shared<http_exchange>(*this, self_, std::move(r));
  current_ = x.get();
  send_error(*x, std::move(a.why));
}

void http_connection::perform(connection_machine::send_continue&) {
  out_.push_back(core::bytes::literal("HTTP/1.1 100 Continue\r\n\r\n"));
  flush();
}

void http_connection::perform(connection_machine::body& a) {
  if (current_)
    current_->body(transport::body_chunk{std::move(a.data), a.last});
}

void http_connection::perform(connection_machine::body_failed& a) {
  if (current_)
    current_->body(std::unexpected{std::move(a.why)});
}

void http_connection::perform(connection_machine::expired& a) {
  if (!current_)
    return;
  auto keep = current_->shared_from_this();
  write_error(*keep, a.why);
  over(*keep, core::info(a.why.code).http_status, a.why.code);
  keep->cancel(std::move(a.why));
}

void http_connection::perform(connection_machine::gone&) {
  if (!current_)
    return;
  auto* x = std::exchange(current_, nullptr);
  count(*x, core::info(ec::cancelled).http_status, ec::cancelled);
  x->cancel({ec::cancelled, "the caller went away"});
}

void http_connection::perform(connection_machine::shut&) {
  link_->shutdown_write();
  pump_again_ = true;
}

void http_connection::perform(connection_machine::close&) {
  ended_ = true;
  link_->close();
  timer_.cancel();
  self_->quit();
}

void http_connection::arm_timer() {
  auto due = machine_.wake_at();
  if (!due || (armed_ && *armed_ <= *due))
    return;
  armed_ = due;
  timer_.expires_at(*due);
  timer_.async_wait(self_->bind([this](boost::system::error_code e) {
    if (e)
      return;
    armed_.reset();
    machine_.written(link_->backlog(), link_->bytes_out(), now());
    machine_.tick(now());
    pump();
  }));
}

// -- one request ---------------------------------------------------------------------------

void http_connection::identify(http::request& r) {
  r.call.via = via_;
  r.call.peer = peer_;
  r.call.started = now();
  r.call.deadline = r.call.started;
  auto& ids = tools().ids;
  if (r.call.corr.empty())
    r.call.corr = ids.next_corr(service_->clock().wall_ms());
  r.call.traceparent = (r.trace ? ids.child_of(*r.trace) : ids.new_trace()).to_text();
}

/// An upload has time for its whole body; everything else until its answer begins. What a caller
/// allows always counts.
void http_connection::set_deadlines(http::request& r) {
  if (!r.call.op)
    return;
  const auto start = now();
  const auto patience
    = r.patience ? core::deadline_after(r.call.started, *r.patience) : core::instant::max();
  auto cap = settings_->connection.answer_timeout;
  if (r.call.op->waits)
    cap = settings_->wait_max;
  else if (r.call.op->takes == transport::body::object)
    cap = settings_->upload_max;
  r.call.deadline = std::min(patience, core::deadline_after(start, cap));
  machine_.expect_answer(r.call.op->waits ? r.call.deadline : patience, r.call.op->waits);
}

void http_connection::admitted(const exchange_ptr& x, core::result<transport::admission> r) {
  if (!r)
    return send_error(*x, std::move(r.error()));
  x->admit(std::move(*r));
  if (x->request().op->takes != transport::body::json || !x->about().has_body)
    return handle(x);
  auto limits = settings_->inflate;
  limits.body_max = settings_->json_bytes_max;
  collect(x, std::make_shared<collector>(x->about().body_coding, limits));
}

/// Asks for the next piece of a JSON body. The handler holds the exchange meanwhile.
void http_connection::collect(const exchange_ptr& x, std::shared_ptr<collector> c) {
  x->read_body([this, x, c = std::move(c)](core::result<transport::body_chunk> piece) {
    if (!x->cancelled()) // else this connection may be gone
      collected(x, c, std::move(piece));
  });
}

void http_connection::collected(const exchange_ptr& x, const std::shared_ptr<collector>& c,
                                core::result<transport::body_chunk> piece) {
  if (!piece)
    return send_error(*x, std::move(piece.error()));
  auto ok = c->guard.feed(piece->data.view(), c->text);
  if (ok && !piece->last)
    return collect(x, c);
  auto& r = x->about();
  if (ok)
    ok = c->guard.finish();
  if (ok)
    ok = merge_body(c->text, r.body_format, r.call.args);
  if (!ok)
    return send_error(*x, std::move(ok.error()));
  c->text = {};
  set_deadlines(r); // the body may have taken its time
  handle(x);
}

void http_connection::handle(exchange_ptr x) {
  const auto* op = x->request().op;
  try {
    op->handle(x);
  } catch (const std::exception& e) {
    core::log::error("http", "an operation threw", {{"path", op->path}, {"what", e.what()}});
    x->fail({ec::internal, "the operation failed"});
  }
}

void http_connection::count(http_exchange& x, std::uint16_t status, core::ec why) {
  const auto& c = x.request();
  service_->metrics().requests.end(c.op, now() - c.started, status, why);
}

/// The answer is complete: counted before its last byte goes out, so a caller who has it finds it
/// in the metrics. The exchange is still to be detached.
void http_connection::over(http_exchange& x, std::uint16_t status, core::ec why) {
  count(x, status, why);
  current_ = nullptr;
  flush();
  machine_.answer_finished(now());
}

void http_connection::complete(http_exchange& x, std::uint16_t status, core::ec why) {
  over(x, status, why);
  x.leave();
  pump();
}

answer_context http_connection::context(const http::request& r, bool close) {
  return {.date = tools().date.at(service_->clock().wall_ms()),
          .corr = r.call.corr.text(),
          .trace = r.call.traceparent,
          .close = close,
          .head_only = r.head_only,
          .cbor = r.answer_format == format::cbor};
}

// -- answers -------------------------------------------------------------------------------

void http_connection::enter(const std::function<void()>& f) {
  self_->enter(f);
}

void http_connection::ask_body(http_exchange&) {
  machine_.ask_body(now());
  pump();
}

void http_connection::send_answer(http_exchange& x, transport::answer a) {
  if (x.streaming())
    return cut(x, "answered twice");
  auto keep = x.weak_from_this().lock();
  const auto& r = x.about();
  const bool reading = r.call.op && r.call.op->method == "GET";
  auto tag = std::ranges::find_if(a.headers, [](const auto& h) { return h.name == "ETag"; });
  if (reading && a.status == 200 && tag != a.headers.end()
      && none_match_hits(r.call.if_none_match, tag->value)) {
    a.status = 304;
    a.result = nullptr;
    a.content_type.clear();
  }
  std::string text;
  append_answer(text, a, context(r, machine_.answer_started(now())));
  out_.push_back(core::bytes::copy(text));
  complete(x, a.status, a.status < 400 ? ec::none : from_status(a.status));
}

void http_connection::send_error(http_exchange& x, core::error e) {
  if (x.streaming())
    return cut(x, "failed after it began");
  auto keep = x.weak_from_this().lock();
  write_error(x, e);
  complete(x, core::info(e.code).http_status, e.code);
}

void http_connection::write_error(http_exchange& x, const core::error& e) {
  std::string text;
  append_error(text, e, context(x.about(), machine_.answer_started(now())));
  out_.push_back(core::bytes::copy(text));
}

void http_connection::send_object_head(http_exchange& x, const transport::object_head& h) {
  const auto& r = x.about();
  const bool unchanged = none_match_hits(r.call.if_none_match, etag_of(h.cid));
  auto c = context(r, machine_.answer_started(now()));
  c.immutable = names_object(r.call.args, h.cid);
  std::string text;
  append_object_head(text, h, unchanged, c);
  out_.push_back(core::bytes::copy(text));
  object_left_ = h.length;
  object_status_ = unchanged ? 304 : h.partial ? 206 : 200;
  if (unchanged || x.head_only()) {
    // Complete as it is: an operation that writes on nevertheless is not kept busy with it.
    auto keep = x.weak_from_this().lock();
    return complete(x, object_status_, ec::none);
  }
  // The first bytes usually follow within this turn: one write for both.
  self_->defer([this] { end_of_turn(); });
}

void http_connection::send_object_bytes(http_exchange& x, core::bytes chunk) {
  if (chunk.size() > object_left_)
    return cut(x, "more bytes than announced");
  object_left_ -= chunk.size();
  gathered_ += chunk.size();
  if (!chunk.empty())
    out_.push_back(std::move(chunk));
  // What comes within this turn goes out together, be it the next group or the next answer's head.
  if (gathered_ >= backlog_max)
    flush();
  else
    self_->defer([this] { end_of_turn(); });
  offer_room();
}

void http_connection::send_object_end(http_exchange& x) {
  if (object_left_ != 0)
    return cut(x, "fewer bytes than announced");
  auto keep = x.weak_from_this().lock();
  complete(x, object_status_, ec::none);
}

/// The head is out and promises what will not come: the connection is the only way to say so.
void http_connection::cut(http_exchange& x, const char* why) {
  core::log::warn("http", "answer cut off",
                  {{"corr", x.request().corr.text()}, {"reason", why}});
  auto keep = x.weak_from_this().lock();
  machine_.abort();
  complete(x, 500, ec::internal);
}

void http_connection::dropped(http_exchange& x) noexcept {
  enter([&] { send_error(x, {ec::internal, "the operation gave no answer"}); });
}

// -- output --------------------------------------------------------------------------------

void http_connection::flush() {
  gathered_ = 0;
  if (out_.empty() || ended_)
    return out_.clear();
  link_->write(out_);
}

bool http_connection::has_room() const noexcept {
  return link_->backlog() + gathered_ < backlog_max;
}

/// Tells the operation to write on while the kernel takes it: a few times in a row at most, then
/// other actors of the shard get their turn. An operation that writes from inside the call does
/// not nest deeper.
void http_connection::offer_room() {
  if (std::exchange(offering_, true))
    return;
  for (int i = 0; i < offers_max && current_ && has_room(); ++i) {
    auto keep = current_->weak_from_this().lock();
    if (!keep || !keep->room())
      break;
  }
  offering_ = false;
  if (current_ && current_->waits_for_room() && has_room())
    self_->defer([this] { end_of_turn(); });
}

void http_connection::end_of_turn() {
  flush();
  offer_room();
  pump();
}

// -- the actor -----------------------------------------------------------------------------

caf::behavior make_http_connection(http_connection_self self, http_service_ptr service,
                                   transport::wire via, link_factory make_link) {
  // A link that cannot be made throws and ends the actor with the reason.
  self->state.connection = std::make_unique<http_connection>(self, std::move(service), via,
                                                             std::move(make_link));
  return {
    [self](atom::drain) { self->state.connection->drain(); },
  };
}

} // namespace ron::http
