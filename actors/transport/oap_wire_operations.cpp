#include "transport/oap_service.hpp"

namespace ron::transport {

namespace {

/// Sends back what comes, a piece at a time, as fast as the caller takes it.
class echo : public std::enable_shared_from_this<echo> {
public:
  explicit echo(exchange_ptr x) : x_(std::move(x)) {
    // nop
  }
  void pull() {
    x_->read_body([me = shared_from_this()](core::result<body_chunk> piece) {
      if (!piece)
        return me->x_->fail(std::move(piece.error()));
      if (piece->last && piece->data.empty())
        return me->x_->finish();
      me->x_->write(std::move(piece->data), [me, last = piece->last] {
        last ? me->x_->finish() : me->pull();
      });
    });
  }

private:
  exchange_ptr x_;
};

void serve_ping(const exchange_ptr& x) {
  x->reply({});
}

void serve_echo(const exchange_ptr& x) {
  std::make_shared<echo>(x)->pull();
}

} // namespace

std::vector<operation> wire_operations() {
  return {{.name = "ping", .needs = access::none, .handle = serve_ping},
          {.name = "echo", .needs = access::none, .takes = body::object, .handle = serve_echo}};
}

} // namespace ron::transport
