"""Mail as a stream of events over HTTP, pushed under credit over OAP/1, and feeds that many readers see."""
# ctest: TIMEOUT 180 LABELS blackbox
import base64
import json
import socket
import threading

import cbor
import oap
import support
from support import NO_RATES, NodeTest, wait_until

AN_HOUR = 3_600_000


def b64(text):
    return base64.b64encode(text.encode()).decode()


class EventStream:
    """A text/event-stream that is being read, a dictionary an event."""

    def __init__(self, node, token, path, headers=None, timeout=20):
        self.connection = node.connection(timeout=timeout)
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} | (headers or {}))
        self.response = self.connection.getresponse()
        self.beats = 0

    def events(self):
        """Events until the stream ends; comments are counted."""
        event = {}
        while line := self.line():
            line = line.decode().rstrip("\n")
            if line.startswith(":"):
                self.beats += 1
                yield None
            elif line:
                field, _, value = line.partition(": ")
                event[field] = value
            elif event:
                if "data" in event:
                    event["data"] = json.loads(event["data"])
                    yield event
                event = {}

    def line(self):
        try:
            return self.response.readline()
        except (OSError, ValueError, AttributeError):
            return b""  # closed by another thread

    def next(self):
        return next(e for e in self.events() if e)

    def close(self):
        self.response.close()
        self.connection.close()


class StreamCase(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)
        cls.token = cls.ron.operator_token()

    def setUp(self):
        super().setUp()
        self.topic = self.id().rpartition(".")[2]

    def ask(self, method, path, body=None, ron=None):
        return (ron or self.ron).http(method, f"/v1/mailbox/{self.topic}{path}", body,
                                      token=(ron.operator_token() if ron else self.token))

    def send(self, text, **more):
        answer = self.ask("POST", "", {"payload": b64(text)} | more)
        self.assertEqual(answer.status, 202, answer)
        return answer.json()["message_id"]

    def ack(self, *receipts):
        return [r["status"] for r in self.ask("POST", "/ack", {"receipts": list(receipts)}).json()["results"]]

    def stats(self):
        return self.ask("GET", "/stats").json()

    def stream(self, query="", feed=False, **headers):
        path = f"/v1/mailbox/{self.topic}/{'feed/' if feed else ''}stream{query}"
        stream = EventStream(self.ron, self.token, path, headers)
        self.addCleanup(stream.close)
        return stream


