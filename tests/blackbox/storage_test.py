"""Objects that go and objects that stay: DELETE and pins on both wires and through ronctl."""
# ctest: TIMEOUT 180 LABELS blackbox
import http.client
import json
import os
import random
import subprocess

import cbor
import oap
import support
from support import NO_RATES, NodeTest, program

IN_RAM = "ram"
ON_DISK = "disk"


def configuration(where, quota="256MiB"):
    profile = "micronode" if where == IN_RAM else "macronode"
    return NO_RATES + f"""\
[node]
profile = {profile}
roles = ["omnigate", "index", "storage", "mailbox"]
[storage]
quota = {quota}
"""


class StorageCase:
    """What holds for either back end; the classes below name one."""

    where = IN_RAM

    def setUp(self):
        super().setUp()
        self.ron = self.new_node(configuration(self.where))
        if self.where == ON_DISK:
            self.ron.arguments.append("--node.data-dir=" + os.path.join(self.ron.folder, "data"))
        self.ron.start()
        self.token = self.ron.operator_token()

    def ask(self, method, path, body=None, token="own", **options):
        return self.ron.http(method, path, body, token=self.token if token == "own" else token,
                             **options)

    def refused(self, status, code, reason, answer):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual((answer.json()["code"], answer.json()["reason"]), (code, reason))

    def put(self, body):
        answer = self.ask("PUT", "/v1/o", body)
        self.assertEqual(answer.status, 201, answer)
        return answer.headers["Location"]

    def ronctl(self, *words, expect=0):
        endpoints = self.ron.ready["endpoints"]
        environment = support.clean_environment({"RONCTL_NODE": endpoints["oap_tls"],
                                                 "RONCTL_ADMIN": endpoints["admin"]})
        done = subprocess.run([program("ronctl"), *words], env=environment, capture_output=True,
                              timeout=60, text=True, cwd=self.ron.folder)
        self.assertEqual(done.returncode, expect, done)
        return done

    def test_delete(self):
        location = self.put(b"soon gone")
        gone = self.ask("DELETE", location)
        self.assertEqual((gone.status, gone.body), (204, b""), gone)
        for method in ("GET", "HEAD"):
            self.assertEqual(self.ask(method, location).status, 404)
        self.refused(404, "not_found", "not_found", self.ask("DELETE", location))
        self.assertEqual(self.put(b"soon gone"), location)
        self.assertEqual(self.ask("GET", location).body, b"soon gone")

    def test_delete_needs_a_capability(self):
        location = self.put(b"not yours")
        self.refused(401, "unauth", "unauth", self.ask("DELETE", location, token=None))
        self.refused(401, "unauth", "unauth", self.ask("DELETE", location, token="AAAA"))
        self.refused(401, "unauth", "unauth", self.ask("POST", location + "/pin", token=None))
        self.refused(401, "unauth", "unauth", self.ask("GET", "/v1/pins", token=None))
        self.assertEqual(self.ask("GET", location).body, b"not yours")

    def test_delete_is_strict(self):
        location = self.put(b"x")
        self.refused(400, "bad_request", "bad_request", self.ask("DELETE", "/v1/o/b3:12"))
        self.refused(400, "bad_request", "bad_request", self.ask("DELETE", location + "?force=1"))
        self.refused(405, "method_not_allowed", "method", self.ask("DELETE", "/o/" + location[6:]))

    def test_a_named_object_stays(self):
        location = self.put(b"named")
        cid = location.rpartition("/")[2]
        other = self.put(b"another").rpartition("/")[2]
        for name in ("keep/a", "keep/b"):
            self.assertEqual(self.ask("PUT", "/v1/names/" + name, {"cid": cid}).status, 201)
        self.refused(409, "conflict", "conflict", self.ask("DELETE", location))
        self.assertEqual(self.ask("PUT", "/v1/names/keep/a", {"cid": other}).status, 200)
        self.refused(409, "conflict", "conflict", self.ask("DELETE", location))
        self.assertEqual(self.ask("DELETE", "/v1/names/keep/b").status, 204)
        self.assertEqual(self.ask("DELETE", location).status, 204)

    def test_a_pinned_object_stays(self):
        location = self.put(b"pinned")
        cid = location.rpartition("/")[2]
        for pins in (1, 2):
            answer = self.ask("POST", location + "/pin")
            self.assertEqual((answer.status, answer.json()),
                             (200, {"cid": cid, "size": 6, "pins": pins}))
        self.assertEqual(self.ask("GET", "/v1/pins").json(),
                         {"items": [{"cid": cid, "size": 6, "pins": 2}], "next_cursor": None})
        for pins in (1, 0):
            self.refused(409, "conflict", "conflict", self.ask("DELETE", location))
            self.assertEqual(self.ask("DELETE", location + "/pin").json()["pins"], pins)
        self.refused(404, "not_found", "not_found", self.ask("DELETE", location + "/pin"))
        self.assertEqual(self.ask("GET", "/v1/pins").json()["items"], [])
        self.assertEqual(self.ask("DELETE", location).status, 204)
        self.refused(404, "not_found", "not_found", self.ask("POST", location + "/pin"))

    def test_pins_come_in_pages(self):
        locations = [self.put(b"page %d" % i) for i in range(7)]
        for location in locations:
            self.ask("POST", location + "/pin")
        seen, cursor = [], None
        while True:
            page = self.ask("GET", "/v1/pins?limit=3" + (f"&cursor={cursor}" if cursor else ""))
            seen += [item["cid"] for item in page.json()["items"]]
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
        self.assertEqual(seen, sorted(location.rpartition("/")[2] for location in locations))
        for bad in ("limit=0", "limit=1001", "cursor=b3:1"):
            self.refused(400, "bad_request", "bad_request", self.ask("GET", "/v1/pins?" + bad))

    def test_over_oap(self):
        cid = self.put(b"by either wire").rpartition("/")[2]
        with oap.OapClient(self.ron, self.token) as client:
            def call(name, **args):
                status, contents = client.call(name, args)
                return status, [cbor.loads(c) for c in contents if c]

            def fails(status, name, **args):
                with self.assertRaises(oap.OapError) as caught:
                    call(name, **args)
                self.assertEqual(caught.exception.status, status)
            pinned = {"cid": cid, "size": 14, "pins": 1}
            self.assertEqual(call("o.pin", cid=cid), (200, [pinned]))
            self.assertEqual(call("o.pins"), (200, [{"items": [pinned], "next_cursor": None}]))
            fails(409, "o.del", cid=cid)
            self.assertEqual(call("o.unpin", cid=cid)[1][0]["pins"], 0)
            self.assertEqual(call("o.del", cid=cid)[0], 204)
            fails(404, "o.del", cid=cid)
            fails(404, "o.head", cid=cid)
            fails(400, "o.del", cid="b3:1")
        with oap.OapClient(self.ron) as client:
            with self.assertRaises(oap.OapError) as caught:
                client.call("o.del", {"cid": cid})
            self.assertEqual(caught.exception.status, 401)

    def test_through_ronctl(self):
        cid, other = (self.put(body).rpartition("/")[2] for body in (b"one", b"two"))
        self.ronctl("publish", "ctl/x", cid)
        self.assertIn("name", self.ronctl("rm", cid, expect=1).stderr)
        self.ronctl("unpublish", "ctl/x")
        self.assertIn(cid, self.ronctl("pin", cid, other).stdout)
        self.assertIn("pinned", self.ronctl("rm", cid, expect=1).stderr)
        listed = json.loads(self.ronctl("pins", "-o", "json").stdout)["items"]
        self.assertEqual([o["cid"] for o in listed], sorted((cid, other)))
        self.ronctl("unpin", cid, other)
        self.ronctl("rm", cid, other)
        self.ronctl("rm", cid, expect=3)
        self.ronctl("unpublish", "ctl/x", expect=3)

    def test_a_reader_sees_all_or_a_cut(self):
        body = random.Random(7).randbytes(24 << 20)
        location = self.put(body)
        connection = self.ron.connection()
        self.addCleanup(connection.close)
        for first in (0, 3_000_001):
            connection.request("GET", location, headers={
                "Range": f"bytes={first}-", "Authorization": f"Bearer {self.token}"})
            response = connection.getresponse()
            self.assertEqual(int(response.headers["Content-Length"]), len(body) - first)
            got = response.read(100_000)
            self.assertEqual(self.ask("DELETE", location).status, 204)
            try:
                got += response.read()
                self.assertEqual(len(got), len(body) - first, "a short answer looks complete")
            except http.client.IncompleteRead as cut:
                got += cut.partial
            except ConnectionError:
                pass
            self.assertTrue(body[first:].startswith(got), "bytes of something else")
            connection.close()
            self.assertEqual(self.put(body), location)

    def test_room_is_given_back(self):
        body = random.Random(8).randbytes(8 << 20)
        for _ in range(4):
            location = self.put(body)
            self.assertEqual(self.ask("DELETE", location).status, 204)
        self.assertGreaterEqual(self.ron.metric("storage_bytes_in_total"), 32 << 20)
        support.wait_until(lambda: self.ron.metric("storage_objects") == 0, 10, "no objects")
        support.wait_until(lambda: self.ron.metric("storage_bytes") == 0, 10, "no bytes")
        if self.where == ON_DISK:
            support.wait_until(
                lambda: self.ron.metric("lmdb_used_bytes", {"store": "objects"}) < 1 << 20, 30,
                "the pages are free")


