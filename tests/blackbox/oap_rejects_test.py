"""OAP/1 over TLS as strangers speak it: requests, answers, and one name for every bad frame."""
# ctest: TIMEOUT 180 LABELS blackbox
import hashlib
import random
import socket
import ssl
import struct

import cbor
import oap
import support
from oap import END, EVENT, REQ, RESP, START, X, OapClient, OapError, frame
from support import NO_RATES, NodeTest, source, wait_until

BUCKET_STATUS = {"frame_oversize": 413, "header_malformed": 400, "unknown_envelope": 400,
                 "credit_violation": 409, "missing_obj": 400, "truncated": 400}


def vectors():
    """{name: bytes} of the golden frames."""
    with open(source("tests/vectors/oap1-vectors.txt"), encoding="ascii") as lines:
        return {name: bytes.fromhex(raw) for name, _, raw in
                (line.split() for line in lines if not line.startswith("#") and line.strip())}


def expected():
    """{name: (bucket, reason)} of the ones that are rejected at frame level."""
    found = {}
    with open(source("tests/vectors/oap1-expected.txt"), encoding="ascii") as lines:
        for line in lines:
            name, _, outcome = line.partition(" ")
            if name.startswith("R"):
                bucket, _, reason = outcome.split()[0].partition("/")
                found[name] = (bucket, int(reason))
    return found


class OapCase(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)
        cls.token = cls.ron.operator_token()

    def client(self, **options):
        client = OapClient(self.ron, self.token, **options)
        self.addCleanup(client.sock.close)
        return client

    def rejects(self):
        return {bucket: int(self.ron.metric("oap_rejects_total", {"reason": bucket}))
                for bucket in BUCKET_STATUS}

    def counted(self, before, bucket, times=1):
        """Exactly `times` more in `bucket` and none elsewhere."""
        want = before | {bucket: before[bucket] + times}
        wait_until(lambda: self.rejects()[bucket] >= want[bucket], what=f"{bucket} to be counted")
        self.assertEqual(self.rejects(), want)

    def rejected(self, client, bucket, reason):
        """A connection ERROR with these words, then the end."""
        while (f := client.next()) is not None and f.kind == "ack":
            pass
        self.assertIsNotNone(f, "closed without an ERROR")
        self.assertEqual((f.kind, f.connection, f.corr), ("error", True, 0), f)
        self.assertEqual((f.reason, f.status), (reason, BUCKET_STATUS[bucket]), f)
        self.assertTrue(f.message)
        self.assertIsNone(client.next())


