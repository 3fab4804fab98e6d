#include "storage/operations.hpp"

#include "core/actor/actor.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "storage/replication_routes.hpp"
#include "transport/http/conditional.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <algorithm>

namespace ron::storage {

using core::bytes;
using core::ec;
using core::error;
using core::json;
using core::object_reader;
using core::result;
using transport::exchange_ptr;

namespace {

/// Of one step of a transfer; the transfer as a whole may take as long as bytes keep moving.
constexpr std::chrono::seconds step_timeout{10};
/// An upload that is still open after this is thrown away by the store.
constexpr std::chrono::hours upload_life{1};

using role = core::downstream<storage_actor>;

core::instant step_deadline(const exchange_ptr& x) {
  return x->self()->clock().now() + step_timeout;
}

// -- put -------------------------------------------------------------------------

/// Nobody waits for the outcome, so there is no sender: an answer to an actor that does not expect
/// one would come back as an error message, and that ends the store.
void send_abort(const role& storage, std::uint64_t id) {
  if (auto target = storage.role().get())
    caf::anon_send(target, put_abort{id});
}

/// One upload on its way from the exchange into the store: a piece at a time, the next one is
/// asked for when the store has taken the last.
class upload : public std::enable_shared_from_this<upload> {
public:
  /// `node`: the store of another node that the object is kept for.
  upload(role storage, exchange_ptr x, std::optional<store_id> node = {})
    : storage_(std::move(storage)), x_(std::move(x)), node_(node) {
    // nop
  }

  void start(const std::optional<core::cid>& expected) {
    open_put o;
    o.tenant = node_.value_or(x_->caller().tenant);
    o.expected = expected;
    o.replica = node_.has_value();
    o.deadline = x_->self()->clock().now() + upload_life;
    storage_.call(x_->self(), x_->request().deadline, o)
      .then(
        [me = shared_from_this()](const put_handle& h) {
          me->id_ = h.id;
          me->x_->on_cancel([storage = me->storage_, id = h.id] {
            send_abort(storage, id);
          });
          me->pull();
        },
        [me = shared_from_this()](error e) { me->x_->fail(std::move(e)); });
  }

private:
  void pull() {
    x_->read_body([me = shared_from_this()](result<transport::body_chunk> piece) {
      if (!piece)
        return me->give_up(std::move(piece.error()));
      me->push(*piece);
    });
  }

  void push(const transport::body_chunk& piece) {
    if (piece.data.empty())
      return piece.last ? commit() : pull();
    storage_.further(x_->self(), step_deadline(x_), put_write{id_, piece.data})
      .then(
        [me = shared_from_this(), last = piece.last](atom::ok) {
          last ? me->commit() : me->pull();
        },
        [me = shared_from_this()](error e) { me->give_up(std::move(e)); });
  }

  void commit() {
    storage_.further(x_->self(), step_deadline(x_), put_commit{id_})
      .then(
        [me = shared_from_this()](const put_result& r) {
          const auto cid = r.cid.to_text();
          transport::answer a;
          a.status = r.existed ? 200 : 201;
          a.result = {{"cid", cid}, {"size", r.size}};
          a.headers = {{"Location", "/v1/o/" + cid}};
          me->x_->reply(std::move(a));
        },
        [me = shared_from_this()](error e) { me->give_up(std::move(e)); });
  }

  void give_up(error why) {
    send_abort(storage_, id_);
    x_->fail(std::move(why));
  }

  role storage_;
  exchange_ptr x_;
  const std::optional<store_id> node_;
  std::uint64_t id_ = 0;
};

void serve_put(const role& storage, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto expected = in.optional_cid("cid");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  std::make_shared<upload>(storage, x)->start(expected);
}

/// As `o.put`, but for another node that copies an object of its own here.
void take_copy(const role& storage, const exchange_ptr& x, const store_id& node,
               const core::cid& cid) {
  std::make_shared<upload>(storage, x, node)->start(cid);
}

// -- get -------------------------------------------------------------------------

/// One download: reads a group, hands it to the exchange, reads the next when there is room.
/// Every byte was verified by the store before it arrives here.
class download : public std::enable_shared_from_this<download> {
public:
  download(role storage, exchange_ptr x, core::cid cid)
    : storage_(std::move(storage)), x_(std::move(x)), cid_(cid) {
    // nop
  }

