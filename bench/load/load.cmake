ron_program(range_load SOURCES load/range_load.cpp load/range_client.cpp LIBS ron::crypto)
target_include_directories(range_load PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
