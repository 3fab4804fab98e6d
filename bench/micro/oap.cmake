ron_bench(oap_bench SOURCES micro/oap_bench.cpp LIBS ron_oap)
