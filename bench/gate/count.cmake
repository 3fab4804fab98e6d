# The gate by instruction counts: `./dev bench gate`, and part of `./dev test --full`. Baselines are those of
# the preset `release`.
function(ron_count NAME)
  ron_program(${NAME}_count SOURCES gate/${NAME}_count.cpp gate/counted.cpp allocations.cpp LIBS ${ARGN})
  target_include_directories(${NAME}_count PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  if(CMAKE_CXX_FLAGS MATCHES "-O2")
    add_test(NAME perf/${NAME}_count
      COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/scripts/perf_count
        --gate ${PROJECT_SOURCE_DIR}/bench/baselines/${NAME}.json $<TARGET_FILE:${NAME}_count>)
    set_tests_properties(perf/${NAME}_count PROPERTIES LABELS full TIMEOUT 600)
  endif()
endfunction()

ron_count(oap ron_oap)
ron_count(transport ron_crypto ron_transport ron::dep_zstd)
