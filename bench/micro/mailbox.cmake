ron_bench(mailbox_bench SOURCES micro/mailbox_bench.cpp LIBS ron::mailbox)
