#include "mailbox/packed_answers.hpp"

#include "core/cbor_writer.hpp"

#include <algorithm>
#include <utility>

namespace ron::mailbox {

using core::cbor_writer;

namespace {

constexpr std::size_t about_a_sent = 64;

void write_sent(cbor_writer& out, const sent& s) {
  out.encoded("\xa2\x69" "duplicate").boolean(s.duplicate);
  out.encoded("\x6a" "message_id").text(s.message_id);
}

/// In the order of deterministic CBOR: short names first.
void write_attrs(cbor_writer& out, const std::map<std::string, std::string>& attrs) {
  out.map(attrs.size());
  std::vector<const std::pair<const std::string, std::string>*> sorted;
  sorted.reserve(attrs.size());
  for (const auto& one : attrs)
    sorted.push_back(&one);
  std::ranges::stable_sort(sorted, {}, [](const auto* one) { return one->first.size(); });
  for (const auto* one : sorted)
    out.text(one->first).text(one->second);
}

void write_delivery(cbor_writer& out, const delivery& d) {
  out.map(7).text("key");
  if (d.key.empty())
    out.null();
  else
    out.text(d.key);
  out.text("attrs");
  write_attrs(out, d.attrs);
  out.text("attempt").natural(d.attempt);
  out.text("payload").binary(d.payload.view());
  out.text("receipt").text(d.receipt);
  out.text("message_id").text(d.message_id);
  out.text("received_at_ms").integer(d.received_at_ms);
}

} // namespace

core::bytes pack(const sent& s) {
  cbor_writer out{about_a_sent};
  write_sent(out, s);
  return out.finish();
}

core::bytes pack(const sent_batch& b) {
  cbor_writer out{16 + about_a_sent * b.messages.size()};
  out.map(1).text("messages").list(b.messages.size());
  for (const auto& s : b.messages)
    write_sent(out, s);
  return out.finish();
}

core::bytes pack(const std::vector<delivery>& messages) {
  constexpr std::size_t about_a_message = 192; // without its payload
  std::size_t about = 16;
  for (const auto& d : messages)
    about += about_a_message + d.payload.size();
  cbor_writer out{about};
  out.map(1).text("messages").list(messages.size());
  for (const auto& d : messages)
    write_delivery(out, d);
  return out.finish();
}

core::bytes pack(const std::vector<receipt_status>& statuses,
                 const std::vector<std::string>& receipts) {
  const auto n = std::min(receipts.size(), statuses.size());
  cbor_writer out{16 + 80 * n};
  out.map(1).text("results").list(n);
  for (std::size_t i = 0; i < n; ++i)
    out.map(2).text("status").text(to_string(statuses[i])).text("receipt").text(receipts[i]);
  return out.finish();
}

} // namespace ron::mailbox
