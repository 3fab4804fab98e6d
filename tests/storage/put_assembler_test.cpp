#include "storage/read_plan.hpp"
#include "storage_fixture.hpp"

namespace {

using namespace ron::test;

struct assembled {
  std::vector<full_group> groups;
  finished_upload last;

  byte_vector bytes() const {
    byte_vector out;
    auto append = [&](byte_view v) { out.insert(out.end(), v.begin(), v.end()); };
    for (const auto& g : groups)
      append(g.data.view());
    append(last.last.view());
    return out;
  }
  byte_vector nodes() const {
    byte_vector out;
    auto append = [&](const byte_vector& v) { out.insert(out.end(), v.begin(), v.end()); };
    for (const auto& g : groups)
      append(g.nodes);
    append(last.nodes);
    return out;
  }
};

assembled assemble(byte_view data, std::size_t piece) {
  put_assembler a{data.size()};
  assembled out;
  for (std::size_t at = 0; at < data.size(); at += piece) {
    EXPECT_TRUE(a.add(data.subspan(at, std::min(piece, data.size() - at))));
    while (auto g = a.next())
      out.groups.push_back(std::move(*g));
  }
  out.last = a.finish();
  EXPECT_FALSE(a.next());
  return out;
}

TEST(PutAssembler, MakesGroupsTreeAndNameOfAnySplit) {
  auto data = noise(5 * b3::group_bytes + 4'321, 1);
  for (std::size_t n : {std::size_t{0}, std::size_t{1}, b3::group_bytes - 1, b3::group_bytes,
                        b3::group_bytes + 1, 4 * b3::group_bytes, data.size()}) {
    auto part = byte_view{data}.first(n);
    b3::tree_builder tree;
    tree.feed(part);
    auto root = tree.finish();
    auto nodes = tree.take_nodes();
    for (std::size_t piece : {std::size_t{777}, std::size_t{65'536}, std::size_t{200'000}}) {
      auto a = assemble(part, piece);
      EXPECT_EQ(a.last.cid.hash, root) << n;
      EXPECT_EQ(a.last.size, n);
      EXPECT_EQ(a.bytes(), byte_vector(part.begin(), part.end())) << n;
      EXPECT_EQ(a.nodes(), nodes) << n;
      EXPECT_EQ(a.groups.size() + 1, b3::group_count(n)) << n;
      EXPECT_EQ(a.last.last.size(), b3::group_size(n, a.groups.size())) << n;
    }
  }
}

TEST(PutAssembler, HoldsTheLastGroupBack) {
  put_assembler a{1u << 20};
  auto data = noise(2 * b3::group_bytes, 2);
  ASSERT_TRUE(a.add(byte_view{data}.first(b3::group_bytes)));
  EXPECT_FALSE(a.next()) << "it may be the last one";
  ASSERT_TRUE(a.add(byte_view{data}.subspan(b3::group_bytes, 1)));
  EXPECT_TRUE(a.next());
  EXPECT_FALSE(a.next());
}

TEST(PutAssembler, RefusesTheFirstByteTooMany) {
  put_assembler a{100};
  EXPECT_TRUE(a.add(noise(100, 3)));
  auto r = a.add(noise(1, 3));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::body_cap);
}

TEST(ReadPlan, StaysInsideOneGroupAndTheObject) {
  auto p = plan_read(200'000, 65'000, 65'536);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->group, 0u);
  EXPECT_EQ(p->skip, 65'000u);
  EXPECT_EQ(p->length, 536u);
  p = plan_read(200'000, 199'999, 10);
  EXPECT_EQ(p->group, 3u);
  EXPECT_EQ(p->length, 1u);
  EXPECT_EQ(p->following, 0u);
  p = plan_read(200'000, 65'000, 70'000); // to 135'000
  EXPECT_EQ(p->length, 536u);
  EXPECT_EQ(p->following, 2u);
  EXPECT_EQ(plan_read(200'000, 65'000, 536 + 65'536)->following, 1u) << "to the end of a group";
  EXPECT_EQ(plan_read(200'000, 0, ~std::uint64_t{0})->following, 3u) << "all of it";
  EXPECT_EQ(plan_read(0, 0, 1)->length, 0u) << "an empty object";
}

TEST(ReadPlan, RefusesWhatIsNotThere) {
  for (auto [size, offset] : {std::pair<std::uint64_t, std::uint64_t>{10, 10}, {10, 11}, {0, 1},
                              {10, ~0ull - 9}, {10, ~0ull}})
    EXPECT_EQ(plan_read(size, offset, 1).error().code, ec::range_not_satisfiable) << offset;
  EXPECT_EQ(plan_read(10, 0, 0).error().code, ec::bad_request);
}

} // namespace
