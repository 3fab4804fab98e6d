"""Who is turned away at the door, with which words, and how it is counted."""
# ctest: TIMEOUT 180 LABELS blackbox
import random
import re

import oap
import support
from rawhttp import RawHttp
from support import NodeTest, wait_until

REASONS = {
    "bad_request", "unauth", "forbidden", "not_found", "method", "timeout", "conflict", "digest",
    "precondition", "body_cap", "decompress_cap", "ratio_cap", "coding", "media_type", "range",
    "expectation", "quota", "headers", "internal", "downstream_5xx", "integrity", "busy",
    "degraded", "draining", "conn_cap", "downstream_timeout", "disk_full", "store_quota"}
BUCKETS = {"frame_oversize", "header_malformed", "unknown_envelope", "credit_violation",
           "missing_obj", "truncated"}
ROUTES = {"o", "name", "resolve", "manifest", "provider", "view", "media", "feed", "mailbox",
          "other"}


def burst(node, count, path="/v1/names", headers=""):
    """`count` pipelined GETs on one connection: their answers."""
    with RawHttp(node, timeout=30) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode() * count)
        return [raw.answer() for _ in range(count)]


class Rates(NodeTest):
    def check_throttled(self, answers):
        throttled = [a for a in answers if a.status == 429]
        self.assertEqual({a.status for a in answers}, {200, 429})
        for answer in throttled:
            said = answer.json()
            self.assertEqual((said["code"], said["reason"], said["retryable"]),
                             ("quota_exhausted", "quota", True))
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertGreater(said["retry_after_ms"], 0)
        return len(throttled)

    def test_one_address(self):
        """By default 50/s and 100 at once for one anonymous address."""
        node = self.node()
        throttled = self.check_throttled(burst(node, 1_000))
        # A slow machine refills while it sends, but not nine hundred.
        self.assertGreater(throttled, 100)
        self.assertLessEqual(throttled, 900)
        self.assertEqual(node.metric("rejected_total", {"reason": "quota"}), throttled)
        self.assertEqual(node.metric("http_requests_total", {"route": "name",
                                                             "status": "throttled"}), throttled)
        said = wait_until(lambda: node.get("/v1/names").status == 200, 10, "a refill")
        self.assertTrue(said)

    def test_the_instance(self):
        """Everybody together: 20/s and 40 at once here, the address is not limited."""
        node = self.node("[omnigate]\nrate-address = 0/s\nrate = 20/s\nburst = 40\n")
        answers = burst(node, 400)
        throttled = self.check_throttled(answers)
        self.assertGreater(throttled, 40)
        self.assertTrue(all(a.status == 200 for a in answers[:40]))

    def test_instance_defaults_are_reachable(self):
        """500/s and 1,000 at once: 1,000 in a row pass where no address is limited."""
        node = self.node("[omnigate]\nrate-address = 0/s\n")
        answers = burst(node, 1_000)
        self.assertEqual({a.status for a in answers}, {200})

    def test_the_operator_is_not_limited(self):
        node = self.node("[omnigate]\nrate-address = 1/s\nrate = 1/s\nburst = 1\n")
        header = f"Authorization: Bearer {node.operator_token()}\r\n"
        self.assertEqual({a.status for a in burst(node, 300, headers=header)}, {200})

    def test_operations_are_never_limited(self):
        node = self.node("[omnigate]\nrate-address = 1/s\nrate = 1/s\nburst = 1\ninflight-max = 1\n")
        burst(node, 50)
        for path in ("/healthz", "/version"):
            self.assertEqual({a.status for a in burst(node, 200, path)}, {200}, path)
        self.assertLessEqual({a.status for a in burst(node, 200, "/readyz")}, {200, 503})
        for path in ("/metrics", "/readyz", "/debug/v1/actors"):
            self.assertIn(node.get(path, endpoint="admin").status, (200, 503))
        with oap.OapClient(node) as client:
            for _ in range(100):
                self.assertEqual(client.call("ping")[0], 200)

    def test_bad_tokens_are_counted_as_their_address(self):
        node = self.node()
        answers = burst(node, 400, headers="Authorization: Bearer AAAA\r\n")
        self.assertEqual({a.status for a in answers}, {401, 429})


