"""Acknowledged mail survives kill -9, what was acknowledged by its reader stays away. Prints its seed."""
# ctest: TIMEOUT 240 LABELS blackbox
import base64
import os
import random
import time

import support
from mailer import Mailer, check_mail
from support import NO_RATES, NodeTest, wait_until

ROUNDS = int(os.environ.get("ROUNDS", "12"))
START_SECONDS = 5
CONFIG = NO_RATES + """\
[node]
profile = macronode
roles = ["omnigate", "index", "storage", "mailbox"]
"""


class KillNine(NodeTest):
    def test_acknowledged_mail_survives(self):
        seed = int(os.environ.get("SEED", "0")) or int.from_bytes(os.urandom(4), "big")
        print(f"SEED={seed}", flush=True)
        dice = random.Random(seed)
        node = self.new_node(CONFIG)
        node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
        slowest, sent, acked = 0.0, 0, 0
        mailers = []
        for round_ in range(ROUNDS + 1):
            began = time.monotonic()
            node.start(seconds=30)
            slowest = max(slowest, time.monotonic() - began)
            token = node.operator_token()
            for mailer in mailers:
                check_mail(self, node, token, mailer)
            if round_ == ROUNDS:
                break
            mailers = [Mailer(node, token, random.Random(dice.random()), f"r{round_}-m{i}")
                       for i in range(4)]
            for mailer in mailers:
                mailer.start()
            wanted = dice.randrange(10, 200)  # killed in the middle of the writes
            wait_until(lambda: sum(len(m.sent) for m in mailers) >= wanted, 60, "mail")
            node.kill()
            for mailer in mailers:
                mailer.join(30)
                self.assertEqual(mailer.wrong, [])
                sent += len(mailer.sent)
                acked += len(mailer.acked)
        node.stop()
        print(f"{sent} messages sent, {acked} acknowledged, {ROUNDS} kills; "
              f"slowest start {slowest:.2f} s", flush=True)
        self.assertLess(slowest, START_SECONDS)


class Damage(NodeTest):
    def test_a_damaged_message_is_put_aside_and_the_rest_goes_on(self):
        node = self.new_node(CONFIG)
        data = os.path.join(node.folder, "data")
        node.arguments.append("--node.data-dir=" + data)

        def ask(path, body):
            answer = node.http("POST", "/v1/mailbox/t" + path, body, token=node.operator_token())
            self.assertIn(answer.status, (200, 202), answer)
            return answer.json()
        node.start()
        texts = [base64.b64encode(t).decode() for t in (b"one", b"a text to be found", b"three")]
        for text in texts:
            ask("", {"payload": text})
        node.stop()
        with open(os.path.join(data, "mailbox", "data.mdb"), "r+b") as file:
            everything = file.read()
            at = everything.find(b"to be found")
            self.assertGreater(at, 0)
            while at >= 0:
                file.seek(at)
                file.write(b"T")
                at = everything.find(b"to be found", at + 1)
        for _ in range(2):
            node.start()
            self.assertEqual(node.metric("mailbox_damaged"), 1)
            self.assertEqual(node.get("/readyz?for=write", endpoint="admin").status, 200)
            self.assertIn("damaged", node.stderr())
            node.stop()
        node.start()
        got = ask("/receive", {"max": 10})["messages"]
        self.assertEqual([m["payload"] for m in got], [texts[0], texts[2]])
        ask("", {"payload": texts[1]})


if __name__ == "__main__":
    support.main()