  void start() {
    if (needs_size_first())
      return ask_size();
    const auto range = x_->request().range.value_or(transport::range_request{});
    at_ = range.first.value_or(0);
    constexpr auto all = ~std::uint64_t{0};
    const auto wanted = range.last && *range.last != all ? *range.last - at_ + 1 : all;
    storage_.call(x_->self(), x_->request().deadline, read_object{cid_, at_, wanted})
      .then([me = shared_from_this()](const chunk& c) { me->begin_with(c); },
            [me = shared_from_this()](error e) {
              // The answer to a range beyond the end says where the end is.
              if (e.code == ec::range_not_satisfiable)
                return me->ask_size();
              me->x_->fail(std::move(e));
            });
  }

private:
  /// Most requests say where the bytes begin: the store is asked for them at once, and their answer
  /// says how large the object is. The others depend on its size, or may need no byte of it.
  bool needs_size_first() const {
    const auto& r = x_->request();
    return x_->head_only() || !r.if_none_match.empty() || !r.if_range.empty()
           || (r.range && r.range->suffix);
  }

  void ask_size() {
    storage_.call(x_->self(), x_->request().deadline, head_object{cid_})
      .then(
        [me = shared_from_this()](const object_info& o) {
          if (me->select(o.size))
            me->read_next();
        },
        [me = shared_from_this()](error e) { me->x_->fail(std::move(e)); });
  }

  void begin_with(const chunk& first) {
    if (select(first.object_size))
      send(first);
  }

  /// Which bytes of an object of this size go out. False if none do: then it is answered.
  bool select(std::uint64_t size) {
    auto span = http::select_span(x_->request(), cid_, size);
    if (!span) {
      if (transport::is_oap(x_->request().via))
        x_->fail(std::move(span.error()));
      else
        x_->reply(http::unsatisfiable_range(size));
      return false;
    }
    head_.cid = cid_;
    head_.size = size;
    head_.first = span->first;
    head_.length = span->length;
    head_.partial = span->partial;
    at_ = span->first;
    end_ = span->first + span->length;
    if (!x_->head_only() && at_ < end_)
      return true;
    x_->begin(head_);
    x_->finish();
    return false;
  }

  void read_next() {
    const auto deadline = began_ ? step_deadline(x_) : x_->request().deadline;
    storage_.further(x_->self(), deadline, read_object{cid_, at_, end_ - at_})
      .then([me = shared_from_this()](const chunk& c) { me->send(c); },
            [me = shared_from_this()](error e) { me->x_->fail(std::move(e)); });
  }

  void send(const chunk& c) {
    // The head goes out with the first verified bytes, so that a corrupt object is an error and
    // not a torn answer.
    if (!began_) {
      began_ = true;
      x_->begin(head_);
    }
    at_ += c.data.size();
    if (at_ >= end_) {
      x_->write(c.data, [x = x_] { x->finish(); });
      return;
    }
    x_->write(c.data, [me = shared_from_this()] {
      if (!me->x_->cancelled())
        me->read_next();
    });
  }