class Requests(OapCase):
    def test_hello(self):
        client = self.client()
        self.assertIn("x1", client.hello["features"])
        self.assertIn(1, client.hello["versions"])
        self.assertEqual((client.hello["max_frame"], client.hello["ack_window"],
                          client.hello["max_inflight"], client.hello["max_streams"]),
                         (66560, 8, 64, 512))

    def test_start_may_follow_hello_at_once(self):
        with oap.connect(self.ron) as sock:
            sock.sendall(oap.hello() + oap.start(1, "ping"))
            buffer = bytearray()
            frames = []
            while len(frames) < 2:
                buffer += sock.recv(65536)
                frames += oap.split(buffer)
            self.assertEqual([f.kind for f in frames], ["hello", "end"])
            self.assertEqual((frames[1].status, frames[1].content), (200, b""))

    def test_ping(self):
        client = self.client()
        for _ in range(50):
            self.assertEqual(client.call("ping"), (200, []))

    def test_echo(self):
        client = self.client()
        corr = client.open("echo", end=False)
        for seq in range(1, 41):
            piece = bytes([seq]) * seq * 500
            client.send(oap.data(corr, seq, piece))
            got = b""
            while len(got) < len(piece):
                f = client.of(corr)
                self.assertEqual((f.kind, f.obj), ("data", None))
                got += f.content
                client.send(oap.ack(corr, f.seq, 64))
            self.assertEqual(got, piece)
        client.send(oap.data(corr, 40, end=True))
        self.assertEqual((client.of(corr).kind), "end")

    def put(self, client, body, **options):
        corr = client.open("o.put", {}, end=False, objects=True, window=64)
        pieces = [body[i:i + 65_536] for i in range(0, len(body), 65_536)]
        granted, cid = client.hello["ack_window"], bytes.fromhex(support.b3(body)[3:])
        for seq, piece in enumerate(pieces, 1):
            while seq > granted:
                f = client.next()
                if f.kind == "ack" and f.corr == corr:
                    granted = f.up_to + f.window
                elif f.kind == "error":
                    raise OapError(f)
            client.send(oap.data(corr, seq, piece, obj=cid if seq == 1 else None))
        client.send(oap.data(corr, len(pieces), end=True))
        status, contents = client.answer(corr)
        return status, cbor.loads(b"".join(contents))

    def test_objects(self):
        client = self.client()
        dice = random.Random(3)
        for size in (1, 65_536, 65_537, 3_000_000):
            body = dice.randbytes(size)
            cid = support.b3(body)
            self.assertEqual(self.put(client, body), (201, {"cid": cid, "size": size}))
            self.assertEqual(self.put(client, body)[0], 200)
            corr = client.open("o.get", {"cid": cid}, reply_objects=True)
            first = client.of(corr)
            self.assertEqual(cbor.loads(first.content), {"cid": cid, "size": size})
            client.send(oap.ack(corr, first.seq, 64))
            one = client.of(corr)
            self.assertEqual((one.obj.hex(), one.total), (cid[3:], size))
            client.send(oap.ack(corr, one.seq, 64))
            status, rest = client.answer(corr)
            self.assertTrue(status == 200 and one.content + b"".join(rest) == body)
            self.assertEqual(self.ron.get("/v1/o/" + cid).body == body, True)
        for given, first, last in (([5, 9], 5, 9), ([70_000], 70_000, size - 1),
                                   ([-10], size - 10, size - 1)):
            status, contents = client.call("o.get", {"cid": cid, "range": given})
            self.assertEqual(status, 206)
            self.assertTrue(b"".join(contents[1:]) == body[first:last + 1])

    def test_empty_object(self):
        client = self.client()
        self.assertEqual(self.put(client, b"")[1], {"cid": support.b3(b""), "size": 0})
        status, contents = client.call("o.get", {"cid": support.b3(b"")}, reply_objects=True)
        self.assertEqual((status, len(contents)), (200, 1))

    def test_maps(self):
        client = self.client()
        cid = "b3:" + "1" * 64

        def call(name, args):
            status, contents = client.call(name, args)
            return status, cbor.loads(b"".join(contents)) if contents else None
        self.assertEqual(call("name.put", {"name": "oap/a", "cid": cid})[0], 201)
        self.assertEqual(call("resolve", {"key": "name:oap/a"})[1]["cid"], cid)
        self.assertEqual([i["name"] for i in call("name.list", {"prefix": "oap/"})[1]["items"]],
                         ["oap/a"])
        sent = call("mb.send", {"topic": "t", "payload": b"\0\1", "_idem": "k"})[1]
        self.assertEqual(call("mb.send", {"topic": "t", "payload": b"\0\1", "_idem": "k"})[1],
                         {"message_id": sent["message_id"], "duplicate": True})
        message, = call("mb.recv", {"topic": "t"})[1]["messages"]
        self.assertEqual((message["payload"], message["attempt"]), (b"\0\1", 1))
        self.assertEqual(call("mb.ack", {"topic": "t", "receipts": [message["receipt"]]})[1],
                         {"results": [{"receipt": message["receipt"], "status": "ok"}]})
        self.assertTrue(call("ready", {})[1]["ready"])
        self.assertEqual(call("name.del", {"name": "oap/a"})[0], 204)

    def test_application_errors(self):
        client = self.client()
        cid = "b3:" + "2" * 64
        for name, args, status, reason in (
                ("no.such", {}, 404, 0x111), ("o.get", {"cid": cid}, 404, 0x103),
                ("o.get", {"cid": "b3:1"}, 400, 0x100), ("o.get", {}, 400, 0x100),
                ("o.get", {"cid": cid, "surprise": 1}, 400, 0x100), ("resolve", b"\xff", 400, 0x100),
                ("name.put", {"name": "a", "cid": cid, "_if": "99"}, 412, 0x105),
                ("mb.send", {"topic": "e", "payload": b"", "_idem": ""}, 400, 0x100)):
            with self.assertRaises(OapError) as failed:
                client.call(name, args)
            self.assertEqual((failed.exception.status, failed.exception.reason), (status, reason),
                             (name, failed.exception))
        with self.assertRaises(OapError) as failed:
            client.call("ping", app=77)
        self.assertEqual(failed.exception.reason, 0x111)
        self.assertEqual(client.call("ping"), (200, []), "none of these ends the connection")

    def test_cancel(self):
        client = self.client()
        before = self.rejects()
        corr = client.open("mb.recv", {"topic": "nobody", "wait_s": 30})
        client.send(oap.cancel(corr))
        self.assertEqual(client.call("ping"), (200, []))
        self.assertEqual(self.rejects(), before)
        wait_until(lambda: self.ron.metric("oap_streams") == 0, what="the end of the stream")


