"""Mail between programs over HTTP: delivered at least once, once at a time, and not lost quietly."""
# ctest: TIMEOUT 180 LABELS blackbox
import base64
import os
import threading

import cbor
import support
from oap import OapClient, OapError
from support import NO_RATES, NodeTest, together, wait_until


def b64(text):
    return base64.b64encode(text.encode()).decode()


class MailCase(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)
        cls.token = cls.ron.operator_token()

    def setUp(self):
        super().setUp()
        self.topic = self.id().rpartition(".")[2]  # its own

    def ask(self, method, path, body=None, headers=None):
        return self.ron.http(method, f"/v1/mailbox/{self.topic}{path}", body, headers,
                             token=self.token, timeout=40)

    def send(self, text="hello", key=None, headers=None, **more):
        body = {"payload": b64(text)} | ({"key": key} if key else {}) | more
        return self.ask("POST", "", body, headers)

    def receive(self, **options):
        answer = self.ask("POST", "/receive", options)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["messages"]

    def settle(self, how, *receipts):
        answer = self.ask("POST", "/" + how, {"receipts": list(receipts)})
        self.assertEqual(answer.status, 200, answer)
        return [result["status"] for result in answer.json()["results"]]

    def peek(self):
        return self.ask("GET", "").json()["items"]

    def receive_eventually(self, **options):
        return wait_until(lambda: self.receive(**options), 30, "a message")


class Batches(MailCase):
    def send_all(self, *texts, headers=None, **more):
        messages = [t if isinstance(t, dict) else {"payload": b64(t)} for t in texts]
        return self.ask("POST", "", {"messages": messages} | more, headers)

    def ids(self, answer):
        self.assertEqual(answer.status, 202, answer)
        self.assertEqual(set(answer.json()), {"messages"})
        return [m["message_id"] for m in answer.json()["messages"]]

    def test_in_the_order_sent(self):
        texts = [str(i) for i in range(100)]
        before = self.ron.metric("mailbox_sent_total")
        ids = self.ids(self.send_all(*texts))
        self.assertEqual(ids, sorted(set(ids)))
        got = self.receive(max=100)
        self.assertEqual([m["message_id"] for m in got], ids)
        self.assertEqual([base64.b64decode(m["payload"]).decode() for m in got], texts)
        wait_until(lambda: self.ron.metric("mailbox_sent_total") == before + 100, 10, "the count")

    def test_each_has_its_own_options(self):
        self.send_all({"payload": b64("1"), "key": "a", "attrs": {"x": "y"}},
                      {"payload": b64("2"), "key": "a"}, {"payload": b64("3"), "delay_ms": 600_000},
                      {"payload": b64("4"), "ttl_s": 600})
        first, last = self.receive(max=10)
        self.assertEqual((first["payload"], first["key"], first["attrs"]),
                         (b64("1"), "a", {"x": "y"}))
        self.assertEqual(last["payload"], b64("4"))
        self.settle("ack", first["receipt"])
        self.assertEqual([m["payload"] for m in self.receive(max=10)], [b64("2")])

    def test_a_replay_has_one_effect(self):
        headers = {"Idempotency-Key": self.topic}
        first = self.send_all("a", "b", headers=headers)
        again = self.send_all("a", "b", "c", headers=headers)
        self.assertEqual(self.ids(again)[:2], self.ids(first))
        self.assertEqual([m["duplicate"] for m in again.json()["messages"]], [True, True, False])
        self.assertEqual(self.send_all("a", "other", headers=headers).status, 409)
        self.assertEqual(self.send("a", headers=headers).status, 409)
        self.assertEqual(len(self.receive(max=10)), 3)

    def test_replays_at_once(self):
        headers = {"Idempotency-Key": self.topic}
        answers = together([lambda: self.ids(self.send_all("a", "b", "c", headers=headers))] * 6)
        self.assertEqual(len({tuple(ids) for ids in answers}), 1)
        self.assertEqual(len(self.receive(max=10)), 3)

    def test_what_is_wrong_is_named_and_nothing_is_sent(self):
        good = {"payload": b64("x")}
        for body, words in (
                ({"messages": []}, "messages"),
                ({"messages": [good] * 101}, "101 items"),
                ({"messages": "text"}, "messages"),
                ({"messages": [good, "text"]}, "messages[1]"),
                ({"messages": [good, good | {"colour": 1}]}, "messages[1].colour"),
                ({"messages": [good], "payload": b64("x")}, "payload"),
                ({"messages": [good], "ttl_s": 5}, "ttl_s"),
                ({"messages": [good], "colour": 5}, "colour"),
                ({"messages": [good, good, good | {"key": "k" * 256}]}, "messages[2].key"),
                ({"messages": [good, good, good, good | {"ttl_s": 0}]}, "messages[3].ttl_s"),
                ({"messages": [good, {}]}, "messages[1].payload"),
                ({"messages": [good, good | {"attrs": {"a": 1}}]}, "messages[1].attrs"),
                ({"messages": [good | {"topic": "t"}]}, "messages[0].topic"),
                ({"messages": [{"payload": "no base64!"}]}, "messages[0].payload")):
            answer = self.ask("POST", "", body)
            self.assertEqual((answer.status, answer.json()["reason"]), (400, "bad_request"), body)
            self.assertIn(words, answer.json()["message"])
        self.assertEqual(self.peek(), [])


