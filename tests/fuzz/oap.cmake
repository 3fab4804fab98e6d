ron_fuzz(oap_reader_fuzz
  SOURCES oap_reader_fuzz.cpp
  LIBS ron_oap
  CORPUS corpus/oap_reader
)
ron_fuzz(oap_session_fuzz
  SOURCES oap_session_fuzz.cpp ${PROJECT_SOURCE_DIR}/tests/oap/hostile.cpp
  LIBS ron_oap
  CORPUS corpus/oap_session
)
target_include_directories(oap_session_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/tests)
