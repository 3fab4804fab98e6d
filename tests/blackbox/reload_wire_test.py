"""What a running node takes over for connections from then on; those that are open keep what they began with."""
# ctest: TIMEOUT 120 LABELS blackbox
import gzip
import json
import random
import socket
import ssl

import oap
import support
from oap import OapClient, OapError
from rawhttp import RawHttp
from reload_case import ReloadCase
from support import NO_RATES, wait_until

SLOW = """\
[transport]
handshake-timeout = 60s
read-timeout = 60s
write-timeout = 60s
idle-timeout = 60s
[http]
header-timeout = 60s
body-rate-min = 0KiB/s
answer-rate-min = 0KiB/s
[oap]
answer-rate-min = 0KiB/s
"""
BIG = 32 << 20  # no buffer takes it


class Wire(ReloadCase):
    def silent(self, node, endpoint):
        """A connection that says nothing."""
        one = socket.create_connection(node.address(endpoint), 10)
        self.addCleanup(one.close)
        return one

    def oap(self, node, **limits):
        client = OapClient(node, node.operator_token(), **limits)
        self.addCleanup(client.sock.close)
        return client

    def http(self, node):
        """A connection that the node has let in already."""
        one = RawHttp(node)
        self.addCleanup(one.sock.close)
        one.request("GET /healthz HTTP/1.1")
        self.assertEqual(one.answer().status, 200)
        return one

    def is_open(self, sock):
        """True while the node has neither said anything nor ended it."""
        sock.settimeout(0)
        try:
            return sock.recv(1) == b"never"
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        finally:
            sock.settimeout(10)

    def test_times_of_a_connection(self):
        node = self.node(NO_RATES + SLOW)
        cid = self.put(node, bytes(BIG))
        ended = lambda: node.metric("oap_connections_ended_total", {"ending": "timeout"})

        def half_a_frame():
            client = self.oap(node)
            client.send(oap.start(1, "ping")[:20])
            return client

        def takes_nothing():
            client = self.oap(node)
            client.open("o.get", {"cid": cid}, reply_objects=True, window=1024)
            return client

        old_silent, old_half, old_full, old = (self.silent(node, "oap_tls"), half_a_frame(), takes_nothing(),
                                               self.oap(node))
        wait_until(lambda: node.metric("transport_accepted_total", {"listener": "oap_tls"}) == 4)
        for n, (key, begin) in enumerate((("handshake-timeout", lambda: self.silent(node, "oap_tls")),
                                          ("read-timeout", half_a_frame),
                                          ("write-timeout", takes_nothing)), 1):
            with self.subTest(key):
                self.reload(node, NO_RATES + SLOW.replace(f"{key} = 60s", f"{key} = 300ms"), f"transport.{key}")
                new = begin()
                wait_until(lambda: ended() == n, what=key)  # pylint: disable=cell-var-from-loop
                self.reload(node, NO_RATES + SLOW, f"transport.{key}")
                del new
        self.reload(node, NO_RATES + SLOW.replace("idle-timeout = 60s", "idle-timeout = 1s"),
                    "transport.idle-timeout")
        idle = self.oap(node)
        last = idle.next()
        self.assertEqual((last.kind, last.connection, last.status), ("error", True, 503), "ended in good order")
        self.assertIsNone(idle.next())
        self.assertEqual(ended(), 3)
        self.assertTrue(self.is_open(old_silent))
        self.assertTrue(self.is_open(old_half.sock))
        self.assertNotEqual(old_full.sock.recv(1), b"")
        self.assertEqual(old.call("ping"), (200, []), "it keeps what it began with")

    def test_heads(self):
        node = self.node(SLOW)
        padding = "X-Padding: " + "x" * 4096

        def ask(connection):
            connection.request("GET /healthz HTTP/1.1", padding)
            return connection.answer().status

        old = self.http(node)
        self.assertEqual(ask(old), 200)
        small = SLOW.replace("[http]\n", "[http]\nheader-bytes-max = 1KiB\n")
        self.reload(node, small, "http.header-bytes-max")
        self.assertEqual(ask(self.http(node)), 431)
        self.assertEqual(ask(old), 200)
        self.reload(node, SLOW, "http.header-bytes-max")
        self.assertEqual(ask(self.http(node)), 200)
        old.send(b"GET /healthz HTTP/1.1\r\n")
        self.reload(node, SLOW.replace("header-timeout = 60s", "header-timeout = 300ms"), "http.header-timeout")
        new = self.http(node)
        new.send(b"GET /healthz HTTP/1.1\r\n")
        self.assertEqual(new.answer().status, 408)
        self.assertTrue(self.is_open(old.sock))
        old.send(f"Host: {old.host}\r\n\r\n".encode())
        self.assertEqual(old.answer().status, 200)
        node.stop()

    def test_rates_of_bytes(self):
        node = self.node(NO_RATES + SLOW)
        cid = self.put(node, bytes(BIG))
        token = node.operator_token()

        def uploads():
            one = self.http(node)
            one.request("PUT /v1/o HTTP/1.1", "Content-Length: 1000000", f"Authorization: Bearer {token}",
                        body=bytes(1000))
            return one

        def downloads():
            one = self.http(node)
            one.request(f"GET /v1/o/{cid} HTTP/1.1")
            return one

        def takes_nothing():
            client = self.oap(node)
            client.open("o.get", {"cid": cid}, reply_objects=True, window=1024)
            return client

        old = uploads()
        old_open = [downloads(), takes_nothing()]
        # Without the one that asks, which is plain HTTP as well.
        connections = lambda: node.metric("transport_connections", {"listener": "http"}) - 1
        self.reload(node, (NO_RATES + SLOW).replace("rate-min = 0KiB/s", "rate-min = 1GiB/s"),
                    "http.body-rate-min", "http.answer-rate-min", "oap.answer-rate-min")
        new, new_down, new_oap = uploads(), downloads(), takes_nothing()
        wait_until(lambda: connections() == 4, what="all of them")
        self.assertEqual(node.metric("oap_connections_ended_total"), 0)
        new.sock.settimeout(30)
        self.assertEqual(new.answer().status, 408)
        wait_until(lambda: connections() == 2, 30, what="the end of both")
        wait_until(lambda: node.metric("oap_connections_ended_total", {"ending": "timeout"}) == 1, 30)
        self.assertTrue(self.is_open(old.sock))
        self.assertEqual(node.metric("oap_connections_ended_total"), 1)
        del old_open, new_down, new_oap

    def test_what_hello_says(self):
        node = self.node(NO_RATES)
        everything = {"max_frame": 1 << 20, "max_streams": 65536, "ack_window": 1024, "max_inflight": 1024,
                      "features": ["x1", "zstd"]}
        says = lambda c: (*(c.hello[one] for one in ("max_frame", "max_streams", "ack_window", "max_inflight")),
                          "zstd" in c.hello["features"])
        old = self.oap(node, **everything)
        self.assertEqual(says(old), (66560, 512, 8, 64, False))
        text = "[oap]\nmax-frame = 128KiB\nmax-streams = 64\nack-window = 32\nmax-inflight = 128\ncompression = true\n"
        self.reload(node, NO_RATES + text, "oap.max-frame", "oap.max-streams", "oap.ack-window", "oap.max-inflight",
                    "oap.compression")
        new = self.oap(node, **everything)
        self.assertEqual(says(new), (128 << 10, 64, 32, 128, True))
        # It means it: longer frames, fewer streams; compressed ones are of oap_compression_test.py.
        corr = new.open("echo", end=False)
        new.send(oap.data(corr, 1, bytes(100_000)))
        self.assertEqual(new.of(corr).kind, "data")
        for _ in range(63):
            new.open("echo", end=False)
        with self.assertRaises(OapError) as refused:
            new.call("echo", end=False)
        self.assertEqual((refused.exception.status, refused.exception.error.connection), (429, False))
        for _ in range(65):
            corr = old.open("echo", end=False)
        old.send(oap.data(corr, 1, bytes(1000)))
        self.assertEqual(old.of(corr).kind, "data")
        old.send(oap.data(corr, 2, bytes(100_000)))
        with self.assertRaises(OapError) as refused:
            old.of(corr)
        self.assertEqual((refused.exception.status, refused.exception.error.connection), (413, True))

    def windows(self, client, frames=64):
        """The windows that the node grants to a stream that sends as fast as it may."""
        corr = client.open("echo", end=False)
        granted, windows = client.hello["ack_window"], []
        for seq in range(1, frames + 1):
            while seq > granted:
                f = client.next()
                self.assertIn(f.kind, ("ack", "data"), f)
                if f.kind == "data":  # of a stream before, perhaps
                    client.send(oap.ack(f.corr, f.seq, 64))
                elif f.corr == corr:
                    granted = f.up_to + f.window
                    windows.append(f.window)
            client.send(oap.data(corr, seq, bytes(100)))
        return windows

    def test_what_a_peer_is_granted(self):
        node = self.node(NO_RATES)
        old = self.oap(node)
        self.assertGreaterEqual(max(self.windows(old)), 8)
        self.reload(node, NO_RATES + "[oap]\nreceive-budget = 256KiB\n", "oap.receive-budget")
        self.assertLessEqual(max(self.windows(self.oap(node))), (256 << 10) // 66560)
        self.assertGreaterEqual(max(self.windows(old)), 8)

    def test_bodies(self):
        base = NO_RATES + SLOW + "[inflate]\n"
        node = self.node(base)
        token = node.operator_token()
        steep, even = "A" * 3000, random.Random(6).randbytes(3000).hex()  # shrink to a 50th, to a half

        def send(connection, payload, coding):
            body = json.dumps({"payload": payload}).encode()
            body = gzip.compress(body) if coding == "gzip" else body
            connection.request("POST /v1/mailbox/t HTTP/1.1", f"Authorization: Bearer {token}",
                               "Content-Type: application/json", f"Content-Encoding: {coding}",
                               f"Content-Length: {len(body)}", body=body)
            answer = connection.answer()
            return answer.status, answer.json().get("reason")

        taken = (202, None)
        for key, text, payload, coding, before, after in (
                ("inflate.ratio-max", base + "ratio-max = 100\n", steep, "gzip", (413, "ratio_cap"), taken),
                ("inflate.bytes-max", base + "bytes-max = 4KiB\n", even, "gzip", taken, (413, "decompress_cap")),
                ("omnigate.body-bytes-max", base.replace("burst", "body-bytes-max = 1KiB\nburst"), even, "identity",
                 taken, (413, "body_cap"))):
            with self.subTest(key):
                old = [self.http(node), self.http(node)]
                self.assertEqual(send(self.http(node), payload, coding), before)
                self.reload(node, text, key)
                self.assertEqual(send(self.http(node), payload, coding), after)
                self.assertEqual(send(old[0], payload, coding), before)
                self.reload(node, base, key)
                self.assertEqual(send(old[1], payload, coding), before)
                self.assertEqual(send(self.http(node), payload, coding), before)

        node.stop()


if __name__ == "__main__":
    support.main()
