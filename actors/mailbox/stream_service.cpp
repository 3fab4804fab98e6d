#include "mailbox/stream_service.hpp"

#include "core/ids.hpp"
#include "core/json.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

namespace ron::mailbox {

using core::json;
using transport::exchange_ptr;
using role = core::downstream<mailbox_actor>;

namespace {

/// What one ask brings at most, or one message that is longer: it waits for the wire here.
constexpr std::size_t payload_bytes_a_turn = 256u << 10;
/// An ask is answered at its end; the answer gets this much time on top.
constexpr milliseconds answer_grace{2'000};

/// One stream of events. Alive while the wire or the mailbox owes it a call. `Source` knows what is
/// asked of the mailbox and what an answer of it means.
template <class Source>
class event_stream : public std::enable_shared_from_this<event_stream<Source>> {
public:
  event_stream(role box, exchange_ptr x, Source source)
    : box_(std::move(box)), x_(std::move(x)), source_(std::move(source)), reader_(new_reader()) {
    // nop
  }

  void start() {
    leave_on_cancel(box_, x_, source_.options.topic, reader_);
    x_->begin_events(source_.about());
    go_on();
  }

private:
  void go_on() {
    x_->want_room([me = this->shared_from_this()](std::uint32_t room) {
      me->room_ = room;
      me->ask(false);
    });
  }

  /// Only waits when it is known that there is nothing: a request that may wait keeps its timer
  /// until the end of that time, although it is answered at once.
  void ask(bool wait) {
    auto target = box_.role().get();
    if (!target)
      return x_->fail({core::ec::degraded, "the mailbox is not available", 1'000});
    const auto now = x_->self()->clock().now();
    const auto until = wait ? now + source_.options.heartbeat : now;
    const auto timeout = core::timeout_until(until + answer_grace, now);
    const batch most{room_, payload_bytes_a_turn};
    waits_ = wait;
    x_->self()
      ->request(target, timeout, source_.question(most, until, reader_))
      .then([me = this->shared_from_this()](const typename Source::answer& got) { me->take(got); },
            [me = this->shared_from_this()](const caf::error& e) { me->end(core::to_error(e)); });
  }

  void take(const typename Source::answer& got) {
    if (x_->cancelled())
      return; // what it got is given back by its leave
    source_.went_on(got);
    if (got.messages.empty() && !waits_)
      return ask(true);
    if (got.messages.empty())
      x_->beat();
    for (const auto& d : got.messages)
      x_->push({d.message_id, source_.shape(d)});
    go_on();
  }

  void end(core::error why) {
    x_->fail(std::move(why));
    if (auto target = box_.role().get())
      caf::anon_send<caf::message_priority::high>(target, leave{source_.options.topic, reader_});
  }

  role box_;
  exchange_ptr x_;
  Source source_;
  reader_id reader_;
  std::uint32_t room_ = 0; ///< events that the wire takes now
  bool waits_ = false;     ///< the ask that is out waits for something
};

struct deliveries {
  using answer = received;
  subscription_options options;

  json about() const {
    return {{"topic", options.topic},
            {"visibility_ms", options.visibility.count()},
            {"max", options.held_max}};
  }
  receive question(batch most, core::instant until, reader_id reader) const {
    return {options.topic, most, options.visibility, until, reader, options.held_max};
  }
  json shape(const delivery& d) const { return to_json(d); }
  void went_on(const received&) {
    // nop: what it was given is in flight
  }
};

struct looks {
  using answer = browsed;
  follow_options options;

  json about() const { return {{"topic", options.topic}}; }
  browse question(batch most, core::instant until, reader_id reader) const {
    return {options.topic, {options.after, {}, most}, options.after.empty(), until, reader};
  }
  json shape(const delivery& d) const { return shown_json(d); }
  void went_on(const browsed& got) { options.after = got.cursor; }
};

template <class Source>
void stream(const role& box, const exchange_ptr& x, Source source) {
  std::make_shared<event_stream<Source>>(box, x, std::move(source))->start();
}

} // namespace

void subscribe(const role& box, const exchange_ptr& x, subscription_options o) {
  stream(box, x, deliveries{std::move(o)});
}

void follow(const role& box, const exchange_ptr& x, follow_options o) {
  stream(box, x, looks{std::move(o)});
}

reader_id new_reader() {
  std::array<std::uint8_t, sizeof(reader_id)> raw;
  core::random_bytes(raw);
  reader_id id = 0;
  std::memcpy(&id, raw.data(), sizeof id);
  return std::max<reader_id>(id, 1);
}

void leave_on_cancel(const role& box, const exchange_ptr& x, std::string topic, reader_id reader) {
  // Urgent, so that a full mailbox takes it; from nobody, because the asker may be on its way out.
  x->on_cancel([box, l = leave{std::move(topic), reader}] {
    if (auto target = box.role().get())
      caf::anon_send<caf::message_priority::high>(target, l);
  });
}

json shown_json(const delivery& d) {
  json attrs = json::object();
  for (const auto& [k, v] : d.attrs)
    attrs[k] = v;
  const auto bytes = d.payload.view();
  return {{"message_id", d.message_id.text()},
          {"payload", json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()))},
          {"key", d.key.empty() ? json(nullptr) : json(d.key)},
          {"attrs", std::move(attrs)},
          {"received_at_ms", d.received_at_ms}};
}

json to_json(const delivery& d) {
  auto out = shown_json(d);
  out["attempt"] = d.attempt;
  out["receipt"] = d.receipt;
  return out;
}

} // namespace ron::mailbox