class Rejects(OapCase):
    def test_vectors(self):
        all_vectors = vectors()
        for name, (bucket, reason) in expected().items():
            if bucket == "truncated":
                continue  # below: it needs an end
            with self.subTest(name):
                before = self.rejects()
                client = self.client()
                if name == "R17_comp_rawlen_bomb" and "zstd" not in client.hello["features"]:
                    bucket, reason = "header_malformed", 8  # compressed at all is refused first
                client.send(all_vectors[name])
                self.rejected(client, bucket, reason)  # those of streams too: none was opened
                self.counted(before, bucket)

    def test_vectors_in_pieces(self):
        """The same bytes, cut anywhere, have the same name."""
        dice = random.Random(9)
        all_vectors = vectors()
        for name in ("R05_ver2", "R08_two_directions", "R14_ext_unknown_bit", "R16_ack_len_15"):
            bucket, reason = expected()[name]
            with self.subTest(name):
                before = self.rejects()
                client = self.client()
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                raw = all_vectors[name]
                cuts = sorted(dice.sample(range(1, 38), 4)) + [len(raw)]
                at = 0
                for cut in cuts:
                    client.send(raw[at:cut])
                    at = cut
                self.rejected(client, bucket, reason)
                self.counted(before, bucket)

    def test_truncated(self):
        raw = vectors()["R18_truncated_eof"]
        for how in ("close_notify", "half", "reset"):
            with self.subTest(how):
                before = self.rejects()
                client = self.client()
                if how == "reset":  # a reset may eat the bytes before it, but not a stream
                    client.open("echo", end=False)
                    client.call("ping")
                client.send(raw)
                if how == "close_notify":
                    client.sock.settimeout(5)
                    try:
                        client.sock.unwrap()
                    except (ssl.SSLError, OSError):
                        pass  # the ERROR comes instead of a close_notify
                elif how == "half":
                    client.sock.shutdown(socket.SHUT_WR)
                else:
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           struct.pack("ii", 1, 0))
                    client.sock.close()
                self.counted(before, "truncated")

    def test_open_streams_and_the_end(self):
        """Without close_notify an open stream was cut; without streams the end is an end."""
        before = self.rejects()
        self.client().sock.shutdown(socket.SHUT_RDWR)
        client = self.client()
        client.open("echo", end=False)
        client.open("echo", end=False)
        client.call("ping")
        client.sock.shutdown(socket.SHUT_RDWR)
        self.counted(before, "truncated")

    def stream(self, client, **options):
        options = {"end": False} | options
        return client.open("echo", **options)

    def test_of_a_connection(self):
        """Each line is sent after HELLO and an open echo stream `s` (corr 1)."""
        big_cap = frame(REQ | START | END, X, 1, 9, cap=b"c" * 4_097,
                        body=struct.pack(">BBHIQ", 0, 16, 4, 8, 0) + b"ping")
        bad_utf8 = frame(REQ | START | END, X, 1, 9,
                         body=struct.pack(">BBHIQ", 0, 16, 4, 8, 0) + b"\xff\xfe\xff\xfe")
        for what, raw, bucket, reason in (
                ("second HELLO", oap.hello(), "header_malformed", 12),
                ("an answer from the dialer", oap.data(1, 1, b"x", flags=RESP), "header_malformed", 12),
                ("a push from the dialer", oap.data(1, 1, b"x", flags=EVENT), "header_malformed", 12),
                ("DATA before START", oap.data(5, 1, b"x"), "header_malformed", 12),
                ("END before START", oap.data(5, 0, end=True), "header_malformed", 12),
                ("ACK before START", oap.ack(5, 0, 8), "credit_violation", 23),
                ("corr 0", oap.data(0, 1, b"x"), "header_malformed", 7),
                ("capability of 4,097 bytes", big_cap, "header_malformed", 6),
                ("name is no UTF-8", bad_utf8, "header_malformed", 7),
                ("window 0", oap.start(9, "ping", window=0), "header_malformed", 7),
                ("window 1,025", oap.start(9, "ping", window=1_025), "header_malformed", 7),
                ("ACK window 1,025", oap.ack(1, 0, 1_025), "header_malformed", 7),
                ("START without block", frame(REQ | START, 0, 1, 9), "header_malformed", 7),
                ("DATA without block", frame(REQ, 0, 1, 1, body=b"x"), "header_malformed", 7),
                ("opcode on START", frame(REQ | START, X | 1, 1, 9, body=bytes(16)),
                 "header_malformed", 7),
                ("compressed, never agreed",
                 frame(REQ | oap.COMP, X, 1, 1, body=struct.pack(">BBHIQ", 0, 16, 0, 9, 1) + b"x"),
                 "header_malformed", 8),
                ("EVENT with END", frame(EVENT | END, X, 1, 1, body=bytes(16)),
                 "unknown_envelope", 9),
                ("no flags", frame(0, X, 1, 1), "unknown_envelope", 9),
                ("oversize by one", struct.pack(">I", 66_561) + bytes(34), "frame_oversize", 1),
                ("largest length", b"\xff\xff\xff\xff", "frame_oversize", 1)):
            with self.subTest(what):
                before = self.rejects()
                client = self.client()
                self.stream(client)
                client.send(raw)
                self.rejected(client, bucket, reason)
                # The open stream ends with its connection; that is no second reject.
                self.counted(before, bucket)

    def test_before_hello(self):
        for what, raw, bucket, reason in (
                ("START first", oap.start(1, "ping"), "header_malformed", 12),
                ("HELLO of the other side", frame(RESP, 200, 0, body=b'{"versions":[1]}'),
                 "header_malformed", 12),
                ("no JSON", frame(REQ, app=0, body=b"{"), "header_malformed", 3),
                ("no object", frame(REQ, app=0, body=b"[]"), "header_malformed", 3),
                ("no version 1", oap.hello(versions=[2]), "header_malformed", 3),
                ("below a floor", oap.hello(max_streams=1), "header_malformed", 3),
                ("wrong type", oap.hello(max_frame="big"), "header_malformed", 3),
                ("duplicate key", frame(REQ, app=0, body=b'{"ua":"a","ua":"b"}'),
                 "header_malformed", 3),
                ("HELLO beyond 16 KiB", oap.hello(x="a" * 17_000), "frame_oversize", 1)):
            with self.subTest(what):
                before = self.rejects()
                with oap.connect(self.ron) as sock:
                    sock.sendall(raw)
                    buffer, frames = bytearray(), []
                    while part := self.read(sock):
                        buffer += part
                    frames = oap.split(buffer)
                    errors = [f for f in frames if f.kind == "error"]
                    self.assertEqual([(f.connection, f.reason) for f in errors], [(True, reason)])
                self.counted(before, bucket)

    def read(self, sock):
        try:
            return sock.recv(65536)
        except ssl.SSLEOFError:
            return b""

    def test_of_a_stream(self):
        """These end one stream; the connection goes on."""
        def send(client, corr, *frames):
            for raw in frames:
                client.send(raw)
        obj = hashlib.sha256(b"no id at all").digest()
        for what, options, frames, bucket, reason in (
                ("seq twice", {}, lambda c: [oap.data(c, 1, b"a"), oap.data(c, 1, b"a")],
                 "credit_violation", 14),
                ("seq gap", {}, lambda c: [oap.data(c, 2, b"a")], "credit_violation", 15),
                ("seq back", {"seq_start": 5}, lambda c: [oap.data(c, 5, b"a")],
                 "credit_violation", 14),
                ("END counts wrong", {}, lambda c: [oap.data(c, 3, end=True)],
                 "credit_violation", 15),
                ("ACK of what was not sent", {}, lambda c: [oap.ack(c, 9, 8)],
                 "credit_violation", 18),
                ("missing obj", {"objects": True}, lambda c: [oap.data(c, 1, b"a")],
                 "missing_obj", 19),
                ("obj where none was declared", {}, lambda c: [oap.data(c, 1, b"a", obj=obj)],
                 "header_malformed", 20),
                ("another obj", {"objects": True},
                 lambda c: [oap.data(c, 1, b"a", obj=obj), oap.data(c, 2, b"a", obj=obj[::-1])],
                 "header_malformed", 20),
                ("another app", {}, lambda c: [oap.data(c, 1, b"a", app=2)],
                 "header_malformed", 13),
                ("START twice", {}, lambda c: [oap.start(c, "ping")], "header_malformed", 13)):
            with self.subTest(what):
                before = self.rejects()
                client = self.client()
                corr = self.stream(client, **options)
                send(client, corr, *frames(corr))
                f = client.of(corr)
                while f.kind == "data":  # the echo of a first, good frame
                    f = client.of(corr)
                self.assertEqual((f.kind, f.reason, f.status),
                                 ("error", reason, BUCKET_STATUS[bucket]), f)
                self.assertEqual(client.call("ping"), (200, []))
                self.counted(before, bucket)

    def test_overrun(self):
        """The node granted eight frames and reads no more than it can pass on."""
        before = self.rejects()
        client = self.client()
        corr = self.stream(client, window=1)  # it may send one back and then waits for us
        client.send(b"".join(oap.data(corr, seq, b"x" * 100) for seq in range(1, 400)))
        while (f := client.next()) is not None and f.kind != "error":
            pass
        self.assertIsNotNone(f)
        self.assertIn(f.reason, (16, 10), f)  # the window, or the share of the connection
        wait_until(lambda: self.rejects()["credit_violation"] > before["credit_violation"],
                   what="credit_violation")

    def test_too_many_streams(self):
        client = self.client()
        limit = client.hello["max_streams"]
        client.send(b"".join(oap.start(corr, "echo", end=False)
                             for corr in range(1, limit + 2)))
        f = client.of(limit + 1)
        self.assertEqual((f.kind, f.status, f.reason), ("error", 429, 0x112), f)
        self.assertGreater(f.retry_after_ms, 0)

    def test_headers_without_bodies_cost_nothing(self):
        """A promise of a large frame on many connections is not memory."""
        def rss():
            with open(f"/proc/{self.ron.process.pid}/statm", encoding="ascii") as statm:
                return int(statm.read().split()[1]) * 4096
        clients = [self.client() for _ in range(100)]
        before = rss()
        head = oap.data(1, 1, bytes(66_000))[:38]
        for client in clients:
            client.send(oap.start(1, "echo", end=False) + head)
        for client in clients[:5]:
            self.assertEqual(client.hello["max_frame"], 66_560)
        wait_until(lambda: self.ron.metric("oap_streams") >= 100, what="a hundred streams")
        self.assertLess(rss() - before, 16 << 20)
        for client in clients:
            client.sock.close()

    def test_garbage(self):
        """Random bytes and mutated frames: answered or dropped, never fatal."""
        dice = random.Random(21)
        good = list(vectors().values())
        for _ in range(60):
            client = self.client()
            raw = bytearray(b"".join(dice.choice(good) for _ in range(3)))
            for _ in range(dice.randrange(1, 6)):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            try:
                client.send(bytes(raw))
            except OSError:
                pass
            client.sock.close()
        self.assertEqual(self.client().call("ping"), (200, []))
        self.assertEqual(self.ron.metric("bus_overflow_dropped_total"), 0)


if __name__ == "__main__":
    support.main()
