#include "mailbox/metrics.hpp"

#include <chrono>
#include <utility>

namespace ron::mailbox {

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using core::metrics::kind;

struct family {
  kind is;
  const char* name;
  const char* help;
  std::uint64_t partition_stats::* value;
};

constexpr family families[] = {
  {kind::gauge, "mailbox_messages", "Messages held: waiting, in flight and dead",
   &partition_stats::messages},
  {kind::gauge, "mailbox_bytes", "Bytes of messages held with their bookkeeping",
   &partition_stats::bytes},
  {kind::gauge, "mailbox_topics", "Topics that hold a message", &partition_stats::topics},
  {kind::gauge, "mailbox_dead_letters", "Dead letters held", &partition_stats::dead},
  {kind::gauge, "mailbox_idempotency_keys", "Idempotency keys remembered",
   &partition_stats::remembered},
  {kind::gauge, "mailbox_damaged", "Records found damaged on disk and put aside",
   &partition_stats::damaged},
  {kind::gauge, "mailbox_stalled", "1 while a call into the store does not come back",
   &partition_stats::stalled},
  {kind::gauge, "mailbox_waiters", "Asks that wait for a delivery", &partition_stats::waiting},
  {kind::gauge, "mailbox_followers", "Asks that wait for something new to look at",
   &partition_stats::following},
  {kind::gauge, "mailbox_readers", "Subscriptions and event streams that are delivered to",
   &partition_stats::readers},
  {kind::gauge, "mailbox_readers_held", "Deliveries that readers have not settled",
   &partition_stats::held},
  {kind::counter, "mailbox_sent_total", "Messages accepted", &partition_stats::sent_total},
  {kind::counter, "mailbox_duplicates_total", "Messages sent again that were known",
   &partition_stats::duplicates_total},
  {kind::counter, "mailbox_refused_total", "Messages sent that found no room",
   &partition_stats::refused_total},
  {kind::counter, "mailbox_delivered_total", "Deliveries", &partition_stats::delivered_total},
  {kind::counter, "mailbox_redelivered_total", "Deliveries after the first of a message",
   &partition_stats::redelivered_total},
  {kind::counter, "mailbox_acked_total", "Messages acknowledged", &partition_stats::acked_total},
  {kind::counter, "mailbox_nacked_total", "Deliveries given back", &partition_stats::nacked_total},
  {kind::counter, "mailbox_returned_total",
   "Deliveries whose reader left before it settled them", &partition_stats::returned_total},
  {kind::counter, "mailbox_dead_total", "Messages that became dead letters",
   &partition_stats::dead_total},
  {kind::counter, "mailbox_expired_total", "Messages forgotten at the end of their time to live",
   &partition_stats::expired_total},
  {kind::counter, "mailbox_dead_expired_total", "Dead letters forgotten",
   &partition_stats::dead_expired_total},
};

} // namespace

/// A scrape asks for many values at once and holds the registry's lock.
struct mailbox_metrics::cache {
  std::function<partition_stats()> ask;
  partition_stats last{};
  steady::time_point taken{};

  const partition_stats& get() {
    if (auto now = steady::now(); taken == steady::time_point{} || now - taken > 500ms) {
      last = ask();
      taken = now;
    }
    return last;
  }
};

mailbox_metrics::mailbox_metrics(core::metrics::registry& r, std::function<partition_stats()> stats,
                                 mail_bounds bounds)
  : cache_(std::make_shared<cache>(std::move(stats))) {
  auto show = [&](kind is, const char* name, const char* help, std::function<double()> f) {
    shown_.push_back(
      std::make_unique<core::metrics::callback>(r, is, name, help, std::move(f)));
  };
  for (const auto& f : families)
    show(f.is, f.name, f.help, [cached = cache_, value = f.value] {
      return static_cast<double>(cached->get().*value);
    });
  show(kind::gauge, "mailbox_messages_max", "Bound of mailbox_messages",
       [n = bounds.messages_max] { return static_cast<double>(n); });
  show(kind::gauge, "mailbox_bytes_max", "Bound of mailbox_bytes",
       [n = bounds.bytes_max] { return static_cast<double>(n); });
}

mailbox_metrics::~mailbox_metrics() = default;

} // namespace ron::mailbox
