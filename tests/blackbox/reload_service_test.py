"""What the services of a running node take over: for all who use them, from then on."""
# ctest: TIMEOUT 120 LABELS blackbox
import socket

import oap
import support
from oap import OapClient
from rawhttp import RawHttp
from reload_case import ReloadCase, frozen
from support import NO_RATES, wait_until

DISK = "[node]\namnesia = false\ndata-dir = data\n"
CID = "b3:" + "1" * 64


def omnigate(line):
    """NO_RATES and one more line of its section."""
    return NO_RATES + line + "\n"


class Service(ReloadCase):
    def oap(self, node):
        client = OapClient(node, node.operator_token())
        self.addCleanup(client.sock.close)
        return client

    def name_puts(self, client, *names):
        """Requests that wait for the disk, in one piece."""
        raw = b""
        for name in names:
            client.corr += 1
            raw += oap.start(client.corr, "name.put", {"name": f"test/{name}", "cid": CID}, cap=client.cap)
        client.send(raw)

    def answers(self, client, n):
        """The statuses of the next `n` streams that end."""
        found = []
        while len(found) < n:
            f = client.next()
            self.assertIsNotNone(f)
            if f.kind in ("end", "error"):
                self.assertFalse(f.connection, f)
                found.append(f.status)
        return found

    def test_calls_at_once(self):
        base = DISK + NO_RATES + "request-timeout = 60s\n"
        permits = lambda n: base + f'permits = ["index={n}"]\n'
        node = self.node(permits(1))
        client = self.oap(node)
        with frozen(node, "ron-write"):
            self.name_puts(client, *"abcde")
            self.assertEqual(self.answers(client, 2), [503, 503], "one runs, two wait")
            self.reload(node, permits(2), "omnigate.permits")
            self.name_puts(client, *"fghi")
            self.assertEqual(self.answers(client, 1), [503], "two run, four wait")
        self.assertEqual(self.answers(client, 6), [201] * 6)
        with frozen(node, "ron-write"):
            self.name_puts(client, *"jk")
            self.reload(node, permits(1), "omnigate.permits")
            self.name_puts(client, *"lmnop")
            self.assertEqual(self.answers(client, 3), [503] * 3, "two run still, two wait")
        self.assertEqual(self.answers(client, 4), [201] * 4)
        node.stop()

    def test_the_time_for_an_answer(self):
        base = DISK + NO_RATES + "request-timeout = "
        node = self.node(base + "60s\n")
        old = self.oap(node)
        self.reload(node, base + "300ms\n", "omnigate.request-timeout")
        new = self.oap(node)
        with frozen(node, "ron-write"):
            self.name_puts(old, "old")
            self.name_puts(new, "new")
            self.assertEqual(self.answers(new, 1), [504])
            late = node.http("PUT", "/v1/names/test/http", {"cid": CID}, token=node.operator_token())
            self.assertEqual(late.status, 504, late)
        self.assertEqual(self.answers(old, 1), [201], "it keeps what it began with")
        node.stop()

    def test_the_time_of_a_resolve(self):
        base = DISK + NO_RATES + 'request-timeout = 60s\npermits = ["index=1"]\n[index]\nresolve-budget = '
        node = self.node(base + "60s\n")
        client = self.oap(node)
        with frozen(node, "ron-write"):
            self.name_puts(client, "a")  # has the one permit, for which the others wait
            client.open("resolve", {"key": "name:test/a"})
            self.reload(node, base + "200ms\n", "index.resolve-budget")
            client.open("resolve", {"key": "name:test/a"})
            self.assertEqual(self.answers(client, 1), [504])
        self.assertEqual(sorted(self.answers(client, 2)), [200, 201], "each keeps the time that it began with")
        node.stop()

    def test_long_polls(self):
        limit = lambda n: omnigate(f"waiters-max = {n}")
        node = self.node(limit(1))
        token = node.operator_token()

        def poll():
            one = RawHttp(node, timeout=40)
            self.addCleanup(one.sock.close)
            body = b'{"wait_s": 30}'
            one.request("POST /v1/mailbox/t/receive HTTP/1.1", f"Authorization: Bearer {token}",
                        "Content-Type: application/json", f"Content-Length: {len(body)}", body=body)
            return one

        def waiting(n):
            wait_until(lambda: node.metric("mailbox_waiters") == n, what=f"{n} long polls")

        held = [poll()]
        waiting(1)
        self.assertEqual(poll().answer().status, 503)
        self.reload(node, limit(3), "omnigate.waiters-max")
        held += [poll(), poll()]
        waiting(3)
        self.assertEqual(poll().answer().status, 503)
        self.reload(node, limit(1), "omnigate.waiters-max")
        self.assertEqual(poll().answer().status, 503)
        waiting(3)
        for _ in held:  # whoever waits is served
            self.assertEqual(node.http("POST", "/v1/mailbox/t", {"payload": "eA=="}, token=token).status, 202)
        for one in held:
            self.assertEqual(one.answer().status, 200)
        node.stop()

    def test_names_in_ram(self):
        limits = lambda *lines: NO_RATES + "\n".join(("[index]", *lines, ""))
        node = self.node(limits("ttl = 24h", "negative-ttl = 1h"))
        names = [f"test/{i}" for i in range(200)]
        for name in names:
            self.assertEqual(node.http("PUT", f"/v1/names/{name}", {"cid": CID}, token=node.operator_token()).status,
                             201)
        source = lambda name: node.get(f"/v1/resolve/name:{name}").json()["source"]
        missed = lambda: (node.get("/v1/resolve/name:test/nobody").status,
                          node.metric("index_cache_misses_total"))[1]
        entries = lambda: node.metric("index_cache_entries")
        self.assertEqual([source(names[0]) for _ in range(3)], ["store", "cache", "cache"])
        before = missed()
        self.assertEqual([missed() - before for _ in range(3)], [0, 0, 0])
        self.reload(node, limits("ttl = 0s", "negative-ttl = 1h"), "index.ttl")
        self.assertEqual([source(names[0]) for _ in range(3)], ["store"] * 3)
        self.reload(node, limits("ttl = 24h", "negative-ttl = 0s"), "index.ttl", "index.negative-ttl")
        self.assertEqual([source(names[0]) for _ in range(3)], ["store", "cache", "cache"])
        before = missed()
        self.assertEqual([missed() - before for _ in range(3)], [1, 2, 3])
        for name in names:
            source(name)
        self.assertGreaterEqual(entries(), 200)
        bound = limits("ttl = 24h", "negative-ttl = 0s", "cache-entries = 32")
        self.reload(node, bound, "index.cache-entries")
        for name in names:
            source(name)
        self.assertEqual((source(names[-1]), entries() <= 32), ("cache", True))
        self.reload(node, bound.replace("32", "0"), "index.cache-entries")
        self.assertEqual([source(names[-1]) for _ in range(3)], ["store"] * 3)
        self.assertEqual(entries(), 0)
        node.stop()

    def test_the_size_of_an_object(self):
        node = self.node(NO_RATES + "[http]\nbody-rate-min = 0KiB/s\n[storage]\nobject-bytes-max = 1MiB\n")
        small = NO_RATES + "[http]\nbody-rate-min = 0KiB/s\n[storage]\nobject-bytes-max = 64KiB\n"
        body = bytes(range(250)) * 400
        self.put(node, body)
        with RawHttp(node) as slow:
            slow.request("PUT /v1/o HTTP/1.1", f"Authorization: Bearer {node.operator_token()}",
                         f"Content-Length: {len(body)}", body=body[::-1][:1000])
            wait_until(lambda: node.metric("storage_puts_open") == 1, what="the upload")
            self.reload(node, small, "storage.object-bytes-max")
            self.put(node, body[1:], 413)
            self.put(node, body[:65_000])
            slow.send(body[::-1][1000:])
            self.assertEqual(slow.answer().status, 201, "it began with another bound")
        self.reload(node, small.replace("64KiB", "1MiB"), "storage.object-bytes-max")
        self.put(node, body[1:])
        node.stop()

    def mail(self, node, path, body=None, **options):
        return node.http("POST" if body is not None else "GET", "/v1/mailbox/" + path, body,
                         token=node.operator_token(), **options)

    def receive(self, node, topic, **options):
        answer = self.mail(node, topic + "/receive", options)
        self.assertEqual(answer.status, 200, answer)
        return [(m["message_id"], m["attempt"]) for m in answer.json()["messages"]]

    def test_deliveries(self):
        for disk in ("", DISK):
            limits = lambda *lines: disk + NO_RATES + "\n".join(("[mailbox]", *lines, ""))  # pylint: disable=W0640
            node = self.node(limits("visibility = 1h"))
            send = lambda topic: self.mail(node, topic, {"payload": "eA=="}).json()["message_id"]  # pylint: disable=W0640
            hidden, seen = send("hidden"), send("seen")
            self.assertEqual(self.receive(node, "hidden"), [(hidden, 1)])
            self.reload(node, limits("visibility = 250ms"), "mailbox.visibility")
            self.assertEqual(self.receive(node, "seen"), [(seen, 1)])
            self.assertEqual(wait_until(lambda: self.receive(node, "seen")), [(seen, 2)])  # pylint: disable=W0640
            self.assertEqual(self.receive(node, "hidden"), [], "it was given for an hour")
            self.reload(node, limits("visibility = 250ms", "attempts-max = 2"), "mailbox.attempts-max")
            dead = lambda: [one["message_id"] for one in self.mail(node, "seen/dlq").json()["items"]]  # pylint: disable=W0640
            self.assertEqual(wait_until(dead, what="the end of the second attempt"), [seen])
            self.assertEqual(self.receive(node, "seen"), [])
            node.stop()

    def test_repeated_sends(self):
        window = lambda text: NO_RATES + f"[mailbox]\ndedup-window = {text}\n"
        node = self.node(window("1h"))
        send = lambda key: self.mail(node, "t", {"payload": "eA=="}, headers={"Idempotency-Key": key}).json()
        old = send("old")["message_id"]
        self.reload(node, window("1s"), "mailbox.dedup-window")
        new = send("new")
        self.assertFalse(new["duplicate"])
        wait_until(lambda: not send("new")["duplicate"], what="the end of the window")
        self.assertEqual(send("old"), {"message_id": old, "duplicate": True})
        self.reload(node, window("1h"), "mailbox.dedup-window")
        self.assertEqual((send("third")["duplicate"], send("third")["duplicate"]), (False, True))
        node.stop()

    def test_the_socket_of_the_operator(self):
        node = self.node()
        token = node.operator_token()
        self.reload(node, "[caps]\noperator-socket = false\n", "caps.operator-socket", token=token)

        def is_gone():
            try:
                node.first_contact()
            except (ConnectionRefusedError, socket.timeout):
                return True
            return False
        wait_until(is_gone, what="the end of the socket")
        self.reload(node, "", "caps.operator-socket", token=token)
        self.assertEqual(node.http("GET", "/admin/memory", token=node.operator_token(), endpoint="admin").status, 200)
        self.put(node, b"with a token from it")
        node.stop()


if __name__ == "__main__":
    support.main()
