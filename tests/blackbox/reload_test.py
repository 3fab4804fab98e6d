"""What a running node takes over from its files, key by key: each that docs/CONFIG.md marks with R has an effect."""
# ctest: TIMEOUT 120 LABELS blackbox
import contextlib
import random
import re
import signal
import socket
import ssl

import support
from reload_case import ReloadCase
from support import NodeTest, wait_until

# The test that shows the effect: of this script, or of another one beside it.
SHOWN = {
    "node.drain-timeout": "test_the_time_to_drain",
    "node.memory-max": "test_the_bound_of_memory",
    "http.header-bytes-max": "reload_wire_test.py test_heads",
    "http.header-timeout": "reload_wire_test.py test_heads",
    "http.body-rate-min": "reload_wire_test.py test_rates_of_bytes",
    "http.answer-rate-min": "reload_wire_test.py test_rates_of_bytes",
    "inflate.ratio-max": "reload_wire_test.py test_bodies",
    "inflate.bytes-max": "reload_wire_test.py test_bodies",
    "caps.operator-socket": "reload_service_test.py test_the_socket_of_the_operator",
    "index.cache-entries": "reload_service_test.py test_names_in_ram",
    "index.ttl": "reload_service_test.py test_names_in_ram",
    "index.negative-ttl": "reload_service_test.py test_names_in_ram",
    "index.resolve-budget": "reload_service_test.py test_the_time_of_a_resolve",
    "log.format": "test_logging",
    "log.level": "test_logging",
    "log.level.<component>": "test_logging",
    "oap.max-frame": "reload_wire_test.py test_what_hello_says",
    "oap.max-streams": "reload_wire_test.py test_what_hello_says",
    "oap.ack-window": "reload_wire_test.py test_what_hello_says",
    "oap.max-inflight": "reload_wire_test.py test_what_hello_says",
    "oap.receive-budget": "reload_wire_test.py test_what_a_peer_is_granted",
    "oap.answer-rate-min": "reload_wire_test.py test_rates_of_bytes",
    "oap.compression": "reload_wire_test.py test_what_hello_says",
    "omnigate.body-bytes-max": "reload_wire_test.py test_bodies",
    "omnigate.request-timeout": "reload_service_test.py test_the_time_for_an_answer",
    "mailbox.visibility": "reload_service_test.py test_deliveries",
    "mailbox.attempts-max": "reload_service_test.py test_deliveries",
    "mailbox.dedup-window": "reload_service_test.py test_repeated_sends",
    "omnigate.waiters-max": "reload_service_test.py test_long_polls",
    "omnigate.permits": "reload_service_test.py test_calls_at_once",
    "omnigate.inflight-max": "test_how_many_requests_at_once",
    "omnigate.rate": "test_rates",
    "omnigate.burst": "test_rates",
    "omnigate.rate-tenant": "tor_test.py test_the_rate_of_capabilities_by_reload",
    "omnigate.rate-address": "test_rates",
    "omnigate.public-read": "test_who_may_read",
    "storage.object-bytes-max": "reload_service_test.py test_the_size_of_an_object",
    "storage.quota": "test_a_smaller_quota_keeps_what_is_there",
    "storage.verified-cache": "test_a_smaller_cache",
    "storage.rf": "replication_reload_test.py test_copies_by_reload",
    "storage.repair-rate": "replication_reload_test.py test_the_rate_by_reload",
    "transport.connections-max": "test_limits_of_connections",
    "transport.per-peer-max": "tls_test.py test_limits_change",
    "transport.transient-max": "test_limits_of_connections",
    "transport.accept-permits": "test_handshakes_at_once",
    "transport.handshake-timeout": "reload_wire_test.py test_times_of_a_connection",
    "transport.read-timeout": "reload_wire_test.py test_times_of_a_connection",
    "transport.write-timeout": "reload_wire_test.py test_times_of_a_connection",
    "transport.idle-timeout": "reload_wire_test.py test_times_of_a_connection",
    "transport.cert": "tls_test.py test_certificate_changes_and_bad_ones_do_not_count",
    "transport.key": "tls_test.py test_certificate_changes_and_bad_ones_do_not_count",
    "transport.client-ca": "tls_test.py test_tickets_from_before_a_client_ca",
    "transport.ocsp": "tls_test.py test_staple_and_its_reload",
    "transport.ocsp-fetch": "tls_test.py test_fetching_begins_and_ends_with_a_reload",
    "transport.ticket-rotation": "test_how_often_ticket_keys_rotate",
    "transport.pq": "tls_test.py test_over_http",
}