class Http(StreamCase):
    def test_delivers_what_waits_and_what_comes(self):
        first = self.send("one", attrs={"a": "b"})
        stream = self.stream()
        self.assertEqual(stream.response.status, 200)
        self.assertEqual(stream.response.headers["Content-Type"], "text/event-stream")
        self.assertEqual(stream.response.headers["Cache-Control"], "no-store")
        event = stream.next()
        self.assertEqual((event["id"], event["data"]["message_id"]), (first, first))
        self.assertEqual(set(event["data"]), {"message_id", "payload", "key", "attrs", "attempt",
                                              "received_at_ms", "receipt"})
        self.assertEqual((event["data"]["payload"], event["data"]["attrs"]), (b64("one"), {"a": "b"}))
        second = self.send("two")
        event2 = stream.next()
        self.assertEqual(event2["id"], second)
        self.assertEqual(self.ack(event["data"]["receipt"], event2["data"]["receipt"]), ["ok", "ok"])
        self.assertEqual(self.stats()["in_flight"], 0)

    def test_two_streams_share_and_lose_nothing(self):
        streams = [self.stream(f"?visibility_ms={AN_HOUR}&max=1000") for _ in range(2)]
        got, lock = [], threading.Lock()

        def read(stream):
            for event in stream.events():
                with lock:
                    if event:
                        got.append(event["id"])
                    if len(got) >= 300:
                        return
        threads = [threading.Thread(target=read, args=(s,), daemon=True) for s in streams]
        for thread in threads:
            thread.start()
        sent = [self.send(str(i)) for i in range(300)]
        wait_until(lambda: len(got) >= 300, 30, "all messages")
        self.assertEqual(sorted(got), sorted(sent))

    def test_what_a_stream_that_ends_holds_is_visible_at_once(self):
        sent = [self.send(str(i)) for i in range(3)]
        stream = self.stream(f"?visibility_ms={AN_HOUR}")
        held = [stream.next()["data"] for _ in range(3)]
        self.ack(held[0]["receipt"])
        self.assertEqual(self.stats()["in_flight"], 2)
        stream.close()
        wait_until(lambda: self.stats()["waiting"] == 2, what="the rest to come back")
        again = self.stream()
        events = [again.next() for _ in range(2)]
        self.assertEqual([e["id"] for e in events], sent[1:])
        # The first it had not settled counts as tried; the other one was only in its line.
        self.assertEqual([e["data"]["attempt"] for e in events], [2, 1])
        self.assertEqual(self.ack(held[1]["receipt"]), ["expired"])
        self.assertGreaterEqual(self.ron.metric("mailbox_returned_total"), 2)

    def test_holds_no_more_than_max(self):
        for i in range(5):
            self.send(str(i))
        stream = self.stream(f"?max=2&visibility_ms={AN_HOUR}&heartbeat_s=1")
        first, _second = stream.next(), stream.next()
        wait_until(lambda: next(stream.events()) is None, what="a heartbeat instead of more")
        self.assertEqual(self.stats()["in_flight"], 2)
        self.ack(first["data"]["receipt"])
        self.assertEqual(stream.next()["data"]["payload"], b64("2"))

    def test_a_message_whose_period_ends_comes_again(self):
        self.send("x")
        stream = self.stream("?visibility_ms=250")
        self.assertEqual([stream.next()["data"]["attempt"] for _ in range(3)], [1, 2, 3])

    def test_heartbeats(self):
        stream = self.stream("?heartbeat_s=1")
        events = stream.events()
        self.assertEqual([next(events), next(events)], [None, None])

    def test_head_has_no_stream(self):
        answer = self.ron.http("HEAD", f"/v1/mailbox/{self.topic}/stream", token=self.token)
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        self.send("not taken by anybody")
        self.assertEqual(self.stats()["waiting"], 1)

    def test_http_1_0_gets_no_chunks(self):
        sent = self.send("old")
        with socket.create_connection(self.ron.address("http"), 10) as s:
            s.sendall(f"GET /v1/mailbox/{self.topic}/stream HTTP/1.0\r\nHost: x\r\n"
                      f"Authorization: Bearer {self.token}\r\n\r\n".encode())
            got = b""
            while b"data: " not in got or not got.endswith(b"\n\n"):
                got += s.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        self.assertNotIn(b"Transfer-Encoding", head)
        self.assertIn(b"Connection: close", head)
        self.assertTrue(body.startswith(b"retry: 2000\n\nid: " + sent.encode()), body)

    def test_half_closed_is_gone(self):
        with socket.create_connection(self.ron.address("http"), 10) as s:
            s.sendall(f"GET /v1/mailbox/{self.topic}/stream HTTP/1.1\r\nHost: x\r\n"
                      f"Authorization: Bearer {self.token}\r\n\r\n".encode())
            while b"retry" not in s.recv(65536):
                pass
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        self.send("for others")
        self.assertEqual(self.stats()["waiting"], 1)

    def test_ranges_and_access(self):
        for bad in ("?max=0", "?max=1001", "?visibility_ms=249", "?heartbeat_s=0", "?heartbeat_s=31",
                    "?surprise=1"):
            self.assertEqual(self.ask("GET", "/stream" + bad).status, 400, bad)
        for path in ("/stream", "/feed", "/feed/stream"):
            self.assertEqual(self.ron.get(f"/v1/mailbox/{self.topic}{path}").status, 401, path)
        for bad in ("?after=x", "?before=" + "z" * 26, "?limit=0", "?limit=101",
                    "?after=01M7Y7JBNS8VT62EHW3G8ZPQP3&before=01M7Y7JBNS8VT62EHW3G8ZPQP3"):
            self.assertEqual(self.ask("GET", "/feed" + bad).status, 400, bad)

    def test_a_slow_reader_keeps_nothing_from_others(self):
        size = 60_000
        for i in range(40):
            self.send("x" * size)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(self.ron.address("http"))
            s.sendall(f"GET /v1/mailbox/{self.topic}/stream?max=1000&visibility_ms=1000 HTTP/1.1\r\n"
                      f"Host: x\r\nAuthorization: Bearer {self.token}\r\n\r\n".encode())
            wait_until(lambda: self.ron.metric("mailbox_readers_held") >= 1, what="the first deliveries")
            seen = set()

            def others():  # they come back to those who read
                stream = self.stream("?visibility_ms=600000")
                for event in stream.events():
                    if event:
                        seen.add(event["id"])
                        self.ack(event["data"]["receipt"])
                    if len(seen) == 40:
                        return
            reader = threading.Thread(target=others, daemon=True)
            reader.start()
            reader.join(60)
            self.assertEqual(len(seen), 40)


