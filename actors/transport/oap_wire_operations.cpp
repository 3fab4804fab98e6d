#include "transport/oap_service.hpp"

namespace ron::transport {

namespace {

/// Sends back what comes, a piece at a time, as fast as the caller takes it. Whoever is to go on
/// holds the exchange: each step hands it to the next one.
void pull(exchange_ptr x) {
  auto& wire = *x;
  wire.read_body([x = std::move(x)](core::result<body_chunk> piece) mutable {
    if (!piece)
      return x->fail(std::move(piece.error()));
    if (piece->last && piece->data.empty())
      return x->finish();
    auto& same = *x;
    same.write(std::move(piece->data), [x = std::move(x), last = piece->last]() mutable {
      last ? x->finish() : pull(std::move(x));
    });
  });
}

void serve_ping(const exchange_ptr& x) {
  x->reply({});
}

void serve_echo(exchange_ptr x) {
  pull(std::move(x));
}

} // namespace

std::vector<operation> wire_operations() {
  return {{.name = "ping", .needs = access::none, .handle = serve_ping},
          {.name = "echo", .needs = access::none, .takes = body::object, .handle = serve_echo}};
}

} // namespace ron::transport
