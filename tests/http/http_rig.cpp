#include "http/http_rig.hpp"

namespace ron::test {

namespace {

using core::ec;
using transport::exchange_ptr;

/// Counts the bytes of an upload, one piece after the other.
struct upload : std::enable_shared_from_this<upload> {
  upload(exchange_ptr e, toy_world& w) : x(std::move(e)), world(w) {
  }

  void next() {
    x->read_body([me = shared_from_this()](core::result<transport::body_chunk> piece) {
      if (!piece)
        return me->x->fail(piece.error());
      ++me->world.pieces;
      me->size += piece->data.size();
      me->world.uploaded += piece->data.size();
      me->sum = me->sum * 31 + piece->data.size();
      if (piece->data.size() > me->world.largest_piece)
        me->world.largest_piece = piece->data.size();
      if (!piece->last)
        return me->next();
      transport::answer a;
      a.status = 201;
      a.result = {{"size", me->size}};
      me->x->reply(std::move(a));
    });
  }

  exchange_ptr x;
  toy_world& world;
  std::uint64_t size = 0;
  std::uint64_t sum = 0;
};

/// Sends a toy object in chunks of 64 KiB.
struct download : std::enable_shared_from_this<download> {
  download(exchange_ptr e, toy_world& w) : x(std::move(e)), world(w) {
  }

  void start(std::uint64_t size) {
    core::cid id;
    id.hash[0] = 7;
    auto span = http::select_span(x->request(), id, size);
    if (!span)
      return x->reply(http::unsatisfiable_range(size));
    data = core::bytes::copy(toy_object(size)).slice(span->first, span->length);
    transport::object_head head;
    head.cid = id;
    head.size = size;
    head.first = span->first;
    head.length = span->length;
    head.partial = span->partial;
    x->begin(head);
    next();
  }
  void next() {
    if (data.empty())
      return x->finish();
    auto piece = data.slice(0, core::limits::chunk_bytes);
    data = data.slice(piece.size());
    world.produced += piece.size();
    x->write(std::move(piece), [me = shared_from_this()] { me->next(); });
  }

  exchange_ptr x;
  toy_world& world;
  core::bytes data;
};

void hold(const exchange_ptr& x, toy_world& world) {
  x->on_cancel([&world] { ++world.cancelled; });
  std::lock_guard guard{world.mutex};
  world.held.push_back(x);
  ++world.waiting;
}

} // namespace

std::vector<transport::operation> toy_operations(toy_world& world) {
  using transport::access;
  using transport::body;
  using transport::operation;
  using transport::query_param;
  using transport::route;
  auto w = &world;
  return {
      operation{.method = "POST",
                .path = "/echo/{id}",
                .label = route::name,
                .takes = body::json,
                .query = {{"limit", query_param::type::integer}},
                .handle =
                    [](exchange_ptr x) {
                      transport::answer a;
                      a.result = x->request().args;
                      a.result["who"] = x->caller().id;
                      x->reply(std::move(a));
                    }},
      operation{.method = "GET",
                .path = "/tagged",
                .handle =
                    [](exchange_ptr x) {
                      transport::answer a;
                      a.result = {{"a", 1}};
                      a.headers = {{"ETag", "\"v1\""}};
                      x->reply(std::move(a));
                    }},
      operation{.method = "PUT",
                .path = "/o",
                .label = route::o,
                .takes = body::object,
                .handle =
                    [w](exchange_ptr x) {
                      x->on_cancel([w] { ++w->cancelled; });
                      if (x->request().body_length.value_or(0) > 100'000'000)
                        return x->fail({ec::body_cap, "too large"});
                      std::make_shared<upload>(x, *w)->next();
                    }},
      operation{.method = "GET",
                .path = "/o/{size}",
                .label = route::o,
                .handle =
                    [w](exchange_ptr x) {
                      auto size = std::stoull(x->request().args["size"].get<std::string>());
                      std::make_shared<download>(x, *w)->start(size);
                    }},
      operation{.method = "GET",
                .path = "/hold",
                .handle =
                    [w](exchange_ptr x) {
                      hold(x, *w);
                    }},
      operation{.method = "GET",
                .path = "/wait",
                .waits = true,
                .handle =
                    [w](exchange_ptr x) {
                      hold(x, *w);
                    }},
      operation{.method = "GET",
                .path = "/drop",
                .handle =
                    [](exchange_ptr) {
                    }},
      operation{.method = "GET",
                .path = "/throw",
                .handle =
                    [](exchange_ptr) {
                      throw std::runtime_error{"broken"};
                    }},
      operation{.method = "GET",
                .path = "/busy",
                .handle =
                    [](exchange_ptr x) {
                      x->fail({ec::busy, "full", 1'500});
                    }},
      operation{.method = "GET",
                .path = "/cut",
                .handle =
                    [](exchange_ptr x) {
                      transport::object_head h;
                      h.size = h.length = 1'000;
                      x->begin(h);
                      x->write(core::bytes::copy("0123456789"),
                               [x] { x->fail({ec::downstream_5xx, "lost it"}); });
                    }},
      operation{.method = "GET",
                .path = "/twice",
                .handle =
                    [](exchange_ptr x) {
                      x->reply(bare(204));
                      x->reply(bare(200));
                      x->fail({ec::internal, "no"});
                      x->begin({});
                      x->write(core::bytes::copy("x"), {});
                      x->finish();
                    }},
  };
}

} // namespace ron::test
