set(oap_tests ${PROJECT_SOURCE_DIR}/tests/oap)
ron_fuzz(oap_reader_fuzz
  SOURCES oap_reader_fuzz.cpp
  LIBS ron_oap
  CORPUS corpus/oap_reader
)
# The same inputs, judged by the executable specification.
ron_fuzz(oap_model_fuzz
  SOURCES oap_model_fuzz.cpp ${oap_tests}/spec_check.cpp ${oap_tests}/spec_reader.cpp
  LIBS ron_oap
  CORPUS corpus/oap_reader
)
ron_fuzz(oap_hello_fuzz
  SOURCES oap_hello_fuzz.cpp
  LIBS ron_oap
  CORPUS corpus/oap_hello
)
ron_fuzz(oap_ack_fuzz
  SOURCES oap_ack_fuzz.cpp
  LIBS ron_oap
  CORPUS corpus/oap_ack
)
ron_fuzz(oap_stream_fuzz
  SOURCES
    oap_stream_fuzz.cpp
    ${oap_tests}/spec_history.cpp
    ${oap_tests}/spec_reader.cpp
    ${oap_tests}/spec_session.cpp
  LIBS ron_oap
  CORPUS corpus/oap_stream
)
ron_fuzz(oap_session_fuzz
  SOURCES oap_session_fuzz.cpp ${oap_tests}/hostile.cpp
  LIBS ron_oap
  CORPUS corpus/oap_session
)
ron_fuzz(oap_inflate_fuzz
  SOURCES oap_inflate_fuzz.cpp
  LIBS ron_transport ron::dep_zstd
  CORPUS corpus/oap_inflate
)
foreach(target oap_inflate_fuzz oap_model_fuzz oap_hello_fuzz oap_stream_fuzz oap_session_fuzz)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
endforeach()
