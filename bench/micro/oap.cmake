ron_bench(oap_bench
  SOURCES micro/oap_bench.cpp micro/oap_session_bench.cpp allocations.cpp
  LIBS ron_oap ron_transport ron::dep_zstd)
target_include_directories(oap_bench PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
# Every case once: a benchmark that no longer does its work says so.
add_test(NAME bench/oap_bench COMMAND oap_bench --benchmark_min_time=1x)
set_tests_properties(bench/oap_bench PROPERTIES
  LABELS unit TIMEOUT 60 FAIL_REGULAR_EXPRESSION "ERROR OCCURRED")
