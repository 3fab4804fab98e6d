"""A thousand OAP streams and two hundred HTTP callers side by side: they are served, or told to come
back where that is the limit; no queue outgrows its bound, nothing is dropped, nothing is kept."""
# ctest: TIMEOUT 180 LABELS blackbox
import collections
import itertools
import os
import random
import selectors
import socket
import ssl
import statistics
import time

import cbor
import oap
import support
from support import NodeTest, wait_until

CONNECTIONS, STREAMS, CALLERS = 100, 10, 200
SECONDS = int(os.environ.get("RON_LOAD_SECONDS", "5"))
DEADLINE = SECONDS + 60
SLOPE_MAX = 1 << 20  # RSS bytes a minute, after the first minute of a longer run
CONFIG = support.NO_RATES + f"""\
inflight-max = {4 * CONNECTIONS * STREAMS}
%s
[transport]
per-peer-max = {2 * (CONNECTIONS + CALLERS)}
[log]
level = warn
"""
# As many at once as there are streams and callers, and queues that hold them.
ROOM = """\
permits = ["index=2048", "storage=2048", "mailbox=2048"]
[mailbox-bounds]
index = 2048
storage = 2048
mailbox = 2048
"""
BUSY = 0x109


class Peer:
    """A non-blocking socket in a selector: bytes out, bytes in, and somebody who reads them."""

    def __init__(self, selector, sock):
        self.selector, self.sock = selector, sock
        sock.setblocking(False)
        self.out = bytearray()
        selector.register(sock, selectors.EVENT_READ, self)

    def send(self, raw):
        self.out += raw
        self.write()

    def write(self):
        try:
            while self.out:
                del self.out[:self.sock.send(self.out[:1 << 16])]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0)
        self.selector.modify(self.sock, wanted, self)

    def ready(self, events):
        if events & selectors.EVENT_WRITE:
            self.write()
        if events & selectors.EVENT_READ:
            sock, parts, part = self.sock, bytearray(), None
            try:
                while part != b"":
                    part = sock.recv(1 << 16)
                    parts += part
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            if parts:
                self.received(parts)
            if part == b"" and sock is self.sock:  # not after an answer that said so
                raise AssertionError(f"{type(self).__name__}: the node closed a connection")

    def close(self):
        self.selector.unregister(self.sock)
        self.sock.close()


class Streams(Peer):
    """One OAP connection with a number of streams that are open all the time.

    A stream echoes a few pieces and ends; then an object is fetched on a new one; and so on."""

    def __init__(self, selector, sock, test):
        super().__init__(selector, sock)
        self.test, self.buffer, self.corr = test, bytearray(), 0
        self.open = {}  # corr: what is expected next
        self.stopping = False
        self.held = True  # until all streams of all connections are open
        self.send(oap.hello(ack_window=32))

    def begin(self):
        for _ in range(STREAMS):
            self.start_echo()

    def start_echo(self):
        self.corr += 1
        self.open[self.corr] = {"is": "echo", "left": 4, "seq": 1, "size": 0}
        self.send(oap.start(self.corr, "echo", end=False, window=8)
                  + oap.data(self.corr, 1, self.test.piece))

    def start_get(self):
        self.corr += 1
        self.open[self.corr] = {"is": "get", "size": 0}
        cid = self.test.dice.choice(self.test.cids)
        self.send(oap.start(self.corr, "o.get", {"cid": cid}, cap=self.test.cap,
                            reply_objects=True, window=8))
        self.open[self.corr]["total"] = self.test.sizes[cid]

    def received(self, parts):
        self.buffer += parts
        for f in oap.split(self.buffer):
            if f.kind == "error":
                assert not f.connection and f.reason == BUSY, f"{f}: {f.message}"
                assert f.retry_after_ms > 0, f
                self.test.shed += 1
                self.over(f.corr)
            if f.kind in ("data", "end"):
                getattr(self, "on_" + self.open[f.corr]["is"])(f, self.open[f.corr])

    def on_echo(self, f, s):
        if f.kind == "end":
            return self.over(f.corr)
        self.send(oap.ack(f.corr, f.seq, 8))
        s["size"] += len(f.content)
        if s["size"] == len(self.test.piece):
            s["size"] = 0
            self.test.echoes += 1
            s["left"] -= 1
            if not self.held:
                self.go_on(f.corr, s)

    def go_on(self, corr, s):
        if s["left"] > 0 and not self.stopping:
            s["seq"] += 1
            self.send(oap.data(corr, s["seq"], self.test.piece))
        else:
            self.send(oap.data(corr, s["seq"], end=True))

    def let_go(self):
        self.held = False
        for corr, s in list(self.open.items()):
            self.go_on(corr, s)

    def on_get(self, f, s):
        if f.kind == "data":
            self.send(oap.ack(f.corr, f.seq, 8))
        if f.seq == 1 and f.kind == "data":
            assert cbor.loads(f.content)["size"] == s["total"]
            return
        s["size"] += len(f.content)
        if f.kind == "end":
            assert s["size"] == s["total"], s
            self.test.gets += 1
            self.over(f.corr)

    def over(self, corr):
        was = self.open.pop(corr)["is"]
        if not self.stopping:
            self.start_get() if was == "echo" else self.start_echo()


