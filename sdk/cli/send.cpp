#include "commands.hpp"
#include "core/json.hpp"
#include "file.hpp"
#include "output.hpp"

#include <fcntl.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <tuple>

namespace ron::cli {

using core::ec;
using core::fail;
using core::json;
using core::result;

namespace {

constexpr std::size_t batch_messages_max = 100;
/// Of one request, as it is encoded: with a capability beside it this fits into one frame.
constexpr std::size_t batch_bytes_max = 60'000;
constexpr std::size_t message_overhead = 32; ///< names and heads of a message's fields, at most

json binary_of(std::string_view text) {
  return json::binary(std::vector<std::uint8_t>(text.begin(), text.end()));
}

/// What the options say of each message.
result<json> fields_of(const arguments& args) {
  auto map = json::object();
  if (args.has("--key"))
    map["key"] = args.get("--key");
  for (auto [option, field, most] : {std::tuple{"--delay", "delay_ms", 900'000u},
                                     {"--ttl", "ttl_s", 1'209'600u}}) {
    if (!args.has(option))
      continue;
    auto n = parse_number(option, args.get(option), 0, most);
    if (!n)
      return std::unexpected{n.error()};
    map[field] = *n;
  }
  return map;
}

/// Sends every line of a file as a message, many with one request.
class line_sender {
public:
  line_sender(sdk::client& client, std::string topic, json fields, std::string once)
    : client_(client), topic_(std::move(topic)), fields_(std::move(fields)),
      once_(std::move(once)), overhead_(message_overhead + core::dump_cbor(fields_).size()) {
    // nop
  }

  result<void> send_all(file& in, progress& bar) {
    std::string rest; // of a line whose end has not come
    for (;;) {
      auto part = in.read();
      if (!part)
        return std::unexpected{part.error()};
      if (part->empty())
        break;
      bar.add_bytes(part->size());
      rest += part->text();
      std::size_t at = 0;
      for (auto end = rest.find('\n'); end != rest.npos; end = rest.find('\n', at)) {
        if (auto ok = add(std::string_view{rest}.substr(at, end - at)); !ok)
          return ok;
        at = end + 1;
      }
      rest.erase(0, at);
      if (auto ok = check_size(rest.size()); !ok)
        return ok;
    }
    if (!rest.empty())
      if (auto ok = add(rest); !ok)
        return ok;
    return flush();
  }

  std::uint64_t accepted() const noexcept { return accepted_; }
  std::uint64_t duplicates() const noexcept { return duplicates_; }
  std::uint64_t batches() const noexcept { return batches_; }

private:
  result<void> check_size(std::size_t line) const {
    if (line + overhead_ <= batch_bytes_max)
      return {};
    return fail(ec::body_cap, "line " + std::to_string(lines_ + 1) + " has more than "
                                         + std::to_string(batch_bytes_max - overhead_)
                                         + " bytes; send it alone, from stdin");
  }

  result<void> add(std::string_view line) {
    if (auto ok = check_size(line.size()); !ok)
      return ok;
    const auto size = line.size() + overhead_;
    if (batch_.size() == batch_messages_max || bytes_ + size > batch_bytes_max)
      if (auto ok = flush(); !ok)
        return ok;
    ++lines_;
    bytes_ += size;
    auto& m = batch_.emplace_back(fields_);
    m["payload"] = binary_of(line);
    return {};
  }

  result<void> flush() {
    if (batch_.empty())
      return {};
    json map{{"topic", topic_}, {"messages", std::move(batch_)}};
    if (!once_.empty()) // the same lines make the same batches
      map["_idem"] = once_ + '.' + std::to_string(batches_ + 1);
    batch_ = json::array();
    bytes_ = 0;
    auto answer = client_.call("mb.send", map);
    if (!answer)
      return std::unexpected{answer.error()};
    ++batches_;
    for (const auto& m : answer->at("messages")) {
      ++accepted_;
      duplicates_ += m.at("duplicate").get<bool>();
    }
    return {};
  }

  sdk::client& client_;
  const std::string topic_;
  const json fields_;
  const std::string once_;
  const std::size_t overhead_; ///< of a message, beside its line
  json batch_ = json::array();
  std::size_t bytes_ = 0;
  std::uint64_t lines_ = 0;
  std::uint64_t accepted_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t batches_ = 0;
};

exit_code send_lines(const arguments& args, const target& t, format how, json fields) {
  const auto name = args.positional.size() > 1 ? args.positional[1] : std::string{"-"};
  const auto doing = "mb send --each-line " + args.positional[0];
  auto in = file::open(name == "-" ? "/dev/stdin" : name, O_RDONLY);
  if (!in)
    return report(doing, in.error());
  std::error_code unknown;
  const auto size = name == "-" ? 0 : std::filesystem::file_size(name, unknown);
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  line_sender lines{*client, args.positional[0], std::move(fields), args.get("--once")};
  result<void> done;
  {
    progress bar{1, unknown ? 0 : size};
    done = lines.send_all(*in, bar);
    if (done)
      bar.add_file();
  }
  if (how == format::json)
    print_json({{"messages", lines.accepted()}, {"duplicates", lines.duplicates()},
                {"batches", lines.batches()}});
  else
    print_table({"MESSAGES", "DUPLICATES", "BATCHES"},
                {{std::to_string(lines.accepted()), std::to_string(lines.duplicates()),
                  std::to_string(lines.batches())}});
  if (done)
    return exit_ok;
  auto why = done.error();
  why.message += "; " + std::to_string(lines.accepted()) + " messages were accepted before";
  return report(doing, why);
}

} // namespace

exit_code run_send(const arguments& args, const target& t, format how) {
  const auto doing = "mb send " + args.positional[0];
  auto fields = fields_of(args);
  if (!fields)
    return report(doing, fields.error());
  if (args.has("--each-line"))
    return send_lines(args, t, how, std::move(*fields));
  auto& map = *fields;
  map["topic"] = args.positional[0];
  map["payload"] = binary_of(args.positional.size() > 1
                               ? args.positional[1]
                               : std::string{std::istreambuf_iterator<char>{std::cin}, {}});
  if (args.has("--once"))
    map["_idem"] = args.get("--once");
  auto client = connect(t);
  if (!client)
    return report(doing, client.error());
  auto answer = client->call("mb.send", map);
  if (!answer)
    return report(doing, answer.error());
  if (how == format::json)
    print_json(*answer);
  else
    print_table({"MESSAGE", "DUPLICATE"}, {{answer->at("message_id").get<std::string>(),
                                            answer->at("duplicate").get<bool>() ? "yes" : "no"}});
  return exit_ok;
}

} // namespace ron::cli