class Feed(StreamCase):
    def test_every_reader_sees_every_message(self):
        before = [self.send(f"old {i}") for i in range(3)]
        everything = self.stream("?after=" + "0" * 26, feed=True)
        from_now = self.stream(feed=True)
        self.assertEqual([everything.next()["id"] for _ in range(3)], before)
        wait_until(lambda: self.ron.metric("mailbox_followers") >= 2, what="both to follow")
        after = [self.send(f"new {i}") for i in range(3)]
        for stream in (everything, from_now):
            events = [stream.next() for _ in range(3)]
            self.assertEqual([e["id"] for e in events], after)
            self.assertNotIn("receipt", events[0]["data"])
        self.assertEqual(self.stats()["waiting"], 6, "nobody took any")

    def test_last_event_id_goes_on(self):
        sent = [self.send(str(i)) for i in range(6)]
        stream = self.stream(feed=True, **{"Last-Event-ID": sent[1]})
        self.assertEqual([stream.next()["id"] for _ in range(2)], sent[2:4])
        stream.close()
        stream = self.stream("?after=" + sent[0], feed=True, **{"Last-Event-ID": sent[3]})
        self.assertEqual([stream.next()["id"] for _ in range(2)], sent[4:])
        self.assertEqual(self.ron.http("GET", f"/v1/mailbox/{self.topic}/feed/stream",
                                       headers={"Last-Event-ID": "nonsense"}, token=self.token).status, 400)

    def test_pages(self):
        sent = [self.send(str(i)) for i in range(7)]
        newest_first, cursor = [], ""
        while cursor is not None:
            page = self.ask("GET", "/feed?limit=3" + cursor).json()
            newest_first += [item["message_id"] for item in page["items"]]
            cursor = page["next_cursor"] and "&before=" + page["next_cursor"]
        self.assertEqual(newest_first, sent[::-1])
        oldest_first, after = [], "0" * 26
        while after is not None:
            page = self.ask("GET", f"/feed?limit=3&after={after}").json()
            oldest_first += [item["message_id"] for item in page["items"]]
            after = page["next_cursor"]
        self.assertEqual(oldest_first, sent)
        self.assertEqual(self.ask("GET", "/feed").json()["items"][0]["payload"], b64("6"))

    def test_messages_in_flight_are_seen(self):
        sent = self.send("taken")
        self.ask("POST", "/receive", {"visibility_ms": AN_HOUR})
        self.assertEqual([i["message_id"] for i in self.ask("GET", "/feed").json()["items"]], [sent])


class Oap(StreamCase):
    def client(self, **limits):
        client = oap.OapClient(self.ron, self.token, timeout=20, **limits)
        self.addCleanup(client.__exit__)
        return client

    def subscribe(self, client, window=64, name="mb.sub", **args):
        corr = client.open(name, {"topic": self.topic} | args, window=window)
        first = client.of(corr)
        if first.kind == "error":
            raise oap.OapError(first)
        self.assertFalse(first.flags & oap.EVENT)
        return corr, cbor.loads(first.content)

    def push(self, client, corr, window=64):
        frame = client.of(corr)
        self.assertTrue(frame.flags & oap.EVENT, frame)
        client.send(oap.ack(corr, frame.seq, window))
        return cbor.loads(frame.content)

    def test_pushes(self):
        first = self.send("one")
        client = self.client()
        corr, about = self.subscribe(client, max=7, visibility_ms=60_000)
        self.assertEqual(about, {"topic": self.topic, "max": 7, "visibility_ms": 60_000})
        message = self.push(client, corr)
        self.assertEqual((message["message_id"], message["payload"]), (first, b"one"))
        second = self.send("two")
        self.assertEqual(self.push(client, corr)["message_id"], second)
        _, (answer,) = client.call("mb.ack", {"topic": self.topic, "receipts": [message["receipt"]]})
        self.assertEqual(cbor.loads(answer)["results"][0]["status"], "ok")

    def test_without_credit_nothing_comes_and_nothing_is_lost(self):
        client = self.client()
        corr, _ = self.subscribe(client, window=3, visibility_ms=AN_HOUR)  # the map takes the first
        sent = [self.send(str(i)) for i in range(6)]
        got = [client.of(corr) for _ in range(2)]
        self.assertEqual(self.stats()["in_flight"], 2, "no credit, no delivery")
        other = self.ask("POST", "/receive", {"max": 1, "visibility_ms": 250}).json()["messages"]
        self.assertEqual(other[0]["message_id"], sent[2], "others go on meanwhile")
        self.ack(other[0]["receipt"])
        client.send(oap.ack(corr, got[-1].seq, 64))
        got += [client.of(corr) for _ in range(3)]
        self.assertEqual([cbor.loads(f.content)["message_id"] for f in got], sent[:2] + sent[3:])

    def test_cancel_gives_back(self):
        sent = [self.send(str(i)) for i in range(2)]
        client = self.client()
        corr, _ = self.subscribe(client, visibility_ms=AN_HOUR)
        self.assertEqual([self.push(client, corr)["message_id"] for _ in sent], sent)
        client.send(oap.cancel(corr))
        wait_until(lambda: self.stats()["waiting"] == 2, what="the messages to come back")

    def test_a_connection_that_dies_gives_back(self):
        for i in range(3):
            self.send(str(i))
        client = self.client()
        corr, _ = self.subscribe(client, visibility_ms=AN_HOUR)
        held = [self.push(client, corr) for _ in range(3)]
        self.ack(held[1]["receipt"])
        client.sock.close()
        wait_until(lambda: self.stats()["waiting"] == 2, what="the rest to come back")

    def test_a_long_message_takes_several_frames(self):
        text = "0123456789" * 30_000
        self.send(text)
        client = self.client()
        corr, _ = self.subscribe(client)
        first = client.of(corr)
        self.assertGreater(first.total, len(text))
        content, last = first.content, first
        while len(content) < first.total:
            client.send(oap.ack(corr, last.seq, 64))
            last = client.of(corr)
            self.assertIsNone(last.total)
            content += last.content
        self.assertEqual(cbor.loads(content)["payload"], text.encode())

    def test_follow(self):
        sent = [self.send(str(i)) for i in range(3)]
        client = self.client()
        corr, _ = self.subscribe(client, name="mb.follow", after=sent[0])
        self.assertEqual([self.push(client, corr)["message_id"] for _ in range(2)], sent[1:])
        sent.append(self.send("3"))
        self.assertEqual(self.push(client, corr)["message_id"], sent[3])
        _, (page,) = client.call("mb.read", {"topic": self.topic, "limit": 2})
        self.assertEqual([i["message_id"] for i in cbor.loads(page)["items"]], sent[:1:-1])


