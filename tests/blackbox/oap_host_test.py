"""What a node does around OAP/1: handshakes in turns, metrics, reject lines, readiness."""
# ctest: TIMEOUT 180 LABELS blackbox
import json
import re
import signal
import socket
import ssl
import struct

import oap
import support
from oap import OapClient
from support import NO_RATES, NodeTest, wait_until

# Every metric of OAP/1 that the requirements name or that an alert is made of.
METRICS = {"oap_decode_p95_seconds", "oap_decode_seconds", "oap_encode_p95_seconds",
           "oap_encode_seconds", "oap_rejects_total", "oap_frames_total", "oap_frames_sent_total",
           "oap_streams", "oap_streams_total", "oap_streams_starved", "oap_starts_refused_total",
           "oap_connections_ended_total", "oap_window_stalls_total", "oap_staging_bytes",
           "oap_credit_frames", "oap_parser_ready", "oap_reject_rate_ok", "oap_ack_window_ok",
           "oap_backpressure_ok", "oap_reject_ratio", "oap_ack_starved_seconds", "oap_page"}
KEYS = {"oap_parser_ready", "oap_reject_rate_ok", "oap_ack_window_ok", "oap_backpressure_ok"}


class Handshakes(NodeTest):
    def greeting(self, context):
        """A TLS client that has not spoken yet, and its first flight."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        return tls, incoming, outgoing, outgoing.read()

    def test_a_storm_takes_turns(self):
        """First flights that arrive together are not computed together."""
        count = 60
        node = self.node("[node]\nshards = 1\n[transport]\naccept-permits = 1\n")
        context = oap.tls_context()
        clients = [self.greeting(context) for _ in range(count)]
        node.signal(signal.SIGSTOP)
        sockets = []
        for _, _, _, first in clients:
            sockets.append(socket.create_connection(node.address("oap_tls"), 20))
            self.addCleanup(sockets[-1].close)
            sockets[-1].sendall(first)
        node.signal(signal.SIGCONT)
        for (tls, incoming, outgoing, _), sock in zip(clients, sockets):
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    incoming.write(sock.recv(65536))
            sock.sendall(outgoing.read())
        wait_until(lambda: node.metric("transport_handshakes_total", {"outcome": "full"}) == count,
                   what="all handshakes")
        self.assertGreater(node.metric("transport_handshakes_deferred_total"), count / 4)
        self.assertEqual(node.metric("transport_handshakes_waiting"), 0)
        self.assertEqual(node.metric("transport_handshake_seconds_count"), count)

    def test_outcomes(self):
        node = self.node("[transport]\nhandshake-timeout = 200ms\n")
        def outcome(name):
            return node.metric("transport_handshakes_total", {"outcome": name})
        with socket.create_connection(node.address("oap_tls"), 10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while sock.recv(4096):
                pass
        wait_until(lambda: outcome("failed") == 1, what="a failed handshake")
        with socket.create_connection(node.address("oap_tls"), 10) as sock:
            self.assertEqual(sock.recv(1), b"")
        wait_until(lambda: outcome("timeout") == 1, what="a handshake at its deadline")


def families(node):
    """{name: type} of what /metrics declares."""
    text = node.get("/metrics", endpoint="admin").body.decode()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


class Metrics(NodeTest):
    def test_all_are_there_from_the_start(self):
        node = self.node()
        there = families(node)
        self.assertLessEqual(METRICS, set(there))
        self.assertEqual({name for name in there if name.startswith("oap_")}, METRICS)
        samples = node.metrics()
        for bucket in ("frame_oversize", "header_malformed", "unknown_envelope",
                       "credit_violation", "missing_obj", "truncated"):
            self.assertEqual(samples[f'oap_rejects_total{{reason="{bucket}"}}'], 0)
        for key in KEYS:
            self.assertEqual(samples[key], 1, key)

    def test_frames_are_timed_to_the_microsecond(self):
        node = self.node(NO_RATES)
        with OapClient(node) as client:
            for _ in range(200):
                client.call("ping")
            corr = client.open("echo", end=False)
            client.send(oap.data(corr, 1, b"x" * 60_000))
            self.assertEqual(client.of(corr).content, b"x" * 60_000)
        samples = node.metrics()
        bounds = {float(b) for b in re.findall(r'oap_decode_seconds_bucket\{le="([^"]+)"\}',
                                               "\n".join(samples)) if b != "+Inf"}
        self.assertLessEqual({0.000001, 0.000002, 0.000005, 0.00001}, bounds)
        self.assertGreaterEqual(samples["oap_decode_seconds_count"], 200)
        self.assertGreaterEqual(samples["oap_encode_seconds_count"], 1)
        wait_until(lambda: 0 < node.metric("oap_decode_p95_seconds") < 0.02, what="the quantile")

    def test_an_alert_watches_staging(self):
        with open(support.source("config/rules/oap.yml"), encoding="utf-8") as rules:
            self.assertIn(f"expr: oap_staging_bytes > {128 << 20}\n", rules.read())


class Staging(NodeTest):
    def test_promises_cost_nothing_and_halves_are_counted(self):
        node = self.node(NO_RATES)
        clients = [OapClient(node) for _ in range(20)]
        for client in clients:
            client.call("ping")
        self.assertEqual(node.metric("oap_staging_bytes"), 0)
        half = oap.data(1, 1, bytes(60_000))[:30_000]
        for client in clients:
            client.send(oap.start(9, "echo", end=False) + half)
        wait_until(lambda: node.metric("oap_staging_bytes") >= 20 * len(half), what="staging")
        self.assertLess(node.metric("oap_staging_bytes"), 20 * (1 << 20))
        for client in clients:
            client.sock.close()
        wait_until(lambda: node.metric("oap_staging_bytes") == 0, what="staging to be given back")


def reject_lines(node):
    """What the node logged of rejected frames."""
    found = []
    for line in node.stderr(10**6).splitlines():
        if line.startswith("{") and (said := json.loads(line))["msg"] == "frame rejected":
            found.append(said)
    return found


class RejectLines(NodeTest):
    def test_one_line_with_the_detail(self):
        node = self.node(NO_RATES)
        with OapClient(node) as client:
            corr = client.open("echo", end=False)
            client.send(oap.data(corr, 1, b"secret payload") + oap.data(corr, 3, b"x"))
            while client.of(corr).kind != "error":
                pass
            client.send(struct.pack(">I", 66_561) + bytes(34))
            port = client.sock.getsockname()[1]
            while client.next() is not None:
                pass
        gap, large = wait_until(lambda: len(reject_lines(node)) == 2 and reject_lines(node),
                                what="two lines")
        self.assertEqual((gap["reason"], gap["bucket"], gap["scope"], gap["field"], gap["corr_id"]),
                         ("seq_gap", "credit_violation", "stream", "seq", corr))
        self.assertEqual((large["reason"], large["bucket"], large["scope"], large["field"]),
                         ("oversize", "frame_oversize", "connection", "len"))
        self.assertEqual((large["limit"], large["knob"], large["length"], large["field_offset"]),
                         (66_560, "oap.max-frame", 66_561, 0))
        self.assertGreater(large["offset"], gap["offset"])
        for line in (gap, large):
            self.assertEqual(line["peer"], f"127.0.0.1:{port}")
            self.assertGreater(line["connection"], 0)
        self.assertNotIn("secret payload", node.stderr(10**6))

    def test_a_flood_is_throttled(self):
        node = self.node(NO_RATES)
        for _ in range(150):
            with OapClient(node) as client:
                client.send(bytes(38))
                while client.next() is not None:
                    pass
        self.assertEqual(node.metric("oap_rejects_total", {"reason": "header_malformed"}), 150)
        self.assertLess(len(reject_lines(node)), 120)
        self.assertGreater(len(reject_lines(node)), 0)


class Readiness(NodeTest):
    def test_bad_frames_degrade_and_the_window_heals(self):
        node = self.node(NO_RATES + "[oap]\nrejects-window = 2s\n")
        def missing():
            return node.get("/readyz").json()["missing"]
        self.assertEqual(missing(), [])
        for _ in range(25):
            with OapClient(node) as client:
                client.send(bytes(38))
                while client.next() is not None:
                    pass
        wait_until(lambda: missing() == ["oap_reject_rate_ok"], what="the key")
        answer = node.get("/readyz")
        self.assertEqual((answer.status, answer.json()["degraded"]), (200, True))
        self.assertEqual(node.get("/readyz?for=write").status, 503)
        self.assertEqual(node.metric("oap_reject_rate_ok"), 0)
        self.assertGreater(node.metric("oap_reject_ratio"), 0.005)
        # Strangers who send garbage shut nobody out.
        self.assertEqual(node.http("PUT", "/v1/o", b"x", token=node.operator_token()).status, 201)
        wait_until(lambda: missing() == [], what="the window to pass")
        self.assertEqual(node.metric("oap_reject_rate_ok"), 1)

    def test_staging_beyond_its_limit_refuses_writes(self):
        node = self.node(NO_RATES + "[oap]\nstaging-max = 1MiB\nmax-frame = 1MiB\n")
        token = node.operator_token()
        clients = [OapClient(node, max_frame=1 << 20) for _ in range(4)]
        for client in clients:
            client.send(oap.start(1, "echo", end=False) + oap.data(1, 1, bytes(900_000))[:800_000])
        wait_until(lambda: node.get("/readyz").json()["missing"] == ["oap_backpressure_ok"],
                   what="the key")
        refused = node.http("PUT", "/v1/o", b"x", token=token)
        self.assertEqual((refused.status, refused.json()["reason"]), (503, "degraded"))
        for client in clients:
            client.sock.close()
        wait_until(lambda: node.get("/readyz").json()["missing"] == [], what="the end of it")
        wait_until(lambda: node.http("PUT", "/v1/o", b"x", token=token).status == 201,
                   what="writes")

    def test_without_a_listener_there_are_no_keys(self):
        node = self.node("[oap]\ntls-address = off\nquic-address = off\n")
        self.assertEqual(node.get("/readyz").json()["missing"], [])
        self.assertNotIn("oap_parser_ready", families(node))

    def test_limits_are_keys(self):
        shown = support.run("ron-node", "--print-config").stdout
        for line in ("rejects-max = 50", "rejects-window = 1min", "starvation-max = 5s",
                     "starvation-window = 5min", "staging-max = 128MiB", "page-decode = 20ms",
                     "page-rejects = 100", "page-starvation = 30s", "page-after = 5min"):
            self.assertIn(line, shown)


if __name__ == "__main__":
    support.main()
