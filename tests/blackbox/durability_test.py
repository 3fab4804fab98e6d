"""An acknowledged write survives kill -9, whatever else was going on: four writers of objects, names
and mail at random points of their work. Prints its seed.

The full tier kills 200 times, which is what a release is accepted by; KILLS says otherwise, SEED
replays a run.
"""
# ctest: TIMEOUT 1800 LABELS blackbox
import http.client
import json
import os
import random
import threading
import time

import support
from mailer import Mailer, check_mail
from support import NO_RATES, NodeTest

ROUNDS = int(os.environ.get("KILLS") or (200 if os.environ.get("TEST_FULL") else 12))
START_SECONDS = 5
CONFIG = NO_RATES + """\
[node]
profile = macronode
roles = ["omnigate", "index", "storage", "mailbox"]
[storage]
quota = 4GiB
"""


class Writer(threading.Thread):
    """Stores, names, pins and deletes as fast as it can until the node is gone; keeps what was acknowledged."""

    def __init__(self, node, token, dice, prefix):
        super().__init__()
        self.node, self.dice, self.prefix = node, dice, prefix
        self.headers = {"Authorization": f"Bearer {token}"}
        self.objects, self.names = {}, {}  # cid: bytes, name: (version, cid)
        self.in_doubt = {}  # name: cid of the write that got no answer
        self.deleted = set()  # cids
        self.doubted = set()  # cids whose removal got no answer: there and whole, or gone
        self.pinned = set()
        self.wrong = []

    def run(self):
        connection = self.node.connection(timeout=20)
        try:
            for number in range(10**6):
                self.write(connection, number)
        except (OSError, http.client.HTTPException):
            pass  # the kill
        finally:
            connection.close()

    def ask(self, connection, method, path, body):
        connection.request(method, path, body, self.headers)
        answer = support.Answer(connection.getresponse())
        if answer.status not in (200, 201, 204):
            self.wrong.append(f"{method} {path}: {answer}")
        return answer

    def write(self, connection, number):
        size = self.dice.choice((10, 1_000, 1_000, 70_000, 300_000))
        body = self.dice.randbytes(size)
        answer = self.ask(connection, "PUT", "/v1/o", body)
        cid = answer.json()["cid"]
        self.objects[cid] = body
        name = f"{self.prefix}/{self.dice.randrange(20)}"  # new ones and moved ones
        self.in_doubt = {name: cid}
        answer = self.ask(connection, "PUT", "/v1/names/" + name, json.dumps({"cid": cid}))
        self.names[name] = (answer.json()["version"], cid)
        self.in_doubt = {}
        if number % 4 == 1:
            self.ask(connection, "POST", f"/v1/o/{cid}/pin", None)
            self.pinned.add(cid)
        if number % 4 == 3:
            self.come_and_go(connection)

    def come_and_go(self, connection):
        body = self.dice.randbytes(self.dice.choice((100, 200_000)))
        cid = self.ask(connection, "PUT", "/v1/o", body).json()["cid"]
        self.objects[cid] = body
        self.doubted.add(cid)
        self.ask(connection, "DELETE", "/v1/o/" + cid, None)
        self.doubted.remove(cid)
        self.deleted.add(cid)
        del self.objects[cid]


class KillNine(NodeTest):
    def test_acknowledged_writes_survive(self):
        seed = int(os.environ.get("SEED", "0")) or int.from_bytes(os.urandom(4), "big")
        print(f"SEED={seed}", flush=True)
        dice = random.Random(seed)
        node = self.new_node(CONFIG)
        node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
        objects, names, slowest = {}, {}, 0.0
        self.deleted, self.doubted, self.pinned = set(), set(), set()
        mailers, mail, settled = [], 0, 0
        for round_ in range(ROUNDS):
            began = time.monotonic()
            node.start(seconds=30)
            slowest = max(slowest, time.monotonic() - began)
            token = node.operator_token()
            self.check(node, token, objects, names)
            for mailer in mailers:
                check_mail(self, node, token, mailer)
            writers = [Writer(node, token, random.Random(dice.random()), f"round{round_}/w{i}")
                       for i in range(2)]
            mailers = [Mailer(node, token, random.Random(dice.random()), f"round{round_}-m{i}")
                       for i in range(2)]
            for writer in writers + mailers:
                writer.start()
            wanted = dice.randrange(5, 60)  # killed in the middle of the writes, not after a time
            support.wait_until(lambda: sum(len(w.objects) for w in writers) >= wanted
                               and all(m.sent for m in mailers), 60, "writes")
            node.kill()
            for writer in writers + mailers:
                writer.join(30)
                self.assertEqual(writer.wrong, [])
            mail += sum(len(m.sent) for m in mailers)
            settled += sum(len(m.acked) for m in mailers)
            some = {}
            for writer in writers:
                some |= writer.objects
                self.deleted |= writer.deleted
                self.doubted |= writer.doubted
                self.pinned |= writer.pinned
                names |= {name: (at, {cid}) for name, (at, cid) in writer.names.items()}
                for name, cid in writer.in_doubt.items():  # may be either
                    at, cids = names.get(name, (0, {None}))
                    names[name] = (at, cids | {cid})
            # All of this round, and of the others a few: they were checked before.
            self.last = some
            objects |= some
            print(f"kill {round_ + 1} of {ROUNDS}: {len(objects)} objects, {len(names)} names, "
                  f"{mail} messages so far; slowest start {slowest:.2f} s", flush=True)
        node.start(seconds=30)
        token = node.operator_token()
        self.check(node, token, objects, names, everything=True)
        for mailer in mailers:
            check_mail(self, node, token, mailer)
        node.stop()
        print(f"{len(objects)} objects, {len(names)} names, {len(self.pinned)} pins and {mail} messages "
              f"survived {ROUNDS} kills, {len(self.deleted)} objects stayed deleted and {settled} "
              f"messages acknowledged; slowest start {slowest:.2f} s", flush=True)
        self.assertLess(slowest, START_SECONDS)

    last = {}

    def check(self, node, token, objects, names, everything=False):
        headers = {"Authorization": f"Bearer {token}"}
        connection = node.connection(timeout=30)
        for cid, body in (objects if everything else self.last).items():
            connection.request("GET", "/v1/o/" + cid, headers=headers)
            response = connection.getresponse()
            got = response.read()
            if response.status == 404 and cid in self.doubted:
                continue
            self.assertEqual(response.status, 200, (cid, len(body), got[:200]))
            self.assertTrue(got == body, f"{cid}: other bytes")
        for cid in self.deleted:
            connection.request("HEAD", "/v1/o/" + cid, headers=headers)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, 404, f"{cid} came back")
        self.assertLessEqual(self.pinned, self.pins(connection, headers))
        for name, (version, cids) in names.items():
            connection.request("GET", "/v1/resolve/name:" + name, headers=headers)
            answer = support.Answer(connection.getresponse())
            if answer.status == 404 and None in cids:
                continue
            self.assertEqual(answer.status, 200, (name, answer))
            self.assertGreaterEqual(answer.json()["version"], version, name)
            self.assertIn(answer.json()["cid"], cids, name)
        connection.close()

    def pins(self, connection, headers):
        found, cursor = set(), ""
        while cursor is not None:
            connection.request("GET", "/v1/pins?limit=1000" + cursor, headers=headers)
            page = support.Answer(connection.getresponse()).json()
            found |= {item["cid"] for item in page["items"]}
            cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
        return found


if __name__ == "__main__":
    support.main()