class Keys(NodeTest):
    def test_every_key_marked_with_r_is_shown_to_act(self):
        with open(support.source("docs/CONFIG.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| `([a-z-]+\.[^`]+)` \|(?:[^|]*\|){2} (\w?) \|", file.read(), re.M)
        self.assertGreater(len(rows), 100)
        self.assertEqual({key for key, mark in rows if mark == "R"}, set(SHOWN))
        for where in set(SHOWN.values()):
            script, _, test = where.rpartition(" ")
            with open(support.source("tests/blackbox", script or "reload_test.py"), encoding="utf-8") as file:
                self.assertIn(f"    def {test}(self):", file.read())


class Reload(ReloadCase):
    def quota(self, config):
        dice = random.Random(3)
        bodies = [dice.randbytes(1 << 20) for _ in range(6)]
        node = self.node(config + "[storage]\nquota = 8MiB\n")
        cids = [self.put(node, body) for body in bodies[:4]]
        held = node.metric("storage_bytes")
        self.reload(node, config + "[storage]\nquota = 2MiB\n", "storage.quota")
        wait_until(lambda: node.metric("storage_quota_bytes") == 2 << 20)
        refused = node.http("PUT", "/v1/o", bodies[4][:1000], token=node.operator_token())
        self.assertEqual((refused.status, refused.json()["reason"]), (507, "store_quota"), refused)
        for cid, body in zip(cids, bodies):
            self.assertEqual(node.get(f"/v1/o/{cid}").body, body)
        wait_until(lambda: node.metric("storage_bytes") == held, what="nothing is evicted")
        for cid in cids[:3]:  # room for one comes back by deletes alone
            self.assertEqual(node.http("DELETE", f"/v1/o/{cid}", token=node.operator_token()).status, 204)
        wait_until(lambda: node.metric("storage_bytes") < 2 << 20, what="the deletes")
        self.put(node, bodies[4][:1 << 19])
        self.reload(node, config + "[storage]\nquota = 0\n", "storage.quota")
        self.put(node, bodies[5])
        node.stop()

    def test_a_smaller_quota_keeps_what_is_there(self):
        self.quota("")
        self.quota("[node]\namnesia = false\ndata-dir = data\n")

    def test_a_smaller_cache(self):
        disk = "[node]\namnesia = false\ndata-dir = data\n"
        body = random.Random(4).randbytes(4 << 20)
        node = self.node(disk + "[storage]\nverified-cache = 64MiB\n")
        cid = self.put(node, body)

        def cached():
            self.assertEqual(node.get(f"/v1/o/{cid}").body, body)
            return node.metric("storage_cache_bytes")
        wait_until(lambda: cached() > 3 << 20, what="a warm cache")
        self.reload(node, disk + "[storage]\nverified-cache = 1MiB\n", "storage.verified-cache")
        wait_until(lambda: cached() <= 1 << 20, what="a small one")
        self.reload(node, disk + "[storage]\nverified-cache = 32MiB\n", "storage.verified-cache")
        wait_until(lambda: cached() > 3 << 20, what="a warm cache again")
        node.stop()

    def test_the_bound_of_memory(self):
        # A node uses more than nine tenths of the least bound as soon as it holds this.
        bound = "[storage]\nquota = 0\n[node]\nmemory-max = "
        body = random.Random(5).randbytes(96 << 20)
        node = self.node(bound + "16GiB\n")
        cid = self.put(node, body)
        self.assertEqual(node.get("/readyz").json()["missing"], [])
        table = lambda: node.get("/admin/memory", endpoint="admin").json()
        part = lambda name: next(one for one in table()["parts"] if one["part"] == name)
        self.assertEqual(table()["max"], 16 << 30)
        self.assertGreater(table()["used"], len(body))
        wait_until(lambda: part("storage.objects")["bytes"] >= len(body), what="the part of the objects")
        self.assertEqual(part("mailbox.messages")["max"], 256 << 20)
        self.reload(node, bound + "64MiB\n", "node.memory-max")
        wait_until(lambda: node.get("/readyz").json()["missing"] == ["memory"], what="the readiness key")
        self.assertEqual(node.metric("memory_max_bytes"), 64 << 20)
        self.assertEqual(node.get("/readyz?for=write").status, 503)
        refused = node.http("PUT", "/v1/o", b"more", token=node.operator_token())
        self.assertEqual((refused.status, refused.json()["reason"]), (503, "degraded"), refused)
        self.assertIn("memory", refused.json()["message"])
        self.assertEqual(node.get(f"/v1/o/{cid}").body, body, "reads are served")
        self.assertIn("writes are shed", node.stderr())
        self.reload(node, bound + "16GiB\n", "node.memory-max")
        wait_until(lambda: node.get("/readyz").json()["missing"] == [], what="calm")
        self.put(node, b"more")
        node.stop()

    @contextlib.contextmanager
    def unfinished_upload(self, node):
        """A request that is in flight as long as this lasts; needs `http.body-rate-min = 0KiB/s`."""
        head = ("PUT /v1/o HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                f"Authorization: Bearer {node.operator_token()}\r\n\r\n").encode()
        with socket.create_connection(node.address("http"), 10) as slow:
            slow.sendall(head + bytes(100_000))
            wait_until(lambda: node.metric("storage_puts_open") == 1, what="the upload")
            yield

    def statuses(self, node, n):
        return [node.get("/v1/resolve/name:nobody/nothing").status for _ in range(n)]

    def test_rates(self):
        free = "[omnigate]\nrate = 1000000/s\nburst = 1000000\nrate-address = 0/s\n"
        node = self.node(free)
        self.assertEqual(set(self.statuses(node, 20)), {404})
        self.reload(node, free.replace("address = 0/s", "address = 1/s"), "omnigate.rate-address")
        self.assertIn(429, self.statuses(node, 20))
        self.reload(node, free, "omnigate.rate-address")
        self.assertEqual(set(self.statuses(node, 20)), {404})
        slow = free.replace("rate = 1000000/s", "rate = 1/s")
        self.reload(node, slow, "omnigate.rate")
        self.assertEqual(set(self.statuses(node, 20)), {404}, "within the burst")
        self.reload(node, slow.replace("burst = 1000000", "burst = 1"), "omnigate.burst")
        self.assertIn(429, self.statuses(node, 20))
        node.stop()

    def test_how_many_requests_at_once(self):
        base = "[http]\nbody-rate-min = 0KiB/s\n[omnigate]\ninflight-max = "
        node = self.node(base + "64\n")
        with self.unfinished_upload(node):
            self.assertEqual(self.statuses(node, 1), [404])
            self.reload(node, base + "1\n", "omnigate.inflight-max")
            self.assertEqual(self.statuses(node, 1), [503])
            self.reload(node, base + "2\n", "omnigate.inflight-max")
            self.assertEqual(self.statuses(node, 1), [404])

    def test_who_may_read(self):
        base = "[omnigate]\npublic-read = "
        node = self.node(base + "true\n")
        self.assertEqual(self.statuses(node, 1), [404])
        self.reload(node, base + "false\n", "omnigate.public-read")
        self.assertEqual(self.statuses(node, 1), [401])
        self.reload(node, base + "true\n", "omnigate.public-read")
        self.assertEqual(self.statuses(node, 1), [404])
        node.stop()

    def test_logging(self):
        node = self.node()
        before = node.stderr()
        self.reload(node, "[log]\nlevel = error\n", "log.level")
        self.assertEqual(before, node.stderr(), "what a reload says is less than an error")
        self.reload(node, "[log]\nlevel = error\nlevel.node = info\n", "log.level.node")
        self.assertIn("key changed", node.stderr(1))
        self.assertTrue(node.stderr(1).startswith("{"))
        self.reload(node, "[log]\nlevel = error\nlevel.node = info\nformat = text\n", "log.format")
        self.assertIn("key changed", node.stderr(1))
        self.assertFalse(node.stderr(1).startswith("{"))
        self.reload(node, "[log]\nlevel = error\nformat = text\n", "log.level.node")
        self.reload(node, "[log]\nlevel = error\nformat = text\n")
        node.stop()

    def test_the_time_to_drain(self):
        base = "[http]\nbody-rate-min = 0KiB/s\n[node]\ndrain-timeout = "
        node = self.node(base + "1h\n")
        with self.unfinished_upload(node):
            self.reload(node, base + "0s\n", "node.drain-timeout")
            node.signal(signal.SIGTERM)
            self.assertEqual(node.wait(), support.EXIT_CUT_SHORT)

    def test_limits_of_connections(self):
        for key, least, reason in (("connections-max", "per-peer-max = 1\n", "conn_cap"),
                                   ("transient-max", "", "transient")):
            base = "[transport]\nhandshake-timeout = 60s\n"
            node = self.node(base)
            self.reload(node, f"{base}{least}{key} = 1\n",
                        *[f"transport.{one}" for one in ([key, "per-peer-max"] if least else [key])])
            with socket.create_connection(node.address("https"), 10):
                wait_until(lambda: node.metric("transport_connections", {"listener": "https"}) == 1)
                # HTTPS is not let in either; both count on the same budget.
                with socket.create_connection(node.address("https"), 10) as second:
                    second.settimeout(10)
                    try:
                        self.assertEqual(second.recv(1), b"", "closed")
                    except ConnectionResetError:
                        pass
                wait_until(lambda: node.metric("transport_refused_total", {"reason": reason}) == 1, what=reason)
            node.stop()

    def storm(self, node, n=8):
        """Handshakes whose first flights have all arrived before the node looks."""
        context = ssl.create_default_context()
        out = ssl.MemoryBIO()
        try:
            context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = out.read()
        node.signal(signal.SIGSTOP)
        sockets = [socket.create_connection(node.address("https"), 10) for _ in range(n)]
        for one in sockets:
            one.sendall(hello)
        node.signal(signal.SIGCONT)
        for one in sockets:
            self.assertEqual(one.recv(1), b"\x16", "a handshake record")
            one.close()

    def test_handshakes_at_once(self):
        base = "[node]\nshards = 1\n[transport]\naccept-permits = "
        deferred = lambda: node.metric("transport_handshakes_deferred_total")
        node = self.node(base + "64\n")
        self.storm(node)
        self.assertEqual(deferred(), 0)
        self.reload(node, base + "1\n", "transport.accept-permits")
        self.storm(node)
        self.assertGreater(deferred(), 0)
        node.stop()

    def test_how_often_ticket_keys_rotate(self):
        node = self.node()
        rotations = lambda: node.metric("transport_ticket_rotations_total")
        self.assertEqual(rotations(), 0)
        self.reload(node, "[transport]\nticket-rotation = 1s\n", "transport.ticket-rotation")
        wait_until(lambda: rotations() >= 2, what="two rotations")
        node.stop()


if __name__ == "__main__":
    support.main()
