"""ronctl store backup, verify and compact, on stopped and on running nodes."""
# ctest: TIMEOUT 180 LABELS blackbox
import http.client
import json
import os
import random
import threading

import support
from support import NO_RATES, NodeTest

CONFIG = NO_RATES + """\
[node]
profile = macronode
roles = ["omnigate", "index", "storage", "mailbox"]
[storage]
quota = 4GiB
"""


class Writer(threading.Thread):
    """Stores, names and sends until it is told to stop; keeps what was acknowledged."""

    def __init__(self, node, token, number):
        super().__init__(daemon=True)
        self.node, self.number = node, number
        self.headers = {"Authorization": f"Bearer {token}"}
        self.dice = random.Random(number)
        self.objects, self.mail, self.wrong = {}, [], []
        self.stop = threading.Event()

    def run(self):
        connection = self.node.connection(timeout=20)
        try:
            while not self.stop.is_set():
                body = self.dice.randbytes(self.dice.choice((10, 70_000, 400_000)))
                cid = self.ask(connection, "PUT", "/v1/o", body)["cid"]
                self.objects[cid] = body
                name = f"/v1/names/w{self.number}/{len(self.objects)}"
                self.ask(connection, "PUT", name, json.dumps({"cid": cid}))
                for _ in range(5):
                    sent = self.ask(connection, "POST", f"/v1/mailbox/w{self.number}",
                                    json.dumps({"payload": "bWFpbA=="}))
                    self.mail.append(sent["message_id"])
        except (OSError, http.client.HTTPException, AssertionError) as e:
            self.wrong.append(repr(e))
        finally:
            connection.close()

    def ask(self, connection, method, path, body):
        connection.request(method, path, body, self.headers)
        answer = support.Answer(connection.getresponse())
        assert answer.status in (200, 201, 202), answer
        return answer.json()


def mail_of(node, token, topic):
    """The ids of all messages of a topic."""
    ids, more = [], ""
    while True:
        page = node.get(f"/v1/mailbox/{topic}/feed?limit=100&after={more or '0' * 26}", token=token)
        assert page.status == 200, page
        ids += [m["message_id"] for m in page.json()["items"]]
        more = page.json()["next_cursor"]
        if not more:
            return set(ids)