class InRam(StorageCase, NodeTest):
    where = IN_RAM


class OnDisk(StorageCase, NodeTest):
    where = ON_DISK


class Quota(NodeTest):
    def test_a_full_store_refuses_and_still_deletes(self):
        for where in (IN_RAM, ON_DISK):
            with self.subTest(where):
                node = self.new_node(configuration(where, "4MiB"))
                if where == ON_DISK:
                    node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
                node.start()
                token = node.operator_token()
                dice = random.Random(9)
                kept, refused = {}, None
                for _ in range(100):
                    body = dice.randbytes(300_000)
                    answer = node.http("PUT", "/v1/o", body, token=token)
                    if answer.status == 507:
                        refused = body
                        break
                    self.assertEqual(answer.status, 201, answer)
                    kept[answer.headers["Location"]] = body
                self.assertIsNotNone(refused, "4 MiB hold more than 100 objects")
                self.assertEqual((answer.json()["code"], answer.json()["reason"]),
                                 ("insufficient_storage", "store_quota"))
                for location, body in kept.items():
                    self.assertTrue(node.get(location, token=token).body == body,
                                    "nothing was evicted")
                for location in list(kept)[:2]:
                    self.assertEqual(node.http("DELETE", location, token=token).status, 204)
                self.assertEqual(node.http("PUT", "/v1/o", refused, token=token).status, 201)
                node.stop()


    def test_a_full_map_refuses_and_still_deletes(self):
        node = self.new_node(configuration(ON_DISK, "0") + "[lmdb]\nmap-max = 8MiB\n")
        node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
        node.start()
        token = node.operator_token()
        dice = random.Random(10)
        kept = {}

        def fill():
            """Stores until it is refused; eight at a time, so that they share commits."""
            for _ in range(100):
                bodies = [dice.randbytes(dice.choice((500, 60_000, 150_000))) for _ in range(8)]
                answers = support.together(
                    [lambda body=body: node.http("PUT", "/v1/o", body, token=token)
                     for body in bodies])
                for body, answer in zip(bodies, answers):
                    if answer.status == 201:
                        kept[answer.headers["Location"]] = body
                    else:
                        self.assertEqual((answer.status, answer.json()["reason"]),
                                         (507, "store_quota"), answer)
                if any(answer.status == 507 for answer in answers):
                    return
            self.fail("8 MiB are never full")
        for _ in range(3):
            fill()
            self.assertGreater(sum(map(len, kept.values())), 5 << 20, "refused too early")
            for location, body in kept.items():
                self.assertTrue(node.get(location, token=token).body == body, "nothing was lost")
            self.assertLess(node.metric("lmdb_used_bytes", {"store": "objects"}), 8 << 20)
            for location in list(kept):
                self.assertEqual(node.http("DELETE", location, token=token).status, 204)
                del kept[location]
            support.wait_until(
                lambda: node.metric("lmdb_used_bytes", {"store": "objects"}) < 1 << 20, 30,
                "the pages are free")
        node.stop()


