#pragma once

#include "transport/http/request.hpp"
#include "transport/operation.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace ron::http {

class http_exchange;

/// What an exchange asks of the connection that serves it. Not called once `leave` was.
class exchange_host {
public:
  virtual core::any_actor* self() noexcept = 0;
  /// Runs `f` as the actor of the connection.
  virtual void enter(const std::function<void()>& f) = 0;
  virtual void ask_body(http_exchange& x) = 0;
  virtual void send_answer(http_exchange& x, transport::answer a) = 0;
  virtual void send_error(http_exchange& x, core::error e) = 0;
  virtual void send_object_head(http_exchange& x, const transport::object_head& h) = 0;
  virtual void send_object_bytes(http_exchange& x, core::bytes chunk) = 0;
  virtual void send_object_end(http_exchange& x) = 0;
  virtual void send_events_head(http_exchange& x) = 0;
  /// Whole lines of an event stream.
  virtual void send_events(http_exchange& x, std::string_view text) = 0;
  /// `text` is the last of it.
  virtual void send_events_end(http_exchange& x, std::string_view text, core::ec why) = 0;
  virtual void ask_room(http_exchange& x) = 0;
  /// The last reference went without an answer.
  virtual void dropped(http_exchange& x) noexcept = 0;

protected:
  ~exchange_host() = default;
};

/// One request on an HTTP connection. Knows in which order things may be said; what goes over the
/// wire is its host's business. After its answer (for HEAD and 304 that is `begin`), and after the
/// caller is gone, it is detached: every call is legal and does nothing.
class http_exchange final : public transport::exchange,
                            public std::enable_shared_from_this<http_exchange> {
public:
  http_exchange(exchange_host& host, core::any_actor* self, http::request r);
  ~http_exchange() override;

  // -- transport::exchange ---------------------------------------------------------
  const transport::call& request() const noexcept override { return request_.call; }
  const transport::principal& caller() const noexcept override { return admission_.who; }
  core::any_actor* self() noexcept override { return self_; }
  void read_body(body_handler then) override;
  void reply(transport::answer a) override;
  void fail(core::error e) override;
  void begin(transport::object_head head) override;
  void write(core::bytes chunk, room_handler room) override;
  void finish() override;
  void begin_events(core::json about) override;
  void want_room(events_handler room) override;
  void push(transport::event e) override;
  void beat() override;
  bool head_only() const noexcept override { return request_.head_only; }
  bool cancelled() const noexcept override { return host_ == nullptr; }
  void on_cancel(std::function<void()> f) override;

  // -- for the connection ------------------------------------------------------------
  http::request& about() noexcept { return request_; }
  /// It is at the gate, which hears of its end from now on.
  void admit(transport::admission a) { admission_ = std::move(a); }
  /// Hands over what `read_body` waits for.
  void body(core::result<transport::body_chunk> r);
  /// Hands over the word that there is room, if somebody waits for it. True if so.
  bool room();
  bool waits_for_room() const noexcept { return room_ != nullptr; }
  bool streaming() const noexcept { return streaming_; }
  bool has_events() const noexcept { return events_; }
  /// The node drains: what waits ends with a word about it, and whoever serves it is told.
  void drain(core::error why);
  /// The answer is complete: detached, nobody is told.
  void leave() noexcept;
  /// The caller is gone, or got `why` instead of an answer: detached, whoever waits is told.
  void cancel(core::error why);

private:
  exchange_host* host_;            ///< null once detached
  core::any_actor* self_;
  http::request request_;
  transport::admission admission_;
  bool streaming_ = false;         ///< `begin` was called
  bool events_ = false;            ///< `begin_events` was called
  body_handler body_;
  room_handler room_;
  std::function<void()> cancel_;
};

} // namespace ron::http
