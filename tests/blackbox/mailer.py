"""A writer of mail for tests that kill the node under it, and what must hold afterwards."""
import base64
import http.client
import json
import threading

import support
from support import wait_until

AN_HOUR = 3_600_000


class Mailer(threading.Thread):
    """Sends, receives and acknowledges on a topic of its own until the node is gone. Keeps what it
    was told, and what it asked for without hearing of it."""

    def __init__(self, node, token, dice, topic):
        super().__init__()
        self.node, self.dice, self.topic = node, dice, topic
        self.headers = {"Authorization": f"Bearer {token}"}
        self.sent = {}  # message id: (body, Idempotency-Key or None)
        self.batches = []  # (message ids, body, Idempotency-Key)
        self.held = {}  # message id: receipt
        self.acked = set()
        self.in_doubt = {"send": None, "receive": 0, "ack": None, "nack": None}
        self.nacked = set()
        self.wrong = []

    def run(self):
        connection = self.node.connection(timeout=20)
        try:
            for number in range(10**6):
                self.step(connection, number)
        except (OSError, http.client.HTTPException):
            pass  # the kill
        finally:
            connection.close()

    def ask(self, connection, path, body, headers=None):
        connection.request("POST", f"/v1/mailbox/{self.topic}{path}", json.dumps(body),
                           self.headers | (headers or {}))
        answer = support.Answer(connection.getresponse())
        if answer.status not in (200, 202):
            self.wrong.append(f"{path}: {answer}")
        return answer.json()

    def message(self, number):
        text = f"{self.topic} {number} " + "x" * self.dice.choice((0, 100, 20_000))
        return {"payload": base64.b64encode(text.encode()).decode()}

    def send_batch(self, connection, number):
        messages = [self.message(f"{number}/{i}") for i in range(self.dice.randrange(1, 12))]
        key = f"{self.topic}-batch-{number}" if number % 2 else None
        body = {"messages": messages}
        self.in_doubt["send"] = (body, key)
        answers = self.ask(connection, "", body, {"Idempotency-Key": key} if key else {})
        self.batch_is_sent([answer["message_id"] for answer in answers["messages"]], body, key)
        self.in_doubt["send"] = None

    def batch_is_sent(self, ids, body, key):
        self.sent |= {i: (message, None) for i, message in zip(ids, body["messages"])}
        if key:
            self.batches.append((ids, body, key))

    def step(self, connection, number):
        if number % 5 < 2:
            self.send_batch(connection, number)
        body = self.message(number)
        key = f"{self.topic}-{number}" if number % 3 == 0 else None
        self.in_doubt["send"] = (body, key)
        message = self.ask(connection, "", body, {"Idempotency-Key": key} if key else {})
        self.sent[message["message_id"]] = (body, key)
        self.in_doubt["send"] = None
        if number % 2:
            return
        self.in_doubt["receive"] = 2
        got = self.ask(connection, "/receive", {"max": 2, "visibility_ms": AN_HOUR})["messages"]
        self.held |= {m["message_id"]: m["receipt"] for m in got}
        self.in_doubt["receive"] = 0
        if self.held and number % 4 == 0:
            how = self.dice.choice(("ack", "ack", "nack"))
            message, receipt = self.held.popitem()
            self.in_doubt[how] = message
            result, = self.ask(connection, "/" + how, {"receipts": [receipt]})["results"]
            if result["status"] != "ok":
                self.wrong.append(f"{how}: {result}")
            (self.acked if how == "ack" else self.nacked).add(message)
            self.in_doubt[how] = None


def check_mail(test, node, token, m):
    """All that `m` was told holds after a restart; what it did not hear of is whole or absent."""
    def ask(method, path, body=None, headers=None):
        answer = node.http(method, f"/v1/mailbox/{m.topic}{path}", body, headers, token=token)
        test.assertIn(answer.status, (200, 202), answer)
        return answer.json()

    # A replay of before the crash is known; one that got no answer has one effect.
    for message, (body, key) in m.sent.items():
        if key and (message in m.acked or m.dice.random() < 0.2):
            again = ask("POST", "", body, {"Idempotency-Key": key})
            test.assertEqual(again, {"message_id": message, "duplicate": True})
    for ids, body, key in m.batches:
        if not m.acked.isdisjoint(ids) or m.dice.random() < 0.2:
            again = ask("POST", "", body, {"Idempotency-Key": key})["messages"]
            test.assertEqual(again, [{"message_id": i, "duplicate": True} for i in ids])
    # A batch that got no answer is whole once it is sent again, whatever was kept of it.
    body, key = m.in_doubt["send"] or ({}, None)
    if key and "messages" in body:
        again = ask("POST", "", body, {"Idempotency-Key": key})["messages"]
        m.batch_is_sent([message["message_id"] for message in again], body, key)
        m.in_doubt["send"] = None
    in_doubt = 0 if not m.in_doubt["send"] else len(body.get("messages", [body]))
    # Receipts of before the crash hold as long as their hour lasts.
    held = list(m.held.items())
    for message, receipt in held:
        result, = ask("POST", "/ack", {"receipts": [receipt]})["results"]
        test.assertEqual(result["status"], "ok", (m.topic, message))
        result, = ask("POST", "/ack", {"receipts": [receipt]})["results"]
        test.assertEqual(result["status"], "gone", (m.topic, message))
    # Everything else is there to be received, but what a reader may have got without knowing.
    doubt = {m.in_doubt["ack"], m.in_doubt["nack"]} - {None}
    wanted = set(m.sent) - m.acked - set(m.held) - doubt
    got = {}

    def collect():
        while some := ask("POST", "/receive", {"max": 100, "visibility_ms": AN_HOUR})["messages"]:
            for message in some:
                test.assertNotIn(message["message_id"], got)
                got[message["message_id"]] = message
        return ask("GET", "/stats")["waiting"] == 0
    wait_until(collect, 20, "the rest of the mail")  # nacked ones wait for their back-off
    stats = ask("GET", "/stats")
    hidden = wanted - set(got)
    test.assertLessEqual(len(hidden), m.in_doubt["receive"])
    test.assertGreaterEqual(stats["in_flight"], len(got) + len(hidden))
    test.assertLessEqual(stats["in_flight"], len(got) + len(hidden) + len(doubt))
    test.assertFalse(set(got) & m.acked, "acknowledged mail has come back")
    test.assertFalse(set(got) & set(m.held), "mail in flight was delivered again")
    test.assertLessEqual(len(set(got) - wanted - doubt), in_doubt)
    for message, (body, _) in m.sent.items():
        if message in got:
            test.assertEqual(got[message]["payload"], body["payload"])
    receipts = [message["receipt"] for message in got.values()]
    for start in range(0, len(receipts), 100):
        for result in ask("POST", "/ack", {"receipts": receipts[start:start + 100]})["results"]:
            test.assertEqual(result["status"], "ok")