class Ends(NodeTest):
    def test_drain_ends_streams_and_gives_back(self):
        node = self.new_node(NO_RATES)
        node.start()
        token = node.operator_token()
        node.http("POST", "/v1/mailbox/t", {"payload": b64("x")}, token=token)
        stream = EventStream(node, token, "/v1/mailbox/t/stream?max=1")
        self.assertEqual(stream.next()["data"]["payload"], b64("x"))
        with oap.OapClient(node, token, timeout=20) as client:
            corr = client.open("mb.sub", {"topic": "t"})
            self.assertEqual(client.of(corr).kind, "data")
            polled = []
            poll = threading.Thread(target=lambda: polled.append(node.http(
                "POST", "/v1/mailbox/other/receive", {"wait_s": 30}, token=token, timeout=40)))
            poll.start()
            wait_until(lambda: node.metric("mailbox_waiters") >= 2, what="the poll to wait")
            node.signal(15)
            last = stream.next()
            self.assertEqual((last["event"], last["data"]["code"], last["data"]["retryable"]),
                             ("error", "unavailable", True))
            self.assertEqual(list(stream.events()), [], "ended whole, by the last chunk")
            while (frame := client.next()).kind != "error" or frame.connection:
                pass
            self.assertEqual(frame.corr, corr)
            self.assertEqual((frame.status, frame.reason), (503, 0x10b))
            poll.join(20)
            self.assertEqual(polled[0].status, 503)
        self.assertEqual(node.wait(), 0)
        stream.close()

    def test_streams_have_their_own_cap(self):
        node = self.node(NO_RATES + "waiters-max = 2\ninflight-max = 16\n")
        token = node.operator_token()
        streams = [EventStream(node, token, "/v1/mailbox/t/stream") for _ in range(2)]
        for stream in streams:
            self.addCleanup(stream.close)
        self.assertEqual([s.response.status for s in streams], [200, 200])
        third = EventStream(node, token, "/v1/mailbox/t/stream")
        self.addCleanup(third.close)
        self.assertEqual(third.response.status, 503)
        self.assertIn("waiters-max", third.response.read().decode())
        self.assertEqual(node.metric("inflight_requests", {"route": "mailbox"}), 0)
        streams[0].close()

        def again():
            fourth = EventStream(node, token, "/v1/mailbox/t/stream")
            self.addCleanup(fourth.close)
            return fourth.response.status == 200
        wait_until(again, what="the place of the one that left")


if __name__ == "__main__":
    support.main()
