ron_program(oap_count SOURCES gate/oap_count.cpp allocations.cpp LIBS ron_oap)
target_include_directories(oap_count PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
# The gate by instruction counts: `./dev bench gate`, and part of `./dev test --full`. Baselines are those of
# the preset `release`.
if(CMAKE_CXX_FLAGS MATCHES "-O2")
  add_test(NAME perf/oap_count
    COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/scripts/perf_count
      --gate ${PROJECT_SOURCE_DIR}/bench/baselines/oap.json $<TARGET_FILE:oap_count>)
  set_tests_properties(perf/oap_count PROPERTIES LABELS full TIMEOUT 600)
endif()
