"""Tests of scripts/tidy: every rule fires on a line that breaks it and is silent on one that does not."""
import importlib.machinery
import importlib.util
import os
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
loader = importlib.machinery.SourceFileLoader("tidy", os.path.join(ROOT, "scripts", "tidy"))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
loader.exec_module(tidy)


def rules(path, text):
    """The names of the rules that fire on a file."""
    if path.endswith(".hpp"):
        text += "\n#pragma once\n"
    return [rule for _, rule, _ in tidy.check(path, text)]


class Direction(unittest.TestCase):
    def test_downwards_is_fine(self):
        self.assertEqual(rules("actors/oap/reader.hpp", '#include "core/bytes.hpp"'), [])
        self.assertEqual(rules("actors/index/index.cpp", '#include "dht/lookup.hpp"'), [])
        self.assertEqual(rules("actors/node/main.cpp", '#include "omnigate/omnigate.hpp"'), [])
        self.assertEqual(rules("tests/oap/reader_test.cpp", '#include "node/readiness.hpp"'), [])

    def test_upwards_and_sideways_is_not(self):
        for path, header in [("actors/core/bytes.hpp", "oap/frame.hpp"),
                             ("actors/oap/reader.cpp", "transport/exchange.hpp"),
                             ("actors/storage/a.cpp", "mailbox/partition.hpp"),
                             ("actors/omnigate/rate.cpp", "dht/lookup.hpp"),
                             ("actors/dht/lookup.cpp", "node/readiness.hpp"),
                             ("actors/transport/a.cpp", "tests/support/a.hpp")]:
            self.assertIn("direction", rules(path, f'#include "{header}"'), (path, header))

    def test_omnigate_sees_only_messages_of_services(self):
        self.assertEqual(rules("actors/omnigate/view_actor.cpp", '#include "index/messages.hpp"'), [])
        self.assertEqual(rules("actors/omnigate/view_actor.cpp", '#include "index/store.hpp"'), ["direction"])

    def test_relative_includes(self):
        self.assertEqual(rules("actors/oap/reader.cpp", '#include "../core/bytes.hpp"'), ["direction"])

    def test_sdk(self):
        self.assertEqual(rules("sdk/cpp/src/client.cpp", '#include "oap/reader.hpp"'), [])
        self.assertEqual(rules("sdk/cpp/src/client.cpp", '#include "ron/client.hpp"'), [])
        self.assertEqual(rules("sdk/cpp/src/client.cpp", '#include "core/actor/shard.hpp"'), ["direction"])
        self.assertEqual(rules("sdk/cpp/src/client.cpp", '#include "transport/exchange.hpp"'), ["direction"])
        self.assertEqual(rules("sdk/cpp/src/client.cpp", '#include "transport/tor/socks5.hpp"'), [])


class Pure(unittest.TestCase):
    def test_machines_know_neither_caf_nor_asio(self):
        for header in ("caf/all.hpp", "boost/asio/io_context.hpp"):
            self.assertEqual(rules("actors/oap/reader.cpp", f"#include <{header}>"), ["pure"])
            self.assertEqual(rules("actors/oap/stream_actor.cpp", f"#include <{header}>"), [])
            self.assertEqual(rules("actors/core/actor/shard.hpp", f"#include <{header}>"), [])
            self.assertEqual(rules("actors/transport/tor/control.cpp", f"#include <{header}>"), ["pure"])
        self.assertEqual(rules("actors/oap/reader.hpp", "#include <caf/fwd.hpp>"), [])

    def test_nor_a_header_of_ours_that_does(self):
        self.assertEqual(rules("actors/index/cache.cpp", '#include "index/messages.hpp"'), ["pure"])
        self.assertEqual(rules("actors/index/cache.cpp", '#include "core/actor/shard.hpp"'), ["pure"])
        self.assertEqual(rules("actors/index/cache.cpp", '#include "index/record.hpp"'), [])