class Damage(NodeTest):
    """What a disk may do to the data file, done while the node is down."""

    def setUp(self):
        super().setUp()
        self.ron = self.new_node(configuration(ON_DISK))
        self.data = os.path.join(self.ron.folder, "data")
        self.ron.arguments.append("--node.data-dir=" + self.data)
        self.ron.start()

    ronctl = StorageCase.ronctl

    def ask(self, method, path, body=None, **options):
        return self.ron.http(method, path, body, token=self.ron.operator_token(), **options)

    def change(self, store, old, new):
        """Replaces bytes in the data file of a store wherever they occur."""
        self.ron.stop()
        path = os.path.join(self.data, store, "data.mdb")
        with open(path, "rb") as file:
            content = file.read()
        self.assertIn(old, content)
        with open(path, "wb") as file:
            file.write(content.replace(old, new))

    def test_a_flipped_byte_is_a_502_and_healed_by_a_put(self):
        body = random.Random(11).randbytes(300_000)
        location = self.ask("PUT", "/v1/o", body).headers["Location"]
        other = self.ask("PUT", "/v1/o", b"unharmed").headers["Location"]
        piece = body[200_000:200_032]
        self.change("storage", piece, bytes([piece[0] ^ 4]) + piece[1:])
        self.ron.start()
        answer = self.ask("GET", location, headers={"Range": "bytes=199990-200010"})
        self.assertEqual(answer.status, 502, answer)
        self.assertEqual((answer.json()["code"], answer.json()["reason"]),
                         ("bad_digest", "integrity"))
        self.assertEqual(self.ask("GET", other).body, b"unharmed")
        self.assertEqual(self.ask("GET", location, headers={"Range": "bytes=0-9"}).body, body[:10])
        self.assertGreaterEqual(self.ron.metric("storage_integrity_fail_total"), 1)
        with self.assertRaises(http.client.IncompleteRead):
            self.ask("GET", location)
        told = json.loads(self.ronctl("scrub", "-o", "json", expect=1).stdout)
        cid = location.rpartition("/")[2]
        self.assertEqual((told["damaged"], told["corrupt"], told["running"]), ([cid], 1, False))
        self.assertEqual(told["objects"], 2)
        self.assertEqual(self.ask("PUT", "/v1/o", body).status, 200)
        self.assertTrue(self.ask("GET", location).body == body)
        self.assertIn("finished", self.ronctl("scrub").stdout)

    def test_scrub_on_the_admin_listener(self):
        self.ask("PUT", "/v1/o", b"scrubbed")
        for method in ("GET", "POST"):
            self.assertEqual(self.ron.http(method, "/admin/scrub", endpoint="admin").status, 401)
        self.assertEqual(self.ask("GET", "/admin/scrub", endpoint="admin").json()["pass"], 0)
        answer = self.ask("POST", "/admin/scrub", endpoint="admin")
        self.assertEqual((answer.status, answer.json()["pass"]), (202, 1), answer)
        done = support.wait_until(
            lambda: (s := self.ask("GET", "/admin/scrub", endpoint="admin").json())["running"]
            is False and s, 20, "the pass ends")
        self.assertEqual((done["objects"], done["bytes"], done["corrupt"]), (1, 8, 0))
        self.assertEqual(self.ron.metric("storage_scrubbed_total"), 1)

    def test_a_newer_format_is_refused(self):
        key = b"min_reader"
        for store in ("storage", "index"):
            self.change(store, key + bytes((0, 0, 0, 2)), key + bytes((0, 0, 0, 99)))
            with self.assertRaises(support.NodeFailed) as caught:
                self.ron.start()
            self.assertEqual(caught.exception.code, support.EXIT_CONFIG, caught.exception)
            self.assertIn("reads up to 2", str(caught.exception))
            with open(path := os.path.join(self.data, store, "data.mdb"), "rb") as file:
                content = file.read()
            with open(path, "wb") as file:
                file.write(content.replace(key + bytes((0, 0, 0, 99)), key + bytes((0, 0, 0, 2))))
            self.ron.start()


if __name__ == "__main__":
    support.main()
