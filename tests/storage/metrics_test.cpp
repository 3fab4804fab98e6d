#include "core/store/metrics.hpp"
#include "storage/metrics.hpp"
#include "storage_fixture.hpp"

#include <gmock/gmock.h>

namespace {

using namespace ron::test;
using ::testing::HasSubstr;

TEST(StorageMetrics, ShowsTheBackEndAndItsEnvironment) {
  temporary_folder folder;
  core::manual_clock clock;
  core::metrics::registry registry;
  std::shared_ptr<backend> db = open_lmdb(lmdb_options(folder), clock);
  auto data = noise(100'000, 1);
  auto r = put(*db, data);
  ASSERT_TRUE(r);
  ASSERT_TRUE(get(*db, r->cid, 0, data.size()));
  storage_metrics shown{registry, db};
  core::store::store_metrics lmdb{registry, {{"objects", [db] {
                                                auto s = db->stats();
                                                return core::store::store_report{*s.map, *s.writer};
                                              }}}};
  auto text = registry.expose();
  EXPECT_THAT(text, HasSubstr("storage_objects 1\n"));
  EXPECT_THAT(text, HasSubstr("storage_bytes_in_total 100000\n"));
  EXPECT_THAT(text, HasSubstr("storage_bytes_out_total 100000\n"));
  EXPECT_THAT(text, HasSubstr("storage_verified_total 2\n"));
  EXPECT_THAT(text, HasSubstr("storage_integrity_fail_total 0\n"));
  EXPECT_THAT(text, HasSubstr("storage_writable 1\n"));
  EXPECT_THAT(text, HasSubstr("lmdb_map_bytes{store=\"objects\"}"));
  EXPECT_THAT(text, HasSubstr("lmdb_jobs_failed_total{store=\"objects\"} 0\n"));
}

TEST(ReplicationMetrics, AreThereWithoutPeersAndHaveAClosedSetOfReasons) {
  core::metrics::registry registry;
  replication_metrics shown{registry, nullptr};
  auto text = registry.expose();
  EXPECT_THAT(text, HasSubstr("rf_target 1\n"));
  EXPECT_THAT(text, HasSubstr("rf_observed 1\n"));
  EXPECT_THAT(text, HasSubstr("replication_peers 0\n"));
  for (std::size_t i = 1; i <= transfer_failures; ++i) {
    const auto reason = std::string{to_string(static_cast<transfer_failure>(i))};
    EXPECT_THAT(text, HasSubstr("replication_failures_total{reason=\"" + reason + "\"} 0\n"));
  }
}

TEST(ReplicationStats, NeverSayMoreThanThereIs) {
  replication_stats s;
  s.copies = 3;
  s.pending = 2;
  s.objects = 10;
  EXPECT_DOUBLE_EQ(s.observed(), 2.6);
  s.unknown = 3;
  EXPECT_DOUBLE_EQ(s.observed(), 2.0);
  s.pending = 1'000;
  EXPECT_DOUBLE_EQ(s.observed(), 1.0);
  s.objects = 0;
  EXPECT_DOUBLE_EQ(s.observed(), 3.0);
}

} // namespace