class BatchesOnEitherWire(NodeTest):
    """With two shards and one, in RAM and kept, over HTTP and OAP/1: the same."""

    def check(self, node):
        token = node.operator_token()
        client = OapClient(node, token)
        self.addCleanup(client.sock.close)

        def call(name, args):
            return cbor.loads(b"".join(client.call(name, args)[1]))
        for i in range(8):  # of every shard
            topic = f"topic {i}"
            args = {"topic": topic, "messages": [{"payload": b"1", "key": "k"}, {"payload": b"2"}],
                    "_idem": "once"}
            first, again = call("mb.send", args), call("mb.send", args)
            ids = [m["message_id"] for m in first["messages"]]
            self.assertEqual(first, {"messages": [{"message_id": m, "duplicate": False}
                                                  for m in ids]})
            self.assertEqual(again, {"messages": [{"message_id": m, "duplicate": True}
                                                  for m in ids]})
            answer = node.http("POST", f"/v1/mailbox/topic%20{i}",
                               {"messages": [{"payload": b64("3")}]}, token=token)
            self.assertEqual(answer.status, 202, answer)
            got = call("mb.recv", {"topic": topic, "max": 10})["messages"]
            self.assertEqual([m["payload"] for m in got], [b"1", b"2", b"3"])
            self.assertEqual([m["message_id"] for m in got[:2]], ids)
        good = {"payload": b"x"}
        for args, words in (
                ({"messages": []}, "messages"), ({"messages": [good] * 101}, "101 items"),
                ({"messages": [good, good | {"colour": 1}]}, "messages[1].colour"),
                ({"messages": [good], "payload": b"x"}, "payload"),
                ({"messages": [good, good, good | {"key": "k" * 256}]}, "messages[2].key"),
                ({"messages": [good, good, good, good | {"ttl_s": 0}]}, "messages[3].ttl_s"),
                ({"messages": [good, {"payload": 5}]}, "messages[1].payload")):
            with self.assertRaises(OapError) as failed:
                client.call("mb.send", {"topic": "wrong"} | args)
            self.assertEqual(failed.exception.status, 400)
            self.assertIn(words, str(failed.exception))
        self.assertEqual(call("mb.recv", {"topic": "wrong"}), {"messages": []})

    def test_in_ram(self):
        for shards in (1, 2):
            self.check(self.new_node(NO_RATES, f"--node.shards={shards}").start())

    def test_kept(self):
        for shards in (1, 2):
            node = self.new_node(NO_RATES + "[node]\nprofile = macronode\n"
                                 'roles = ["omnigate", "index", "storage", "mailbox"]\n',
                                 f"--node.shards={shards}")
            node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
            self.check(node.start())