class Caller(Peer):
    """One HTTP connection that asks again as soon as it was answered; a new one where an answer
    says that it was the last (a refused upload whose body nobody reads)."""

    def __init__(self, selector, address, test):
        self.address = address
        super().__init__(selector, socket.create_connection(address))
        self.test, self.buffer, self.stopping, self.busy = test, bytearray(), False, False
        self.ask()

    def reconnect(self):
        self.close()
        super().__init__(self.selector, socket.create_connection(self.address))

    def ask(self):
        self.busy = True
        self.send(next(self.test.requests))

    def received(self, parts):
        self.buffer += parts
        head, mark, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        if not mark:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self.test.statuses[int(head[9:12])] += 1
        if head[9:12] == b"503":
            # A write also meets a node that has told /readyz that it serves reads only.
            assert b"Retry-After: " in head, head
            assert b'"busy"' in rest or b"only reads are served" in rest, rest
        self.buffer.clear()
        self.busy = False
        if b"\r\nConnection: close" in head:
            self.reconnect()
        if not self.stopping:
            self.ask()


class Load(NodeTest):
    def setUp(self):
        super().setUp()
        self.dice = random.Random(17)
        self.piece = self.dice.randbytes(2_000)
        self.echoes = self.gets = self.shed = 0
        self.statuses = collections.Counter()

    def fill(self, node, token):
        """Objects, names and the requests of the HTTP callers."""
        self.sizes = {}
        for size in (100, 5_000, 200_000):
            body = self.dice.randbytes(size)
            cid = node.http("PUT", "/v1/o", body, token=token).json()["cid"]
            node.http("PUT", f"/v1/names/load/{size}", {"cid": cid}, token=token)
            self.sizes[cid] = size
        self.cids = list(self.sizes)
        self.cap = oap.token_bytes(token)
        auth = f"Host: h\r\nAuthorization: Bearer {token}\r\n"
        paths = [f"/v1/o/{cid}" for cid in self.cids] + ["/v1/resolve/name:load/100",
                                                         "/v1/view/object/load/5000", "/v1/names"]
        mail = '{"payload":"aGVsbG8=","ttl_s":5}'
        raw = [f"GET {path} HTTP/1.1\r\n{auth}\r\n".encode() for path in paths] + [
            f"PUT /v1/o HTTP/1.1\r\n{auth}Content-Length: 1000\r\n\r\n".encode() + bytes(1000),
            f"POST /v1/mailbox/load HTTP/1.1\r\n{auth}Content-Length: {len(mail)}\r\n\r\n{mail}"
            .encode()]
        self.requests = itertools.cycle(raw)

    def loop(self, selector, until, what):
        """Moves bytes until `until()`; fails after DEADLINE."""
        end = time.monotonic() + DEADLINE
        while not until():
            self.assertLess(time.monotonic(), end, what)
            for key, events in selector.select(1):
                key.data.ready(events)

    def rss(self, node):
        with open(f"/proc/{node.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * 4096

    def test_with_room_for_all(self):
        node = self.run_load(ROOM)
        self.assertEqual((self.shed, self.statuses[503]), (0, 0))
        self.assertEqual(node.metric("rejected_total"), 0)
        node.stop()

    def test_with_the_usual_permits(self):
        """Twelve hundred want what 128 may have: the others are told so, and nothing else happens."""
        node = self.run_load("")
        self.assertEqual(node.metric("rejected_total"), self.shed + self.statuses[503])
        node.stop()

    def run_load(self, limits):
        """The load against a node with these limits, checked; the node."""
        node = self.node(CONFIG % limits)
        token = node.operator_token()
        self.fill(node, token)
        selector = selectors.DefaultSelector()
        self.addCleanup(selector.close)
        streams = [Streams(selector, oap.connect(node), self) for _ in range(CONNECTIONS)]
        for s in streams:  # only now: a stream whose body stands still has ten seconds
            s.begin()
        self.loop(selector, lambda: self.echoes == CONNECTIONS * STREAMS, "an echo on each stream")
        self.assertEqual(node.metric("oap_streams"), CONNECTIONS * STREAMS)
        for s in streams:
            s.let_go()
        callers = [Caller(selector, node.address("http"), self) for _ in range(CALLERS)]
        began, rss = time.monotonic(), [self.rss(node)]

        def over():
            now = time.monotonic() - began
            if now > len(rss):
                rss.append(self.rss(node))
            return now > SECONDS and self.gets >= CONNECTIONS and sum(self.statuses.values()) > 2_000
        self.loop(selector, over, "the load")
        for peer in streams + callers:
            peer.stopping = True
        self.loop(selector, lambda: not any(s.open for s in streams)
                  and not any(c.busy for c in callers), "the last answers")
        took = time.monotonic() - began
        print(f"{self.echoes} echoes, {self.gets} objects over OAP, {self.shed} shed, "
              f"{sum(self.statuses.values())} "
              f"HTTP answers {dict(self.statuses)} in {took:.1f} s; RSS MiB a second "
              f"{[r >> 20 for r in rss]}", flush=True)

        self.assertLessEqual(set(self.statuses), {200, 201, 202, 503})
        self.check_queues(node)
        self.assertEqual(node.metric("oap_rejects_total"), 0)
        for peer in streams + callers:
            peer.close()
        for name in ("oap_streams", "http_connections"):  # /metrics is a connection itself
            wait_until(lambda: node.metric(name) <= 1, 20, f"{name} to fall")
        wait_until(lambda: len(self.actors(node, "oap.connection")) == 0, 20, "the actors to end")
        # The queues of mail are bounded; what grows while nothing is stored is a leak.
        self.assertLess(rss[-1] - rss[min(3, len(rss) - 1)], 64 << 20)
        if len(rss) > 120:
            slope = statistics.linear_regression(range(len(rss) - 60), rss[60:]).slope * 60
            print(f"RSS slope after the first minute: {slope / (1 << 20):.3f} MiB a minute")
            self.assertLess(slope, SLOPE_MAX)
        return node

    def actors(self, node, type_=""):
        path = "/debug/v1/actors?limit=10000" + (f"&type={type_}" if type_ else "")
        return node.get(path, endpoint="admin").json()["items"]

    def check_queues(self, node):
        """Every mailbox stayed within its bound and lost nothing."""
        actors = self.actors(node)
        types = collections.Counter(a["type"] for a in actors)
        self.assertEqual(types["oap.connection"], CONNECTIONS)
        fullest = {}
        for a in actors:
            box = a["mailbox"]
            self.assertLessEqual(box["high_water"], box["bound"], a)
            self.assertEqual((a["dropped"], a["refused"]), (0, 0), a)
            fullest[a["type"]] = max(fullest.get(a["type"], 0), box["high_water"])
        self.assertEqual(node.metric("bus_overflow_dropped_total"), 0)
        print(f"actors {dict(types)}\nhigh water {fullest}", flush=True)


if __name__ == "__main__":
    support.main()
