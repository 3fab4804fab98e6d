ron_bench(hash_bench SOURCES micro/hash_bench.cpp LIBS ron::core)
ron_bench(store_bench SOURCES micro/store_bench.cpp LIBS ron::storage)
