#include "transport/http/request_parser.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <optional>

namespace ron::http {

namespace {

namespace beast = boost::beast;
using beast::http::error;
using beast_text = beast::string_view;

bool has_control(std::string_view s) {
  return std::ranges::any_of(
    s, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

/// Receives what Beast finds. The head is known already; only body bytes are kept.
class parser final : public beast::http::basic_parser<true> {
public:
  std::string_view input;  ///< what `put` is looking at
  std::string_view piece;  ///< body bytes found by this `put`, inside `input`

private:
  void on_request_impl(beast::http::verb, beast_text, beast_text, int,
                       beast::error_code& ec) override {
    ec = {};
  }
  void on_response_impl(int, beast_text, int, beast::error_code& ec) override { ec = {}; }
  void on_field_impl(beast::http::field, beast_text name, beast_text value,
                     beast::error_code& ec) override {
    // The head has passed stricter rules already; what matters here are trailers. Beast joins
    // folded lines: then the value lies elsewhere, or a line ends between name and value.
    const auto* last = input.data() + input.size();
    const auto* line_end = std::find(name.data(), last, '\r');
    const bool inside = value.data() >= name.data() && value.data() + value.size() <= line_end;
    const auto line = static_cast<std::size_t>(line_end - name.data());
    if (!inside || (is_header_done() && line + 2 > request_parser::line_bytes_max))
      ec = error::bad_value;
    else
      ec = {};
  }
  void on_header_impl(beast::error_code& ec) override { ec = {}; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, beast::error_code& ec) override {
    ec = {};
  }
  std::size_t on_body_impl(beast_text body, beast::error_code& ec) override {
    ec = {};
    piece = {body.data(), body.size()};
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast_text extensions, beast::error_code& ec) override {
    // Beast lets any byte pass inside a quoted extension, a bare LF included. The bound on a line
    // holds whether it came in one piece or in many.
    const auto line = extensions.data() + extensions.size() - input.data();
    if (has_control({extensions.data(), extensions.size()})
        || static_cast<std::size_t>(line) + 1 > request_parser::line_bytes_max)
      ec = error::bad_chunk_extension;
    else
      ec = {};
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast_text body, beast::error_code& ec) override {
    ec = {};
    piece = {body.data(), body.size()};
    return body.size();
  }
  void on_finish_impl(beast::error_code& ec) override { ec = {}; }
};

auto malformed_body() {
  return core::fail(core::ec::bad_request, "the chunked framing of the body is malformed");
}

} // namespace

struct request_parser::impl {
  std::optional<parser> message;
};

request_parser::request_parser() : impl_(std::make_unique<impl>()) {
  // nop
}

request_parser::~request_parser() = default;

core::result<void> request_parser::begin(std::string_view head) {
  auto& p = impl_->message.emplace();
  p.body_limit(boost::none); // caps depend on the route and are enforced above
  p.header_limit(static_cast<std::uint32_t>(head.size() + trailer_bytes_max));
  p.input = head;
  beast::error_code ec;
  const auto used = p.put(boost::asio::const_buffer{head.data(), head.size()}, ec);
  if (ec || used != head.size() || !p.is_header_done())
    return core::fail(core::ec::bad_request, "the request head is malformed");
  return {};
}

core::result<request_parser::step> request_parser::next(const core::bytes& in) {
  auto& p = *impl_->message;
  step out;
  while (!p.is_done() && out.used < in.size() && out.data.empty()) {
    const auto rest = in.text().substr(out.used);
    p.input = rest;
    p.piece = {};
    beast::error_code ec;
    out.used += p.put(boost::asio::const_buffer{rest.data(), rest.size()}, ec);
    if (!p.piece.empty())
      out.data = in.slice(static_cast<std::size_t>(p.piece.data() - in.text().data()),
                          p.piece.size());
    if (ec == error::need_more) {
      if (in.size() - out.used > line_bytes_max)
        return malformed_body();
      break;
    }
    if (ec)
      return malformed_body();
  }
  return out;
}

bool request_parser::done() const noexcept {
  return impl_->message && impl_->message->is_done();
}

} // namespace ron::http