class Homes(unittest.TestCase):
    def test_each_library_has_one(self):
        for header, home in [("boost/beast/http.hpp", "actors/transport/http/parser.cpp"),
                             ("openssl/ssl.h", "actors/transport/tls/session.cpp"),
                             ("lmdb.h", "actors/core/store/environment.cpp"),
                             ("prometheus/counter.h", "actors/core/metrics.cpp"),
                             ("blake3.h", "actors/core/hash.cpp"),
                             ("nlohmann/json.hpp", "actors/core/json.cpp"),
                             ("uninorm.h", "actors/index/name.cpp"),
                             ("zlib.h", "actors/transport/inflate.cpp")]:
            self.assertEqual(rules(home, f"#include <{header}>"), [], header)
            self.assertIn("home", rules("actors/omnigate/view_actor.cpp", f"#include <{header}>"), header)
            self.assertEqual(rules("tests/core/a_test.cpp", f"#include <{header}>"), [], header)

    def test_unistd_is_not_unistring(self):
        self.assertEqual(rules("actors/core/memory.cpp", "#include <unistd.h>"), [])


class Lines(unittest.TestCase):
    def test_columns_and_tabs(self):
        self.assertEqual(rules("actors/core/a.cpp", "x" * 100), [])
        self.assertEqual(rules("actors/core/a.cpp", "x" * 101), ["columns"])
        self.assertEqual(rules("actors/core/a.cpp", "é" * 100), [])
        self.assertEqual(rules("actors/core/a.cpp", "\tint x;"), ["tab"])

    def test_deadlines(self):
        self.assertEqual(rules("actors/oap/a_actor.cpp", "self->request(x, caf::infinite, 1);"), ["deadline"])
        self.assertEqual(rules("actors/oap/a_actor.cpp", "self->request(x, infinite, 1);"), ["deadline"])
        self.assertEqual(rules("actors/oap/a_actor.cpp", "// never caf::infinite"), [])
        for path in ("tests/oap/a_test.cpp", "bench/micro/a_bench.cpp"):
            self.assertEqual(rules(path, "self->request(x, caf::infinite, 1);"), [])

    def test_sleep(self):
        for call in ("std::this_thread::sleep_for(1s);", "::usleep(5);", "sleep(1);"):
            self.assertEqual(rules("tests/core/a_test.cpp", call), ["sleep"], call)
        for call in ("shard.sleep();", "void sleep();", "// sleep(1)", 'log("sleep(1)");'):
            self.assertEqual(rules("actors/core/a.cpp", call), [], call)
        self.assertEqual(rules("tests/blackbox/a_test.py", "time." "sleep(1)"), ["sleep"])

    def test_words(self):
        for line in ("// TO" "DO later", "  GTEST_SK" "IP();", "TEST(A, DISAB" "LED_B)", "see issue" " #12",
                     'cd /ho' 'me/me/ron', "deb http://de" "b.example.org/debian trixie main"):
            self.assertEqual(len(rules("tests/core/a_test.cpp", line)), 1, line)
        for line in ("mktemp -d name.XXXXXX", "a network/home/row", "$HOME/.cache", "the issue is solved"):
            self.assertEqual(rules("scripts/a.sh", line), [], line)


class Files(unittest.TestCase):
    def test_pragma_once(self):
        self.assertEqual([r for _, r, _ in tidy.check("actors/core/a.hpp", "int x;\n")], ["pragma"])

    def test_size(self):
        self.assertEqual(rules("actors/core/a.cpp", "\n" * 501), ["size"])
        self.assertEqual(rules("actors/core/a.cpp", "// size: a table\n" + "\n" * 501), [])
        self.assertEqual(rules("ARCHITECTURE.md", "\n" * 501), [])

    def test_place(self):
        self.assertEqual(tidy.check("actors/core/a.cpp", "int x;\nint y;" + " " * 100)[0][:2], (2, "columns"))


if __name__ == "__main__":
    unittest.main()
