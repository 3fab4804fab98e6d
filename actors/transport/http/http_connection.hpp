#pragma once

#include "core/actor/actor.hpp"
#include "transport/http/connection_machine.hpp"
#include "transport/http/http_exchange.hpp"
#include "transport/http/http_service.hpp"
#include "transport/http/response.hpp"
#include "transport/link.hpp"

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ron::http {

class http_connection;

struct http_connection_state {
  static constexpr const char* name = "http.connection";
  std::unique_ptr<http_connection> connection; ///< closes its link when it goes
};

using http_connection_self = core::dynamic_self<http_connection_state>;

/// One HTTP connection: executes what its machine decides. Owns the link, one timer and, while a
/// request is served, points to its exchange, which the operation owns.
class http_connection final : public transport::link_events, public exchange_host {
public:
  http_connection(http_connection_self self, http_service_ptr service, transport::wire via,
                  link_factory make_link);
  ~http_connection();
  http_connection(const http_connection&) = delete;
  http_connection& operator=(const http_connection&) = delete;

  /// Finishes what runs, answers a long poll and ends a stream of events at once, then ends.
  void drain();

  // -- transport::link_events ------------------------------------------------------
  void link_opened(const transport::link_info& info) override;
  void link_read(core::bytes slice) override;
  void link_read_end(bool clean) override;
  void link_written() override;
  void link_failed(const core::error& why) override;

  // -- exchange_host -----------------------------------------------------------------
  core::any_actor* self() noexcept override { return self_; }
  void enter(const std::function<void()>& f) override;
  void ask_body(http_exchange& x) override;
  void send_answer(http_exchange& x, transport::answer a) override;
  void send_error(http_exchange& x, core::error e) override;
  void send_object_head(http_exchange& x, const transport::object_head& h) override;
  void send_object_bytes(http_exchange& x, core::bytes chunk) override;
  void send_object_end(http_exchange& x) override;
  void send_events_head(http_exchange& x) override;
  void send_events(http_exchange& x, std::string_view text) override;
  void send_events_end(http_exchange& x, std::string_view text, core::ec why) override;
  void ask_room(http_exchange& x) override;
  void dropped(http_exchange& x) noexcept override;

private:
  using exchange_ptr = std::shared_ptr<http_exchange>;

  /// A JSON body while it is collected.
  struct collector;

  // -- the machine's actions -----------------------------------------------------------
  void pump();
  void perform(connection_machine::serve& a);
  void perform(connection_machine::refuse& a);
  void perform(connection_machine::send_continue& a);
  void perform(connection_machine::body& a);
  void perform(connection_machine::body_failed& a);
  void perform(connection_machine::expired& a);
  void perform(connection_machine::gone& a);
  void perform(connection_machine::shut& a);
  void perform(connection_machine::close& a);
  void arm_timer();

  // -- one request ---------------------------------------------------------------------
  void identify(http::request& r);
  void set_deadlines(http::request& r);
  void admitted(const exchange_ptr& x, core::result<transport::admission> r);
  void collect(const exchange_ptr& x, std::shared_ptr<collector> c);
  void collected(const exchange_ptr& x, const std::shared_ptr<collector>& c,
                 core::result<transport::body_chunk> piece);
  void handle(exchange_ptr x);
  void write_error(http_exchange& x, const core::error& e);
  void over(http_exchange& x, std::uint16_t status, core::ec why);
  void complete(http_exchange& x, std::uint16_t status, core::ec why);
  void count(http_exchange& x, std::uint16_t status, core::ec why);
  answer_context context(const http::request& r, bool close);
  void cut(http_exchange& x, const char* why);

  // -- events (http_events.cpp) -----------------------------------------------------------
  void send_lines(std::string text, std::string_view lines);

  // -- output --------------------------------------------------------------------------
  void flush();
  bool has_room() const noexcept;
  void offer_room();
  void end_of_turn();
  core::instant now() const noexcept { return service_->clock().now(); }

  http_connection_self self_;
  http_service_ptr service_;
  std::shared_ptr<const http_settings> settings_;
  transport::wire via_;
  link_factory make_link_;            ///< holds what belongs to the socket
  connection_machine machine_;
  transport::link_ptr link_;
  std::string peer_;
  http_exchange* current_ = nullptr;  ///< the request that is served; owned by who serves it
  std::vector<core::bytes> out_;      ///< not given to the link yet
  std::size_t gathered_ = 0;          ///< bytes of the object in `out_`
  std::uint64_t object_left_ = 0;     ///< bytes that the answer still promises
  std::uint16_t object_status_ = 200;
  bool chunked_ = false;              ///< how the events of `current_` are framed
  bool opened_ = false;
  bool reading_ = false;              ///< a read of the link is out
  bool pumping_ = false;
  bool pump_again_ = false;
  bool offering_ = false;
  bool ended_ = false;
  boost::asio::steady_timer timer_;
  std::optional<core::instant> armed_;
};

/// The actor of one connection. Ends when the connection does; `atom::drain` makes it finish what
/// runs first.
caf::behavior make_http_connection(http_connection_self self, http_service_ptr service,
                                   transport::wire via, link_factory make_link);

} // namespace ron::http