class InFlight(NodeTest):
    def test_cap_answers_busy(self):
        node = self.node(support.NO_RATES + "inflight-max = 2\n")
        token = f"Authorization: Bearer {node.operator_token()}"
        held = []
        for _ in range(2):  # uploads that stand still
            raw = RawHttp(node)
            self.addCleanup(raw.sock.close)
            raw.request("PUT /v1/o HTTP/1.1", token, "Content-Length: 4", "Expect: 100-continue")
            self.assertEqual(raw.answer().status, 100)
            held.append(raw)
        refused = node.get("/v1/names")
        self.assertEqual((refused.status, refused.json()["code"], refused.json()["reason"]),
                         (503, "unavailable", "busy"))
        self.assertTrue(refused.json()["retryable"])
        self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
        self.assertEqual(node.get("/healthz").status, 200)
        self.assertEqual(node.metric("inflight_requests", {"route": "o"}), 2)
        self.assertEqual(node.metric("rejected_total", {"reason": "busy"}), 1)
        with oap.OapClient(node) as client:
            with self.assertRaises(oap.OapError) as busy:
                client.call("name.list")
            self.assertEqual((busy.exception.status, busy.exception.reason), (503, 0x109))
        for raw in held:
            raw.send(b"done")
            self.assertIn(raw.answer().status, (200, 201))
        self.assertEqual(wait_until(lambda: node.get("/v1/names").status == 200, what="room"), True)
        self.assertEqual(node.metric("inflight_requests", {"route": "o"}), 0)

    def test_a_caller_that_leaves_frees_its_place(self):
        node = self.node(support.NO_RATES + "inflight-max = 1\n")
        token = f"Authorization: Bearer {node.operator_token()}"
        for _ in range(5):
            with RawHttp(node) as raw:
                def starts():
                    raw.request("PUT /v1/o HTTP/1.1", token, "Content-Length: 4",
                                "Expect: 100-continue")
                    return raw.answer().status
                first = starts()
                if first != 100:  # the one before has not been noticed yet
                    raw.sock.close()
                    wait_until(lambda: node.get("/v1/names").status == 200, what="room")
        wait_until(lambda: node.get("/v1/names").status == 200, what="room")

    def test_long_polls_have_places_of_their_own(self):
        node = self.node(support.NO_RATES + "inflight-max = 1\nwaiters-max = 2\n")
        token = node.operator_token()
        polls = []
        for i in range(2):
            connection = node.connection(timeout=40)
            self.addCleanup(connection.close)
            before = self.reached_mailbox(node)
            connection.request("POST", f"/v1/mailbox/t{i}/receive", b'{"wait_s":30}',
                               {"Authorization": f"Bearer {token}"})
            wait_until(lambda: self.reached_mailbox(node) > before, what="the poll to wait")
            polls.append(connection)
        third = wait_until(lambda: self.busy_poll(node, token), what="the third to be refused")
        self.assertEqual(third.json()["reason"], "busy")
        self.assertEqual(node.get("/v1/names").status, 200)
        for i, connection in enumerate(polls):
            sent = node.http("POST", f"/v1/mailbox/t{i}", {"payload": ""}, token=token)
            self.assertEqual(sent.status, 202)
            self.assertEqual(connection.getresponse().status, 200)

    def reached_mailbox(self, node):
        page = node.get("/debug/v1/actors?type=mailbox", endpoint="admin").json()
        return sum(actor["in"] for actor in page["items"])

    def busy_poll(self, node, token):
        answer = node.http("POST", "/v1/mailbox/t2/receive", {"wait_s": 0}, token=token)
        return answer if answer.status == 503 else None


class Metrics(NodeTest):
    def labels(self, samples, name, label):
        found = [re.search(label + r'="([^"]*)"', s) for s in samples
                 if s.partition("{")[0] == name]
        return {match[1] for match in found if match}

    def test_all_series_are_there_from_the_start(self):
        samples = self.node().metrics()
        for reason in REASONS:
            self.assertEqual(samples[f'rejected_total{{reason="{reason}"}}'], 0)
        for bucket in BUCKETS:
            self.assertEqual(samples[f'oap_rejects_total{{reason="{bucket}"}}'], 0)
        self.assertEqual(self.labels(samples, "rejected_total", "reason"), REASONS)
        self.assertEqual(self.labels(samples, "oap_rejects_total", "reason"), BUCKETS)
        self.assertEqual(samples["bus_overflow_dropped_total"], 0)
        for name in ("http_requests_total", "inflight_requests"):
            self.assertLessEqual(self.labels(samples, name, "route"), ROUTES)
        names = {s.partition("{")[0] for s in samples}
        self.assertLessEqual({"oap_frames_total", "request_latency_seconds_bucket",
                              "inflight_requests", "http_requests_total"}, names)

    def test_actors_alive_by_type(self):
        """Promised to outside tests: how many actors of each type live."""
        samples = self.node().metrics()
        types = self.labels(samples, "actors_alive", "type")
        self.assertLessEqual({"index", "storage", "mailbox"}, types)

    def test_strangers_add_no_series(self):
        node = self.node(support.NO_RATES)
        burst(node, 1)
        node.get("/nothing")
        node.metrics()
        before = set(node.metrics())
        dice = random.Random(11)
        paths = ["/" + "/".join(dice.choice(["v1", "o", "names", "view", "x%41", "mailbox"])
                                + dice.choice(["", str(dice.random())])
                                for _ in range(dice.randrange(1, 5))) for _ in range(2_000)]
        statuses = set()
        for first in range(0, len(paths), 50):
            with RawHttp(node, timeout=30) as raw:
                some = paths[first:first + 50]
                raw.send("".join(f"GET {p} HTTP/1.1\r\nHost: h{first}\r\n\r\n"
                                 for p in some).encode())
                statuses |= {raw.answer().status for _ in some}
        self.assertIn(404, statuses)
        self.assertLessEqual(statuses, {200, 400, 401, 404, 405})
        after = set(node.metrics())
        # Labels of a closed set may appear with their first use; nothing else may.
        for series in after - before:
            for label, value in re.findall(r'(\w+)="([^"]*)"', series):
                closed = {"route": ROUTES, "status": {"ok", "error", "throttled"},
                          "reason": REASONS | BUCKETS}
                if label != "le":
                    self.assertIn(value, closed.get(label, ()), series)
        self.assertEqual(self.labels(after, "http_requests_total", "route") - ROUTES, set())


if __name__ == "__main__":
    support.main()