class StoreTools(NodeTest):
    def start(self, data=None):
        node = self.new_node(CONFIG)
        node.data = data or os.path.join(node.folder, "data")
        node.arguments.append("--node.data-dir=" + node.data)
        return node.start()

    def tool(self, *words, expect=0):
        done = support.run("ronctl", "store", *words, timeout=120)
        self.assertEqual(done.returncode, expect, done)
        return done

    def verify(self, folder, expect=0):
        return json.loads(self.tool("verify", "-o", "json", folder, expect=expect).stdout)

    def test_backup_under_writers_and_a_node_on_the_copy(self):
        node = self.start()
        token = node.operator_token()
        for i in range(5):
            sent = node.http("POST", "/v1/mailbox/jobs", {"payload": "bWFpbA=="}, token=token)
            self.assertIn(sent.status, (200, 201, 202), sent)
        writers = [Writer(node, token, i) for i in range(3)]
        for writer in writers:
            writer.start()
        support.wait_until(lambda: all(len(w.objects) >= 5 for w in writers), 60, "writes")
        before = {cid: body for w in writers for cid, body in list(w.objects.items())}
        mail = {w.number: list(w.mail) for w in writers}
        copy = os.path.join(node.folder, "copy")
        done = json.loads(self.tool("backup", "-o", "json", "--data-dir", node.data, copy).stdout)
        self.assertEqual([s["store"] for s in done["stores"]], ["index", "storage", "mailbox"])
        support.wait_until(lambda: all(len(w.objects) > len(before) / 3 for w in writers), 60,
                           "writes after the backup")
        for writer in writers:
            writer.stop.set()
        for writer in writers:
            writer.join(30)
            self.assertEqual(writer.wrong, [], "the node was disturbed")
        # A running node can be looked at, too.
        self.assertEqual(self.verify(node.data)["damaged_total"], 0)
        found = {s["store"]: s for s in self.verify(copy)["stores"]}
        self.assertGreaterEqual(found["storage"]["counts"]["objects"], len(before))
        self.assertGreaterEqual(found["index"]["counts"]["names"], len(before) - 3)
        acknowledged = 5 + sum(len(ids) for ids in mail.values())
        self.assertGreaterEqual(found["mailbox"]["counts"]["messages"], acknowledged)
        self.assertEqual(found["mailbox"]["damaged_total"], 0)
        node.stop()
        restored = self.start(copy)
        token = restored.operator_token()
        for cid, body in before.items():
            got = restored.get("/v1/o/" + cid, token=token)
            self.assertEqual((got.status, got.body == body), (200, True), cid)
        self.assertEqual(len(mail_of(restored, token, "jobs")), 5)
        for number, ids in mail.items():
            self.assertLessEqual(set(ids), mail_of(restored, token, f"w{number}"))
        restored.stop()

    def test_backup_refuses(self):
        node = self.start()
        used = os.path.join(node.folder, "used")
        os.mkdir(used)
        with open(os.path.join(used, "precious"), "w", encoding="utf-8"):
            pass
        done = self.tool("backup", "--data-dir", node.data, used, expect=1)
        self.assertIn("not empty", done.stderr)
        self.assertEqual(os.listdir(used), ["precious"])
        done = self.tool("backup", "--data-dir", used, os.path.join(node.folder, "x"), expect=3)
        self.assertIn("node.data-dir", done.stderr)
        done = self.tool("compact", "--data-dir", node.data, expect=5)
        self.assertIn("stop it first", done.stderr)
        self.assertEqual(node.get("/healthz", endpoint="admin").status, 200)

    def test_a_flipped_byte_is_found(self):
        node = self.start()
        token = node.operator_token()
        body = random.Random(3).randbytes(300_000)
        cid = node.http("PUT", "/v1/o", body, token=token).json()["cid"]
        node.stop()
        file = os.path.join(node.data, "storage", "data.mdb")
        with open(file, "r+b") as store:
            at = store.read().index(body[200_000:200_100])
            store.seek(at)
            store.write(bytes([body[200_000] ^ 1]))
        done = self.tool("verify", node.data, expect=1)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(f"storage: {cid}: 1 of 5 groups are damaged: 3", done.stderr)
        self.assertIn("storage\tdamaged\t1", done.stdout)
        self.assertIn("index\tdamaged\t0", done.stdout)
        self.assertEqual(self.verify(node.data, expect=1)["damaged_total"], 1)

    def test_a_damaged_log_is_found_and_told_of(self):
        node = self.start()
        token = node.operator_token()
        for text in ("b25l", "dHdv", "dGhyZWU="):
            sent = node.http("POST", "/v1/mailbox/jobs", {"payload": text}, token=token)
            self.assertEqual(sent.status, 202, sent)
        node.kill()  # nothing of it was brought over
        with open(os.path.join(node.data, "mailbox", "log.0"), "r+b") as log:
            content = log.read()
            at = content.index(b"two")
            log.seek(at)
            log.write(b"Two")
        done = self.tool("verify", node.data, expect=1)
        self.assertIn("mailbox: record", done.stderr)
        self.assertIn("missing", done.stderr)
        node.start()
        self.assertIn("acknowledged is damaged on disk and lost", node.stderr())
        self.assertEqual(node.metric("mailbox_damaged"), 1)
        self.assertEqual(node.metric("store_log_damaged", {"store": "mailbox"}), 1)
        self.assertEqual(len(mail_of(node, node.operator_token(), "jobs")), 2)
        node.stop()
        self.assertEqual(self.verify(node.data)["damaged_total"], 0)
        node.start()
        self.assertEqual(node.metric("mailbox_damaged"), 1)
        self.assertEqual(len(mail_of(node, node.operator_token(), "jobs")), 2)
        node.stop()

    def test_compact_keeps_what_is_in_the_log(self):
        node = self.start()
        for _ in range(7):
            sent = node.http("POST", "/v1/mailbox/jobs", {"payload": "bWFpbA=="},
                             token=node.operator_token())
            self.assertEqual(sent.status, 202, sent)
        node.kill()
        self.tool("compact", "--data-dir", node.data)
        found = {s["store"]: s for s in self.verify(node.data)["stores"]}
        self.assertEqual(found["mailbox"]["counts"]["messages"], 7)
        self.assertGreater(found["mailbox"]["counts"]["log records"], 0)
        node.start()
        self.assertEqual(node.metric("mailbox_messages"), 7)
        node.stop()

    def test_compact_gives_room_back(self):
        node = self.start()
        token = node.operator_token()
        dice = random.Random(4)
        kept = node.http("PUT", "/v1/o", dice.randbytes(100_000), token=token).json()["cid"]
        for _ in range(4):
            cid = node.http("PUT", "/v1/o", dice.randbytes(4 << 20), token=token).json()["cid"]
            self.assertEqual(node.http("DELETE", "/v1/o/" + cid, token=token).status, 204)
        node.stop()
        config = os.path.join(node.folder, "where.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'[node]\nprofile = macronode\ndata-dir = "{node.data}"\n')
        done = json.loads(self.tool("compact", "-o", "json", "--config-file", config).stdout)
        storage = next(s for s in done["stores"] if s["store"] == "storage")
        self.assertGreater(storage["bytes_before"], 4 << 20)
        self.assertLess(storage["bytes_after"], 1 << 20)
        self.assertEqual(self.verify(node.data)["damaged_total"], 0)
        node.start()
        self.assertEqual(len(node.get("/v1/o/" + kept, token=node.operator_token()).body), 100_000)
        node.stop()


if __name__ == "__main__":
    support.main()