class Delivery(MailCase):
    def test_send_receive_ack(self):
        sent = self.send("Größe", attrs={"a": "b"})
        self.assertEqual((sent.status, set(sent.json())), (202, {"message_id", "duplicate"}))
        self.assertIs(sent.json()["duplicate"], False)
        message, = self.receive()
        self.assertLessEqual({"message_id", "payload", "attrs", "attempt", "received_at_ms",
                              "receipt"}, set(message))
        self.assertEqual(message["message_id"], sent.json()["message_id"])
        self.assertEqual(base64.b64decode(message["payload"]).decode(), "Größe")
        self.assertEqual((message["attrs"], message["attempt"]), ({"a": "b"}, 1))
        self.assertEqual(self.receive(), [], "hidden while somebody works on it")
        self.assertEqual(self.settle("ack", message["receipt"]), ["ok"])
        self.assertEqual(self.settle("ack", message["receipt"]), ["gone"])
        self.assertEqual(self.settle("ack", "nonsense"), ["gone"])

    def test_order_and_max(self):
        for i in range(10):
            self.send(str(i))
        got = self.receive(max=4) + self.receive(max=100)
        self.assertEqual([base64.b64decode(m["payload"]).decode() for m in got],
                         [str(i) for i in range(10)])
        self.assertEqual(self.settle("ack", *[m["receipt"] for m in got]), ["ok"] * 10)

    def test_peek_changes_nothing(self):
        sent = self.send("four", key="k").json()["message_id"]
        for _ in range(2):
            item, = self.peek()
            self.assertEqual((item["message_id"], item["attempts"], item["size"], item["key"]),
                             (sent, 0, 4, "k"))
        self.assertEqual(self.receive()[0]["attempt"], 1)
        self.assertEqual(self.peek(), [])

    def test_visibility_ends(self):
        self.send()
        first, = self.receive(visibility_ms=250)
        second, = self.receive_eventually(visibility_ms=60_000)
        self.assertEqual((second["message_id"], second["attempt"]), (first["message_id"], 2))
        self.assertEqual(self.settle("ack", first["receipt"]), ["expired"])
        self.assertEqual(self.settle("ack", second["receipt"]), ["ok"])

    def test_nack_comes_back(self):
        self.send()
        first, = self.receive(visibility_ms=3_600_000)
        self.assertEqual(self.settle("nack", first["receipt"]), ["ok"])
        self.assertEqual(self.settle("nack", first["receipt"]), ["expired"])
        second, = self.receive_eventually()
        self.assertEqual((second["message_id"], second["attempt"]), (first["message_id"], 2))

    def test_one_of_a_key_at_a_time(self):
        for text, key in (("1", "a"), ("2", "a"), ("x", "b"), ("3", "a")):
            self.send(text, key)

        def got(messages):
            return [base64.b64decode(m["payload"]).decode() for m in messages]
        first = self.receive(max=10)
        self.assertEqual(got(first), ["1", "x"])
        self.assertEqual(self.receive(max=10), [])
        self.settle("ack", first[0]["receipt"])
        second = self.receive(max=10)
        self.assertEqual(got(second), ["2"])
        self.settle("ack", second[0]["receipt"])
        self.assertEqual(got(self.receive(max=10)), ["3"])

    def test_every_message_to_one_receiver(self):
        sent = {self.send(str(i)).json()["message_id"] for i in range(60)}

        def work():
            got = []
            while messages := self.receive(max=7, visibility_ms=600_000):
                got += messages
            return got
        got = [m["message_id"] for part in together([work] * 6) for m in part]
        self.assertEqual((len(got), set(got)), (60, sent))

    def test_delay_and_ttl(self):
        self.send("later", delay_ms=600_000)
        self.send("now")
        self.assertEqual(len(self.receive(max=10)), 1)
        self.send("short", ttl_s=1)
        wait_until(lambda: not any(item["size"] == 5 and item["attempts"] == 0
                                   for item in self.peek()[1:]), 20, "the end of ttl_s")

    def test_dead_letters(self):
        sent = self.send("poison").json()["message_id"]
        for attempt in range(1, 6):
            message, = self.receive_eventually(visibility_ms=600_000)
            self.assertEqual(message["attempt"], attempt)
            self.assertEqual(self.settle("nack", message["receipt"]), ["ok"])
        dead = wait_until(lambda: self.ask("GET", "/dlq").json()["items"], what="a dead letter")
        self.assertEqual([d["message_id"] for d in dead], [sent])
        self.assertEqual((self.receive(), self.peek()), ([], []))
        self.assertEqual(self.ron.get(f"/v1/mailbox/{self.topic}/dlq").status, 401)
        self.assertEqual(self.ask("POST", "/dlq/redrive", {}).status, 200)
        again, = self.receive_eventually()
        self.assertEqual((again["message_id"], again["attempt"]), (sent, 1))
        self.assertEqual(self.ask("GET", "/dlq").json()["items"], [])


    def test_stats(self):
        def stats():
            answer = self.ask("GET", "/stats")
            self.assertEqual(answer.status, 200, answer)
            return answer.json()
        self.assertEqual(stats(), {"waiting": 0, "in_flight": 0, "dead": 0, "bytes": 0,
                                   "oldest_ms": None})
        for text in ("a", "b", "c"):
            self.send(text)
        receipt = self.receive(visibility_ms=600_000)[0]["receipt"]
        now = stats()
        self.assertEqual((now["waiting"], now["in_flight"], now["dead"]), (2, 1, 0))
        self.assertGreater(now["bytes"], 3)
        self.assertLess(0, now["oldest_ms"])
        self.settle("ack", receipt)
        self.assertEqual(stats()["in_flight"], 0)
        self.assertGreaterEqual(self.ron.metric("mailbox_acked_total"), 1)
        self.assertGreaterEqual(self.ron.metric("mailbox_messages"), 2)
        self.assertGreater(self.ron.metric("mailbox_messages_max"), 1000)


