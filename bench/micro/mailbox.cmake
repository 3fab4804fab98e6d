ron_bench(mailbox_bench SOURCES micro/mailbox_bench.cpp LIBS ron::mailbox)
ron_bench(checkpoint_bench SOURCES micro/checkpoint_bench.cpp LIBS ron::mailbox ron::storage)
target_include_directories(checkpoint_bench PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
