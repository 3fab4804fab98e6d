// Commands about the stores of a node on this machine; none of them asks the node.

#include "commands.hpp"
#include "core/json.hpp"
#include "output.hpp"
#include "stores/backup.hpp"
#include "stores/verify.hpp"

#include <chrono>
#include <cstdio>

namespace ron::cli {

using core::json;
using core::result;
using stores::place;

namespace {

constexpr std::string_view default_data_dir = "/var/lib/ron";
/// Lines of damage that `-o json` repeats; all of them are on stderr.
constexpr std::size_t damage_listed_max = 1'000;

exit_code report_local(std::string_view doing, const core::error& why) {
  std::fprintf(stderr, "ronctl: %.*s: %s\n", static_cast<int>(doing.size()), doing.data(),
               why.message.c_str());
  return exit_code_of(why.code);
}

result<std::vector<place>> places(const arguments& args, const std::string& data_dir) {
  if (args.has("--config-file"))
    return stores::places_of(args.get("--config-file"));
  return stores::places_below(data_dir);
}

result<std::vector<place>> places(const arguments& args) {
  return places(args, args.get("--data-dir", default_data_dir));
}

std::uint64_t milliseconds_since(std::chrono::steady_clock::time_point start) {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(
    duration_cast<std::chrono::milliseconds>(steady_clock::now() - start).count());
}

/// What a progress bar needs of numbers that only grow, store by store.
class growth {
public:
  explicit growth(std::size_t stores) : bar_(stores, 0) {}
  growth(const growth&) = delete;
  growth& operator=(const growth&) = delete;
  ~growth() {
    if (!path_.empty())
      bar_.add_file();
  }
  void at(const place& which, std::uint64_t written, std::uint64_t about) {
    if (which.path != path_) {
      if (!path_.empty())
        bar_.add_file();
      path_ = which.path;
      seen_ = 0;
    }
    bar_.set_total(before_ + about);
    if (written > seen_) {
      bar_.add_bytes(written - seen_);
      before_ += written - seen_;
      seen_ = written;
    }
  }

private:
  progress bar_;
  std::string path_;
  std::uint64_t seen_ = 0;
  std::uint64_t before_ = 0;
};

} // namespace

exit_code run_store_backup(const arguments& args, const target&, format how) {
  const auto from = places(args);
  if (!from)
    return report_local("store backup", from.error());
  const auto start = std::chrono::steady_clock::now();
  result<std::vector<stores::copied>> done;
  {
    growth seen{from->size()};
    done = stores::backup(*from, args.positional[0],
                          [&](const place& p, std::uint64_t written, std::uint64_t about) {
                            seen.at(p, written, about);
                          });
  }
  if (!done)
    return report_local("store backup", done.error());
  json all = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const auto& c : *done) {
    all.push_back({{"store", to_string(c.is)}, {"path", c.path}, {"bytes", c.bytes}});
    rows.push_back({to_string(c.is), human_bytes(c.bytes), c.path});
  }
  if (how == format::json)
    print_json({{"stores", std::move(all)}, {"ms", milliseconds_since(start)}});
  else
    print_table({"STORE", "BYTES", "COPY"}, rows);
  return exit_ok;
}

namespace {

/// What the check of one store came to.
struct verified {
  json counts = json::object();
  json damaged = json::array();
  std::uint64_t damaged_total = 0;
};

result<verified> verify_one(const place& p, progress& bar) {
  verified out;
  core::store::check_log log;
  log.damaged = [&](const std::string& line) {
    std::fprintf(stderr, "%s: %s\n", to_string(p.is).c_str(), line.c_str());
    if (out.damaged_total++ < damage_listed_max)
      out.damaged.push_back(line);
  };
  log.passed = [&](std::uint64_t n) { bar.add_bytes(n); };
  if (auto ok = stores::verify(p, log); !ok)
    return std::unexpected{ok.error()};
  for (const auto& [noun, n] : log.counts)
    out.counts[noun] = n;
  bar.add_file();
  return out;
}

} // namespace

exit_code run_store_verify(const arguments& args, const target&, format how) {
  const auto all = args.positional.empty() ? places(args) : places(args, args.positional[0]);
  if (!all)
    return report_local("store verify", all.error());
  std::vector<std::vector<std::string>> rows;
  json found = json::array();
  std::uint64_t damaged = 0;
  auto worst = exit_ok;
  {
    progress bar{all->size(), 0};
    for (const auto& p : *all) {
      auto v = verify_one(p, bar);
      if (!v) {
        worst = std::max(worst, report_local("store verify", v.error()));
        continue;
      }
      damaged += v->damaged_total;
      for (const auto& [noun, n] : v->counts.items())
        rows.push_back({to_string(p.is), noun, core::dump_json(n)});
      rows.push_back({to_string(p.is), "damaged", std::to_string(v->damaged_total)});
      found.push_back({{"store", to_string(p.is)},
                       {"path", p.path},
                       {"counts", std::move(v->counts)},
                       {"damaged_total", v->damaged_total},
                       {"damaged", std::move(v->damaged)}});
    }
  }
  if (how == format::json)
    print_json({{"stores", std::move(found)}, {"damaged_total", damaged}});
  else
    print_table({"STORE", "WHAT", "NUMBER"}, rows);
  return damaged > 0 ? std::max(worst, exit_failed) : worst;
}

exit_code run_store_compact(const arguments& args, const target&, format how) {
  const auto all = places(args);
  if (!all)
    return report_local("store compact", all.error());
  std::vector<std::vector<std::string>> rows;
  json done = json::array();
  growth seen{all->size()};
  for (const auto& p : *all) {
    auto c = core::store::compact_environment(
      p.path, [&](std::uint64_t written, std::uint64_t about) { seen.at(p, written, about); });
    if (!c)
      return report_local("store compact", c.error());
    done.push_back({{"store", to_string(p.is)},
                    {"bytes_before", c->bytes_before},
                    {"bytes_after", c->bytes_after}});
    rows.push_back({to_string(p.is), human_bytes(c->bytes_before), human_bytes(c->bytes_after)});
  }
  if (how == format::json)
    print_json({{"stores", std::move(done)}});
  else
    print_table({"STORE", "BEFORE", "AFTER"}, rows);
  return exit_ok;
}

} // namespace ron::cli
