#include "core/packed_object.hpp"

#include "core/cbor_writer.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"

#include <gtest/gtest.h>

#include <random>

namespace {

using namespace ron::core;

std::optional<packed_object> scan(const json& v) {
  return packed_object::scan(dump_cbor(v));
}

json binary(std::string_view s) {
  return json::binary(std::vector<std::uint8_t>(s.begin(), s.end()));
}

TEST(PackedObject, FindsPlainMembersWhereTheyLie) {
  const auto o = scan({{"topic", "t"}, {"payload", binary("abc")}, {"max", 300}, {"on", true},
                       {"receipts", {"one", "two"}}});
  ASSERT_TRUE(o);
  using type = packed_object::type;
  EXPECT_EQ(o->size(), 5u);
  EXPECT_EQ(o->find("topic", type::text)->text(), "t");
  EXPECT_EQ(o->find("payload", type::binary)->content.size(), 3u);
  EXPECT_EQ(o->find("max", type::natural)->number, 300u);
  EXPECT_EQ(o->find("on", type::boolean)->number, 1u);
  std::vector<std::string> items;
  o->find("receipts", type::texts)->each_text([&](std::string_view s) {
    items.emplace_back(s);
    return true;
  });
  EXPECT_EQ(items, (std::vector<std::string>{"one", "two"}));
  EXPECT_FALSE(o->find("topic", type::natural)) << "of another type";
  EXPECT_FALSE(o->has("nothing"));
}

TEST(PackedObject, LeavesEverythingElseToTheTree) {
  EXPECT_FALSE(scan(json::array()));
  EXPECT_FALSE(scan({{"a", -1}}));
  EXPECT_FALSE(scan({{"a", 1.5}}));
  EXPECT_FALSE(scan({{"a", nullptr}}));
  EXPECT_FALSE(scan({{"a", json::object()}}));
  EXPECT_FALSE(scan({{"a", {1, 2}}}));
  EXPECT_FALSE(packed_object::scan({}));
  const auto refused = [](std::string_view cbor) {
    EXPECT_FALSE(packed_object::scan(bytes::copy(cbor))) << testing::PrintToString(cbor);
  };
  refused("\xa1\x61\x61\x18\x01");         // 1 in two bytes
  refused("\xa1\x78\x01\x61\x01");         // a key with a long head
  refused("\xbf\x61\x61\x01\xff");         // a map without a length
  refused("\xa1\x61\x61\x7f\x61\x62\xff"); // text in chunks
  refused("\xa2\x61\x61\x01\x61\x61\x02"); // the same key twice
  refused("\xa1\x61\x61\x61\xff");         // no UTF-8
  refused("\xa1\x61\x61\x01\x02");         // more behind it
  refused("\xa1\x61\x61\x62\x62");         // less than it says
  refused("\xa1\x61\x61\x9b\xff\xff\xff\xff\xff\xff\xff\xff"); // a list longer than the input
}

TEST(PackedObject, ListsOfObjectsAreReadItemByItem) {
  const json list{{{"payload", binary("1")}, {"key", "a"}}, json::object(),
                  {{"tags", {"x", "y"}}, {"n", 7}}};
  const json whole{{"topic", "t"}, {"messages", list}};
  const auto o = scan(whole);
  ASSERT_TRUE(o);
  const auto m = o->find("messages", packed_object::type::objects);
  ASSERT_TRUE(m);
  EXPECT_EQ(m->number, 3u);
  auto items = json::array();
  o->each_object(*m, [&](const packed_object& item) {
    items.push_back(item.to_tree());
    return true;
  });
  EXPECT_EQ(items, list);
  int first = 0;
  o->each_object(*m, [&](const packed_object&) { return ++first < 1; });
  EXPECT_EQ(first, 1) << "until it says false";
  EXPECT_EQ(o->to_tree(), whole);
  EXPECT_EQ(o->canonical(), dump_cbor(whole).text());

  EXPECT_FALSE(scan({{"list", {{{"list", {{{"a", 1}}}}}}}})) << "no such lists within";
  EXPECT_FALSE(scan({{"list", {{{"a", 1}}, "text"}}}));
  EXPECT_FALSE(scan({{"list", {"text", {{"a", 1}}}}}));
  EXPECT_FALSE(scan({{"list", {{{"a", -1}}}}}));
  json wide = json::object();
  for (std::size_t i = 0; i <= packed_object::members_max; ++i)
    wide["k" + std::to_string(i)] = i;
  EXPECT_FALSE(scan({{"list", {wide}}}));
  json many = json::array();
  for (std::size_t i = 0; i < limits::json_values_max - 2; ++i)
    many.push_back(json::object());
  EXPECT_TRUE(scan({{"list", many}}));
  many.push_back(json::object());
  EXPECT_FALSE(scan({{"list", many}})) << "as many values as parse_cbor takes";
  EXPECT_FALSE(parse_cbor(dump_cbor({{"list", many}}).view()));
}

TEST(PackedObject, HasABound) {
  json v = json::object();
  for (std::size_t i = 0; i < packed_object::members_max; ++i)
    v["k" + std::to_string(i)] = i;
  EXPECT_TRUE(scan(v));
  v["one more"] = 1;
  EXPECT_FALSE(scan(v));
  json many = json::array();
  for (std::size_t i = 0; i < limits::json_values_max - 2; ++i)
    many.push_back("");
  EXPECT_TRUE(scan({{"list", many}}));
  many.push_back("");
  EXPECT_FALSE(scan({{"list", many}})) << "as many values as parse_cbor takes";
  EXPECT_FALSE(parse_cbor(dump_cbor({{"list", many}}).view()));
}

TEST(PackedObject, SplitsIntoTwo) {
  auto o = *scan({{"_dl", 5}, {"a", 1}, {"_idem", "x"}, {"b", 2}});
  const auto own = o.split([](std::string_view key) { return key.starts_with('_'); });
  EXPECT_EQ(own.to_tree(), (json{{"_dl", 5}, {"_idem", "x"}}));
  EXPECT_EQ(o.to_tree(), (json{{"a", 1}, {"b", 2}}));
  EXPECT_EQ(o.canonical(), dump_cbor(o.to_tree()).text());
}

/// Objects that are plain, or nearly.
class plain_source {
public:
  explicit plain_source(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  std::string text() {
    static constexpr const char* pieces[]
      = {"a", "topic", "\xc3\xa9", "0123456789abcdefghijklmnop"};
    std::string out;
    for (auto n = below(4); n > 0; --n)
      out += pieces[below(std::size(pieces))];
    return out;
  }
  json value() {
    switch (below(14)) {
      case 12: case 13: return objects();
      case 0: return below(2) == 1;
      case 1: case 2: case 3: return random_() >> below(64);
      case 4: case 5: return binary(text());
      case 6: case 7: {
        auto list = json::array();
        for (auto n = below(5); n > 0; --n)
          list.push_back(text());
        return list;
      }
      case 8: return below(3) == 0 ? json(-1) : json(text());
      case 9: return below(3) == 0 ? json{{"nested", 1}} : json(text());
      default: return text();
    }
  }
  json objects() {
    auto list = json::array();
    for (auto n = below(4); n > 0; --n) {
      auto item = json::object();
      for (const auto* key : {"payload", "max", "on", "extra"})
        if (below(2) == 0)
          item[key] = value();
      list.push_back(std::move(item));
    }
    return list;
  }
  /// Not in the order of dump_cbor.
  bytes object() {
    static constexpr const char* keys[]
      = {"topic", "payload", "max", "list", "on", "extra", "objects", ""};
    std::vector<std::string> order(std::begin(keys), std::end(keys));
    std::ranges::shuffle(order, random_);
    order.resize(below(order.size() + 1));
    std::string out;
    append_cbor_head(out, 5, order.size());
    for (const auto& k : order)
      out.append(dump_cbor(k).text()).append(dump_cbor(value()).text());
    for (auto n = below(8); n == 0; n = below(2)) // and sometimes it is damaged
      if (!out.empty())
        out[below(out.size())] = static_cast<char>(random_());
    return bytes::copy(std::string_view{out});
  }

private:
  std::mt19937_64 random_;
};

// Whatever the scan takes is what the tree's reader takes, to the same values.
TEST(PackedObject, ReadsWhatTheTreeReads) {
  constexpr std::uint64_t seed = 20'260'101;
  plain_source source{seed};
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto cbor = source.object();
    const auto packed = packed_object::scan(cbor);
    if (!packed)
      continue;
    ++taken;
    const auto tree = parse_cbor(cbor.view());
    ASSERT_TRUE(tree) << "seed " << seed << ", object " << i << ": " << tree.error().message;
    ASSERT_EQ(packed->to_tree(), *tree) << "seed " << seed << ", object " << i;
    ASSERT_EQ(packed->canonical(), dump_cbor(*tree).text()) << "seed " << seed << ", object " << i;
  }
  EXPECT_GT(taken, 5'000);
  EXPECT_LT(taken, 19'000);
}

/// Everything that a request reader says of an object, errors in words.
std::string all_of(object_reader in) {
  json out;
  out["has"] = in.has("topic");
  out["topic"] = in.text("topic", {.min_bytes = 1, .max_bytes = 20});
  const auto payload = in.binary("payload", 40);
  out["payload"] = to_hex(payload.view());
  out["max"] = in.optional_uint("max", 1, 1'000'000).value_or(7);
  if (auto least = in.optional_text("on"))
    out["on"] = *least;
  out["canonical"] = to_hex(bytes::copy(std::string_view{in.canonical()}).view());
  if (in.has("objects")) {
    in.objects("objects", 3, [&out](object_reader& item, std::size_t i) {
      auto& o = out["objects"][i];
      o["payload"] = to_hex(item.binary("payload", 40).view());
      o["max"] = item.optional_uint("max", 1, 1'000'000).value_or(7);
      o["canonical"] = to_hex(bytes::copy(std::string_view{item.canonical()}).view());
    });
  }
  out["list"] = in.texts("list", 3, {.min_bytes = 1, .max_bytes = 20});
  if (auto ok = in.finish(); !ok)
    out["error"] = ok.error().message;
  return out.dump();
}

TEST(PackedObject, AReaderSaysTheSameOfBothForms) {
  constexpr std::uint64_t seed = 20'260'102;
  plain_source source{seed};
  for (int i = 0; i < 20'000; ++i) {
    const auto cbor = source.object();
    const auto packed = packed_object::scan(cbor);
    if (!packed)
      continue;
    const auto tree = parse_cbor(cbor.view());
    ASSERT_TRUE(tree);
    const auto said = all_of(object_reader{*packed});
    ASSERT_EQ(said, all_of(object_reader{*tree})) << "seed " << seed << ", object " << i;
  }
  const json fine{{"topic", "t"}, {"payload", binary("x")}, {"list", {"a", "b"}}, {"max", 5}};
  const auto packed = scan(fine);
  ASSERT_TRUE(packed);
  const auto said = all_of(object_reader{*packed});
  EXPECT_EQ(said, all_of(object_reader{fine}));
  EXPECT_EQ(said.find("error"), said.npos) << said;
}

TEST(PackedObject, AnItemOfAListIsToldOfWithItsPlace) {
  const auto problems = [](const json& v) {
    std::vector<std::string> out;
    const auto packed = scan(v);
    EXPECT_TRUE(packed);
    for (const bool tree : {false, true}) {
      auto in = tree || !packed ? object_reader{v} : object_reader{*packed};
      in.objects("list", 3, [](object_reader& item, std::size_t) {
        item.text("name");
        item.optional_uint("age", 1, 99);
      });
      const auto ok = in.finish();
      out.push_back(ok ? "" : ok.error().message);
    }
    EXPECT_EQ(out[0], out[1]);
    return out[0];
  };
  EXPECT_EQ(problems({{"list", {{{"name", "a"}}, {{"name", "b"}, {"age", 5}}}}}), "");
  EXPECT_EQ(problems({{"list", {{{"name", "a"}}, {{"name", "b"}, {"age", 100}}}}}),
            "field \"list[1].age\" is out of range; expected an integer of 1..99");
  EXPECT_EQ(problems({{"list", {{{"age", 1}}}}}), "missing field \"list[0].name\"");
  EXPECT_EQ(problems({{"list", {{{"name", "a"}, {"size", 1}}}}}),
            "unknown field \"list[0].size\"; expected name, age");
  EXPECT_EQ(problems({{"list", {"text"}}}), "field \"list[0]\" is text; expected an object");
  EXPECT_EQ(problems({{"list", json::array()}}), "field \"list\" is empty; expected 1..3 items");
  EXPECT_EQ(problems({{"list", 1}}), "field \"list\" is an integer; expected a list");
  EXPECT_EQ(problems(json::object()), "missing field \"list\"");
  const json four(4, json{{"name", "a"}});
  EXPECT_EQ(problems({{"list", four}}), "field \"list\" has 4 items; expected at most 3");
}

TEST(CborWriter, WritesWhatTheTreeWrites) {
  cbor_writer out{8};
  out.map(4).text("a").null().text("b").list(3).natural(0).natural(500).integer(-500);
  out.text("on").boolean(true).text("raw").binary(bytes::copy(std::string_view{"xyz"}).view());
  EXPECT_EQ(out.finish(), dump_cbor({{"a", nullptr}, {"b", {0, 500, -500}}, {"on", true},
                                     {"raw", binary("xyz")}}));
}

} // namespace
