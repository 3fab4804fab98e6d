#include "omnigate/operations.hpp"

#include "core/actor/actor.hpp"
#include "core/hash.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "omnigate/hydration.hpp"
#include "transport/http/conditional.hpp"

#include <caf/event_based_actor.hpp>

namespace ron::omnigate {

using core::ec;
using core::error;
using core::json;
using transport::exchange_ptr;

namespace {

constexpr std::chrono::milliseconds index_cap{1'200};
constexpr std::chrono::milliseconds storage_cap{1'500};
constexpr std::chrono::milliseconds mailbox_cap{800};
constexpr std::uint32_t recent_messages = 10;
constexpr std::size_t id_bytes_max = 1'024;

/// One view being put together: asks the legs the machine names, answers when it is done.
class object_view : public std::enable_shared_from_this<object_view> {
public:
  object_view(view_parts parts, exchange_ptr x, index::resolve_key key)
    : parts_(std::move(parts)), x_(std::move(x)), key_(std::move(key)), machine_("object") {
    // nop
  }

  /// Turns what the machine wants into requests. The only function that talks.
  void pump() {
    for (auto l : machine_.next())
      ask(l);
    if (machine_.done())
      answer();
  }

private:
  core::instant deadline(std::chrono::milliseconds cap) const {
    const auto now = x_->self()->clock().now();
    const auto whole = core::leg_deadline(x_->request().deadline, x_->request().started,
                                          parts_.budget);
    return core::leg_deadline(whole, now, cap);
  }

  void ask(leg l) {
    switch (l) {
      case leg::index:
        return ask_index();
      case leg::storage:
        return ask_storage();
      case leg::mailbox:
        return ask_mailbox();
    }
  }

  void ask_index() {
    parts_.index.call(x_->self(), deadline(index_cap), key_)
      .then(
        [me = shared_from_this()](const index::resolution& r) {
          me->key_.cid = r.cid;
          auto manifest = core::parse_json(r.manifest);
          me->got(leg::index,
                  {{"cid", r.cid.to_text()},
                   {"name", me->key_.name.empty() ? json(nullptr) : json(me->key_.name)},
                   {"version", r.version == 0 ? json(nullptr) : json(r.version)},
                   {"manifest", manifest ? std::move(*manifest) : json(nullptr)}});
        },
        [me = shared_from_this()](const error& e) {
          // An id is its own resolution: an object without a manifest can still be shown.
          if (e.code == ec::not_found && me->key_.name.empty())
            me->got(leg::index, {{"cid", me->key_.cid.to_text()},
                                 {"name", nullptr},
                                 {"version", nullptr},
                                 {"manifest", nullptr}});
          else
            me->lost(leg::index, e);
        });
  }

  void ask_storage() {
    parts_.storage.call(x_->self(), deadline(storage_cap), storage::head_object{key_.cid})
      .then(
        [me = shared_from_this()](const storage::object_info& o) {
          me->got(leg::storage, {{"object", {{"size", o.size}, {"pins", o.pins}}}});
        },
        [me = shared_from_this()](const error& e) {
          me->lost(leg::storage, e);
        });
  }

  void ask_mailbox() {
    mailbox::look q;
    q.topic = key_.cid.to_text(); // messages about an object are sent to its id
    q.limit = recent_messages;
    parts_.mailbox.call(x_->self(), deadline(mailbox_cap), std::move(q))
      .then(
        [me = shared_from_this()](const mailbox::headlines& page) {
          json items = json::array();
          for (const auto& h : page.items)
            items.push_back({{"message_id", h.message_id},
                             {"size", h.size},
                             {"received_at_ms", h.received_at_ms}});
          me->got(leg::mailbox, {{"messages", std::move(items)}});
        },
        [me = shared_from_this()](const error& e) { me->lost(leg::mailbox, e); });
  }

  void got(leg l, json data) {
    machine_.on_ok(l, std::move(data));
    pump();
  }
  void lost(leg l, const error& e) {
    machine_.on_error(l, e);
    pump();
  }

  void answer() {
    auto body = machine_.body();
    if (!body)
      return x_->fail(std::move(body.error()));
    // An unknown id resolved to itself above; without an object there is nothing behind it.
    if (key_.name.empty() && (*body)["parts"]["storage"] == "missing"
        && (*body)["data"]["manifest"].is_null())
      return x_->fail({ec::not_found, "nothing is known about this object"});
    transport::answer a;
    if (machine_.complete()) {
      const auto text = core::dump_json(*body);
      const auto tag = http::etag_of(core::b3::cid_of(
        {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}));
      a.headers = {{"ETag", tag}, {"Cache-Control", "no-cache"}};
      if (http::none_match_hits(x_->request().if_none_match, tag)) {
        a.status = 304;
        return x_->reply(std::move(a));
      }
    } else {
      a.headers = {{"Cache-Control", "no-store"}};
    }
    a.result = std::move(*body);
    x_->reply(std::move(a));
  }

  view_parts parts_;
  exchange_ptr x_;
  index::resolve_key key_;
  hydration machine_;
};

void serve_view(const view_parts& parts, const exchange_ptr& x) {
  core::object_reader in{x->request().args};
  auto view = in.text("view");
  auto id = in.text("id", {.min_bytes = 1, .max_bytes = id_bytes_max});
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  if (view != "object")
    return x->fail({ec::not_found, "no such view; there is: object"});
  auto key = index::parse_key(id);
  if (!key)
    return x->fail(std::move(key.error()));
  std::make_shared<object_view>(parts, x, std::move(*key))->pump();
}

} // namespace

std::vector<transport::operation> operations(view_parts parts) {
  return {{.name = "view", .method = "GET", .path = "/v1/view/{view}/{id...}",
           .label = transport::route::view, .needs = transport::access::read,
           .handle = [parts = std::move(parts)](exchange_ptr x) { serve_view(parts, x); }}};
}

} // namespace ron::omnigate