  role storage_;
  exchange_ptr x_;
  core::cid cid_;
  transport::object_head head_;
  std::uint64_t at_ = 0;
  std::uint64_t end_ = 0;
  bool began_ = false;
};

void serve_get(const role& storage, const exchange_ptr& x) {
  auto in = transport::args_of(x->request());
  auto cid = in.cid("cid");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  std::make_shared<download>(storage, x, cid)->start();
}

void serve_head(const role& storage, const exchange_ptr& x) {
  auto in = transport::args_of(x->request());
  auto cid = in.cid("cid");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  storage.call(x->self(), x->request().deadline, head_object{cid})
    .then(
      [x](const object_info& o) {
        transport::answer a;
        a.result = {{"cid", o.cid.to_text()}, {"size", o.size}};
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

// -- delete ------------------------------------------------------------------------

void delete_now(const role& storage, const exchange_ptr& x, const core::cid& cid) {
  storage.further(x->self(), x->request().deadline, del_object{cid, x->caller().tenant})
    .then(
      [x](atom::ok) {
        transport::answer a;
        a.status = 204;
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

void serve_delete(const role& storage, const name_check& named, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto cid = in.cid("cid");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  if (!named)
    return delete_now(storage, x, cid);
  named(x, cid, [=](result<bool> is) {
    if (!is)
      x->fail(std::move(is.error()));
    else if (*is)
      x->fail({ec::conflict, "a name points at the object: remove or move the name first"});
    else
      delete_now(storage, x, cid);
  });
}

// -- pins --------------------------------------------------------------------------

json summary(const object_info& o) {
  return {{"cid", o.cid.to_text()}, {"size", o.size}, {"pins", o.pins}};
}

/// `Change`: pin_object or unpin_object.
template <class Change>
void serve_pin(const role& storage, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto cid = in.cid("cid");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  storage.call(x->self(), x->request().deadline, Change{cid})
    .then(
      [x](const object_info& o) {
        transport::answer a;
        a.result = summary(o);
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

void serve_pins(const role& storage, const exchange_ptr& x) {
  object_reader in{x->request().args};
  list_pins q;
  q.limit = static_cast<std::uint32_t>(in.optional_uint("limit", 1, page_max).value_or(100));
  q.after = in.optional_cid("cursor");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  storage.call(x->self(), x->request().deadline, q)
    .then(
      [x](const object_page& page) {
        json items = json::array();
        for (const auto& o : page.items)
          items.push_back(summary(o));
        transport::answer a;
        a.result = {{"items", std::move(items)},
                    {"next_cursor", page.next ? json(page.next->to_text()) : json(nullptr)}};
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

// -- scrub -------------------------------------------------------------------------

json to_json(const scrub_status& s) {
  json damaged = json::array();
  for (const auto& c : s.damaged)
    damaged.push_back(c.to_text());
  return {{"pass", s.pass},
          {"running", s.running},
          {"asked", s.asked},
          {"objects", s.objects},
          {"groups", s.groups},
          {"bytes", s.bytes},
          {"corrupt", s.corrupt},
          {"damaged", std::move(damaged)},
          {"started_at_ms", s.started_ms},
          {"ended_at_ms", s.ended_ms}};
}

void serve_scrub(const role& storage, const exchange_ptr& x, std::optional<bool> start) {
  object_reader in{x->request().args};
  if (!start)
    start = in.optional_boolean("start").value_or(false);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  storage.call(x->self(), x->request().deadline, scrub_store{*start})
    .then(
      [x, started = *start](const scrub_status& s) {
        transport::answer a;
        a.status = started ? 202 : 200;
        a.result = to_json(s);
        x->reply(std::move(a));
      },
      [x](error e) { x->fail(std::move(e)); });
}

} // namespace

std::vector<transport::operation> admin_operations(role storage) {
  using transport::access;
  constexpr auto label = transport::route::other;
  return {replication_admin_operation(storage),
          {.method = "POST", .path = "/admin/scrub", .label = label, .needs = access::admin,
           .handle = [=](exchange_ptr x) { serve_scrub(storage, x, true); }},
          {.method = "GET", .path = "/admin/scrub", .label = label, .needs = access::admin,
           .handle = [=](exchange_ptr x) { serve_scrub(storage, x, false); }}};
}

std::vector<transport::operation> operations(role storage, name_check named) {
  using transport::access;
  using transport::body;
  using transport::operation;
  constexpr auto label = transport::route::o;
  const auto put = [=](exchange_ptr x) { serve_put(storage, x); };
  const auto get = [=](exchange_ptr x) { serve_get(storage, x); };
  std::vector<operation> rows;
  rows.push_back({.name = "o.put", .method = "PUT", .path = "/v1/o", .label = label,
                  .needs = access::write, .takes = body::object, .handle = put});
  rows.push_back({.method = "PUT", .path = "/v1/o/{cid}", .label = label, .needs = access::write,
                  .takes = body::object, .handle = put});
  rows.push_back({.name = "o.get", .method = "GET", .path = "/v1/o/{cid}", .label = label,
                  .needs = access::read, .reads_packed = true, .handle = get});
  rows.push_back({.method = "GET", .path = "/o/{cid}", .label = label, .needs = access::read,
                  .handle = get});
  rows.push_back({.name = "o.head", .label = label, .needs = access::read, .reads_packed = true,
                  .handle = [=](exchange_ptr x) { serve_head(storage, x); }});
  rows.push_back({.name = "o.del", .method = "DELETE", .path = "/v1/o/{cid}", .label = label,
                  .needs = access::write,
                  .handle = [=](exchange_ptr x) { serve_delete(storage, named, x); }});
  rows.push_back({.name = "o.pin", .method = "POST", .path = "/v1/o/{cid}/pin", .label = label,
                  .needs = access::admin,
                  .handle = [=](exchange_ptr x) { serve_pin<pin_object>(storage, x); }});
  rows.push_back({.name = "o.unpin", .method = "DELETE", .path = "/v1/o/{cid}/pin",
                  .label = label, .needs = access::admin,
                  .handle = [=](exchange_ptr x) { serve_pin<unpin_object>(storage, x); }});
  rows.push_back({.name = "o.pins", .method = "GET", .path = "/v1/pins", .label = label,
                  .needs = access::admin,
                  .query = {{"limit", transport::query_param::type::integer}, {"cursor"}},
                  .handle = [=](exchange_ptr x) { serve_pins(storage, x); }});
  rows.push_back({.name = "o.scrub", .label = label, .needs = access::admin,
                  .handle = [=](exchange_ptr x) { serve_scrub(storage, x, std::nullopt); }});
  auto copy = [=](const exchange_ptr& x, const store_id& node, const core::cid& cid) {
    take_copy(storage, x, node, cid);
  };
  for (auto& row : replication_operations(storage, named, copy))
    rows.push_back(std::move(row));
  return rows;
}

} // namespace ron::storage