class Idempotency(MailCase):
    def test_replay(self):
        first = self.send(headers={"Idempotency-Key": "k1"}).json()
        again = self.send(headers={"Idempotency-Key": "k1"})
        self.assertEqual(again.status, 202)
        self.assertEqual(again.json(), {"message_id": first["message_id"], "duplicate": True})
        other = self.send("other", headers={"Idempotency-Key": "k1"})
        self.assertEqual((other.status, other.json()["code"]), (409, "conflict"))
        self.assertEqual(self.send(headers={"Idempotency-Key": "k2"}).json()["duplicate"], False)
        self.assertEqual(len(self.receive(max=10)), 2)

    def test_replay_after_the_message_is_gone(self):
        first = self.send(headers={"Idempotency-Key": "gone"}).json()
        message, = self.receive()
        self.settle("ack", message["receipt"])
        again = self.send(headers={"Idempotency-Key": "gone"}).json()
        self.assertEqual(again, {"message_id": first["message_id"], "duplicate": True})
        self.assertEqual(self.receive(), [])

    def test_fifty_at_once_have_one_effect(self):
        answers = together([lambda: self.send(headers={"Idempotency-Key": "once"})] * 50)
        self.assertEqual({a.status for a in answers}, {202}, answers)
        self.assertEqual(len({a.json()["message_id"] for a in answers}), 1)
        self.assertEqual(sum(not a.json()["duplicate"] for a in answers), 1)
        self.assertEqual(len(self.receive(max=100)), 1)

    def test_keys(self):
        for bad in ("", "x" * 129, "a\tb"):
            self.assertEqual(self.send(headers={"Idempotency-Key": bad}).status, 400, bad)
        self.assertEqual(self.send(headers={"Idempotency-Key": "x" * 128}).status, 202)


class LongPoll(MailCase):
    def start_poll(self, **options):
        """A receive in a thread; (thread, list that gets its messages)."""
        got = []
        thread = threading.Thread(target=lambda: got.extend(self.receive(**options)))
        thread.start()
        self.addCleanup(thread.join)
        return thread, got

    def waiting(self):
        """True once the node serves a connection that asks for nothing else: the poll."""
        return self.ron.metric("http_connections") >= 2  # /metrics itself is one

    def test_send_wakes_it(self):
        for topic in ("wake-a", "wake-b", "wake-c"):  # on whichever shard they live
            self.topic = topic
            thread, got = self.start_poll(wait_s=30, visibility_ms=600_000)
            wait_until(self.waiting, what="the poll")
            sent = self.send("wake up").json()["message_id"]
            thread.join(15)
            self.assertEqual([m["message_id"] for m in got], [sent])

    def test_redelivery_wakes_it(self):
        self.send()
        self.receive(visibility_ms=500)
        thread, got = self.start_poll(wait_s=30)
        thread.join(15)
        self.assertEqual([m["attempt"] for m in got], [2])

    def test_ends_without_a_message(self):
        self.assertEqual(self.receive(wait_s=1), [])

    def test_a_caller_that_left_takes_no_message(self):
        connection = self.ron.connection()
        connection.request("POST", f"/v1/mailbox/{self.topic}/receive", b'{"wait_s":30}',
                           {"Authorization": f"Bearer {self.token}"})
        wait_until(self.waiting, what="the poll")
        connection.close()
        wait_until(lambda: not self.waiting(), what="the end of its connection")
        self.send("for somebody else")
        self.assertEqual(len(self.receive_eventually()), 1)

    def test_ranges(self):
        for bad in ({"wait_s": 31}, {"wait_s": -1}, {"max": 0}, {"max": 101},
                    {"visibility_ms": 249}, {"visibility_ms": 43_200_001}, {"surprise": 1}):
            self.assertEqual(self.ask("POST", "/receive", bad).status, 400, bad)
        for bad in ({}, {"payload": "not base64!"}, {"payload": 1}, {"payload": "", "key": ""},
                    {"payload": "", "ttl_s": 0}, {"payload": "", "attrs": {"a": 1}},
                    {"payload": "", "surprise": 1}):
            self.assertEqual(self.ask("POST", "", bad).status, 400, bad)


if __name__ == "__main__":
    support.main()
