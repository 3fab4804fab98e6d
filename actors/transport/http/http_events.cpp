#include "transport/http/event_stream.hpp"
#include "transport/http/http_connection.hpp"

/// The part of a connection that streams events.
namespace ron::http {

void http_connection::send_events_head(http_exchange& x) {
  const auto& r = x.about();
  chunked_ = !r.http_1_0;
  std::string text;
  append_events_head(text, chunked_, context(r, machine_.events_started(now())));
  if (x.head_only()) {
    auto keep = x.weak_from_this().lock();
    out_.push_back(core::bytes::copy(text));
    return complete(x, 200, core::ec::none);
  }
  send_lines(std::move(text), first_lines);
}

/// `lines` of the stream behind `text`, which goes out as it is.
void http_connection::send_lines(std::string text, std::string_view lines) {
  if (chunked_)
    append_chunk(text, lines);
  else
    text.append(lines);
  out_.push_back(core::bytes::copy(text));
  self_->defer([this] { end_of_turn(); }); // what one turn brings goes out in one write
}

void http_connection::send_events(http_exchange&, std::string_view lines) {
  send_lines({}, lines);
}

void http_connection::send_events_end(http_exchange& x, std::string_view lines, core::ec why) {
  auto keep = x.weak_from_this().lock();
  send_lines({}, lines);
  if (chunked_)
    out_.push_back(core::bytes::literal(last_chunk));
  complete(x, 200, why);
}

void http_connection::ask_room(http_exchange&) {
  offer_room();
}

} // namespace ron::http
