"""Objects on several nodes: copies, deletes, nodes that die, repair of flipped bytes, pace, strangers."""
# ctest: TIMEOUT 600 LABELS blackbox
import json
import os
import random
import secrets
import signal
import time

import support
from replication_case import ReplicationCase, free_ports
from support import wait_until


class Replication(ReplicationCase):
    def spread(self, profile, pin=None):
        nodes = [node.start() for node in self.group(2, profile=profile, pin=pin)]
        first, *others = nodes
        self.assertEqual(first.metric("rf_target"), 2)
        stored = {self.put(first, body): body for body in self.bodies(16, 1)}
        self.settled(first)
        self.assertEqual(first.metric("rf_observed"), 2)
        self.assertEqual(first.metric("replication_copies_total"), len(stored))
        where = [sum(self.has(node, cid, body) for node in others)
                 for cid, body in stored.items()]
        self.assertEqual(where, [1] * len(stored), "one copy elsewhere, and no more")
        counts = [node.metric("storage_objects") for node in others]
        self.assertEqual(sum(counts), len(stored))
        self.assertTrue(all(counts), f"all copies at one peer: {counts}")
        for node in others:  # a copy is not copied again
            self.assertEqual(node.metric("replication_copies_total"), 0)
            self.assertEqual(node.metric("replication_pending"), 0)
        for node in nodes:
            node.stop()

    def test_copies_are_spread(self):
        self.spread("macronode")

    def test_copies_in_ram(self):
        self.spread("micronode")

    def test_peers_known_by_pins(self):
        self.spread("macronode", pin=self.pin())

    def test_state_for_people(self):
        first, second = self.group(2, n=2)
        first.start()
        cid = self.put(first, b"for two")
        wait_until(lambda: self.failures(first, "unreachable") > 0, 20, "a failure")
        state = first.get("/admin/replication", endpoint="admin",
                          token=first.operator_token()).json()
        self.assertEqual((state["rf_target"], state["rf_observed"], state["pending"]), (2, 1, 1))
        (peer,) = state["peers"]
        self.assertEqual((peer["up"], peer["failure"]), (False, "unreachable"), peer)
        second.start()
        self.settled(first, 60)
        self.assertTrue(self.has(second, cid))
        self.assertEqual(first.metric("replication_peers_up"), 1)
        host, port = first.address("admin")
        shown = support.run("ronctl", "replication", "--node",
                            "{}:{}".format(*first.address("oap_tls")), "--admin", f"{host}:{port}")
        self.assertEqual(shown.returncode, 0, shown)
        self.assertIn("2.000 of 2", shown.stdout)
        self.assertIn("up", shown.stdout)
        first.stop()
        second.stop()

    def test_a_dead_peer_gets_its_copies_later(self):
        first, second, third = self.group(3)
        first.start()
        second.start()
        stored = {self.put(first, body): body for body in self.bodies(6, 2)}
        wait_until(lambda: second.metric("storage_objects") == len(stored), 30, "copies")
        self.assertEqual(first.metric("replication_pending"), len(stored))
        self.assertEqual(first.metric("rf_observed"), 1)
        first.kill()  # the work list is on disk
        first.start()
        self.assertEqual(first.metric("replication_pending"), len(stored))
        third.start()
        self.settled(first, 60)
        for cid, body in stored.items():
            self.assertTrue(self.has(third, cid, body))
        self.assertEqual(first.metric("rf_observed"), 3)
        self.assertEqual(second.metric("storage_puts_total"), len(stored), "sent once")
        for node in (first, second, third):
            node.stop()

    def test_a_peer_dies_in_the_middle(self):
        first, second, third = nodes = [node.start() for node in self.group(3, rate="4MiB/s")]
        body = random.Random(6).randbytes(16 << 20)
        cid = self.put(first, body)
        wait_until(lambda: first.metric("replication_bytes_total") > 0
                   or second.metric("storage_puts_open") > 0, 20, "the copy to begin")
        second.kill()
        wait_until(lambda: sum(self.failures(first, why) for why in ("unreachable", "slow")) > 0,
                   30, "a failure")
        self.assertEqual(first.metric("rf_observed"), 1)
        second.start()
        self.assertFalse(self.has(second, cid), "half an object")
        self.settled(first, 60)
        self.assertEqual(first.metric("rf_observed"), 3)
        for node in nodes:
            self.assertTrue(self.has(node, cid, body))
            node.stop()

    def test_a_peer_that_forgets_gets_its_copies_again(self):
        first, second = [node.start() for node in self.group(2, n=2, profile="micronode")]
        cid = self.put(first, b"to be forgotten")
        self.settled(first)
        self.assertTrue(self.has(second, cid))
        second.kill()
        second.start()
        self.assertFalse(self.has(second, cid))
        self.put(first, b"something new")
        wait_until(lambda: self.has(second, cid), 60, "the copy")
        first.stop()
        second.stop()

    def test_a_delete_reaches_the_copies(self):
        """Though nobody is there to hear of it at first; a copy that is named where it lies stays."""
        first, second, third = nodes = [node.start() for node in self.group(3)]
        token = first.operator_token()
        stored = {self.put(first, body): body for body in self.bodies(5, 7)}
        gone, named, *others = stored
        self.settled(first)
        # The same bytes put with another node are its own.
        self.put(third, stored[gone])
        self.settled(third)
        answer = second.http("PUT", "/v1/names/alice/kept", json.dumps({"cid": named}).encode(),
                             {"Content-Type": "application/json"}, token=second.operator_token())
        self.assertIn(answer.status, (200, 201), answer)
        for node in (second, third):
            node.kill()
        for cid in (gone, named):
            self.assertEqual(first.http("DELETE", "/v1/o/" + cid, token=token).status, 204)
        first.kill()
        first.start()
        self.assertEqual(first.metric("replication_releases_pending"), 2)
        for node in (second, third):
            node.start()
        wait_until(lambda: first.metric("replication_releases_pending") == 0, 60, "all to know")
        self.assertFalse(self.has(third, named))
        self.assertTrue(self.has(second, named, stored[named]))
        self.assertTrue(self.has(third, gone, stored[gone]), "its own")
        # What third put lies with first and second again, or still, for third alone.
        third_token = third.operator_token()
        self.assertEqual(third.http("DELETE", "/v1/o/" + gone, token=third_token).status, 204)
        wait_until(lambda: not any(self.has(node, gone) for node in nodes), 60, "it to be gone")
        for node in nodes:
            for cid in others:
                self.assertTrue(self.has(node, cid, stored[cid]))
            node.stop()

    def test_what_was_there_before_is_copied(self):
        first, second = self.group(2, n=2)
        second.start()
        first.arguments.append("--storage.rf=1")
        first.start()
        stored = {self.put(first, body): body for body in (b"object %d" % n for n in range(150))}
        first.stop()
        self.assertEqual(second.metric("storage_objects"), 0)
        first.arguments.remove("--storage.rf=1")
        first.start()
        wait_until(lambda: first.metric("rf_observed") == 2, 60, "all copies")
        self.assertEqual(second.metric("storage_objects"), len(stored))
        first.stop()
        first.arguments.append("--storage.rf=1")  # takes nothing back
        first.start()
        self.assertEqual(first.metric("rf_target"), 1)
        wait_until(lambda: first.metric("replication_peers_up") == 1, 20, "contact")
        self.assertEqual(second.metric("storage_objects"), len(stored))
        for cid, body in list(stored.items())[:10]:
            self.assertTrue(self.has(second, cid, body))
        cid = self.put(first, b"while nobody copied")
        first.stop()
        first.arguments.remove("--storage.rf=1")
        first.start()
        wait_until(lambda: first.metric("rf_observed") == 2, 60, "all copies")
        self.assertTrue(self.has(second, cid))
        first.stop()
        second.stop()

    def flip(self, node, needle):
        """Flips a bit of every place in the data file that starts with `needle`."""
        path = os.path.join(node.data, "storage", "data.mdb")
        with open(path, "r+b") as file:
            data = file.read()
            at = data.find(needle)
            self.assertGreaterEqual(at, 0)
            while at >= 0:
                file.seek(at)
                file.write(bytes([data[at] ^ 1]))
                at = data.find(needle, at + 1)

    def test_flipped_bytes_are_repaired(self):
        nodes = [node.start() for node in self.group(3)]
        first, *others = nodes
        token = first.operator_token()
        body = random.Random(3).randbytes(1_000_000)
        small = b"a small one that is damaged, too"
        cids = [self.put(first, body), self.put(first, small)]
        self.settled(first)
        for node in others:
            node.kill()
        first.stop()
        self.flip(first, body[500_000:500_032])
        self.flip(first, small)
        first.start()
        token = first.operator_token()
        for cid in cids:  # nobody can give it: refused, and not served
            answer = first.get("/v1/o/" + cid, token=token,
                               headers={"Range": "bytes=500000-500010"} if cid == cids[0] else {})
            self.assertEqual((answer.status, answer.json()["code"]), (502, "bad_digest"), answer)
        wait_until(lambda: first.metric("replication_pending") == 2, 20, "repairs on the list")
        for node in others:
            node.start()
        self.settled(first, 60)
        self.assertEqual(first.metric("replication_repairs_total"), 2)
        self.assertTrue(self.has(first, cids[0], body))
        self.assertTrue(self.has(first, cids[1], small))
        self.assertEqual(first.metric("rf_observed"), 3)
        first.stop()
        done = support.run("ronctl", "store", "verify", first.data)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        for node in others:
            node.stop()

    def test_a_scrub_finds_and_repairs(self):
        first, second = self.group(2, n=2)
        first.start()
        second.start()
        body = random.Random(4).randbytes(400_000)
        cid = self.put(first, body)
        self.settled(first)
        first.stop()
        self.flip(first, body[70_000:70_032])
        first.start()
        token = first.operator_token()
        first.http("POST", "/admin/scrub", endpoint="admin", token=token)
        wait_until(lambda: first.metric("replication_repairs_total") == 1, 30, "the repair")
        self.assertTrue(self.has(first, cid, body))
        # The tenant that put it is still its only holder: one DELETE frees it.
        self.assertEqual(first.http("DELETE", "/v1/o/" + cid, token=token).status, 204)
        self.assertFalse(self.has(first, cid))
        wait_until(lambda: not self.has(second, cid), 30, "the copy to go")
        first.stop()
        second.stop()

    def test_the_rate_is_kept(self):
        first, second = self.group(2, n=2, rate="4MiB/s")
        first.start()
        second.start()
        body = random.Random(5).randbytes(12 << 20)
        began = time.monotonic()
        cid = self.put(first, body)
        self.settled(first)
        took = time.monotonic() - began
        self.assertGreaterEqual(took, 2.8, "12 MiB at 4 MiB/s")
        self.assertTrue(self.has(second, cid, body))
        print(f"12 MiB at 4 MiB/s in {took:.1f} s", flush=True)
        first.stop()
        self.flip(first, body[5_000_000:5_000_032])
        first.start()
        began = time.monotonic()
        first.get("/v1/o/" + cid, token=first.operator_token(),
                  headers={"Range": "bytes=5000000-5000010"})
        wait_until(lambda: first.metric("replication_repairs_total") == 1, 60, "the repair")
        took = time.monotonic() - began
        self.assertGreaterEqual(took, 2.8, "12 MiB at 4 MiB/s")
        self.assertTrue(self.has(first, cid, body))
        print(f"repaired in {took:.1f} s", flush=True)
        first.stop()
        second.stop()

    def test_a_full_peer(self):
        """It is not sent one object after the other, and the others get their copies."""
        first, second, third = self.group(3)
        second.arguments.append("--storage.quota=100KiB")
        nodes = [node.start() for node in (first, second, third)]
        stored = {self.put(first, body): body
                  for body in (random.Random(n).randbytes(200_000) for n in range(20))}
        wait_until(lambda: third.metric("storage_objects") == len(stored), 30, "the other copies")
        wait_until(lambda: self.failures(first, "full") > 0, 20, "a refusal")
        self.assertLess(self.failures(first, "full"), len(stored))
        self.assertEqual(first.metric("replication_pending"), len(stored))
        second.stop()
        second.arguments.append("--storage.quota=1GiB")
        second.start()
        self.settled(first, 90)
        self.assertEqual(second.metric("storage_objects"), len(stored))
        self.assertEqual(third.metric("storage_puts_total"), len(stored), "sent once")
        for node in nodes:
            node.stop()

    def test_a_frozen_peer_holds_up_nobody(self):
        first, second, third = nodes = [node.start() for node in self.group(3)]
        self.put(first, b"for all")
        self.settled(first)
        second.signal(signal.SIGSTOP)
        try:
            stored = {self.put(first, body): body for body in self.bodies(6, 9)}
            wait_until(lambda: third.metric("storage_objects") == len(stored) + 1, 30, "copies")
            wait_until(lambda: self.failures(first, "slow") + self.failures(first, "unreachable"),
                       30, "a time-out")
            self.assertEqual(first.get("/readyz").status, 200)
            first.stop()
        finally:
            second.signal(signal.SIGCONT)
        first.start()
        self.settled(first, 60)
        for cid, body in stored.items():
            self.assertTrue(self.has(second, cid, body))
        for node in nodes:
            node.stop()

    def test_damage_with_both_is_not_passed_on(self):
        first, second = nodes = [node.start() for node in self.group(2, n=2)]
        body = random.Random(10).randbytes(300_000)
        cid = self.put(first, body)
        self.settled(first)
        for node in nodes:
            node.stop()
            self.flip(node, body[70_000:70_032])
            node.start()
        token = first.operator_token()
        hurt = {"Range": "bytes=70000-70010"}
        self.assertEqual(first.get("/v1/o/" + cid, headers=hurt, token=token).status, 502)
        wait_until(lambda: self.failures(first, "damaged") > 0, 20, "the peer's bytes refused")
        answer = first.get("/v1/o/" + cid, headers=hurt, token=token)
        self.assertEqual((answer.status, answer.json()["code"]), (502, "bad_digest"), answer)
        self.put(second, body)  # somebody has it still
        wait_until(lambda: first.metric("replication_repairs_total") == 1, 90, "the repair")
        self.assertTrue(self.has(first, cid, body))
        for node in nodes:
            node.stop()

    def refused(self, first, second, *words):
        """What `first` puts stays on its list; log and metrics say why."""
        self.put(first, b"for nobody")
        wait_until(lambda: self.failures(first, "unauthorized") > 0, 20, "a refusal")
        self.assertEqual(first.metric("replication_pending"), 1)
        self.assertEqual(first.metric("replication_peers_up"), 0)
        self.assertEqual(second.metric("storage_objects"), 0)
        for word in ("replication with a peer fails", "unauthorized", *words):
            self.assertIn(word, first.stderr())
        first.stop()
        second.stop()

    def test_another_root_key_is_refused(self):
        first, second = self.group(2, n=2)
        second.start()
        key = secrets.token_hex(32)
        with open(self.folder + "/root-key", "w", encoding="ascii") as file:
            file.write(key)
        first.start()
        self.refused(first, second, "caps.root-keys")
        self.assertNotIn(key, first.stderr())

    def test_another_certificate_is_refused(self):
        first, second = [node.start() for node in self.group(2, n=2, pin="0" * 64)]
        self.refused(first, second, "certificate")

    def test_a_node_is_not_its_own_peer(self):
        first, second = self.group(2, n=2)
        port = free_ports(1)[0]
        first.arguments += [f"--oap.tls-address=127.0.0.1:{port}",
                            f'--storage.peers=["127.0.0.1:{port}"]']
        first.start()
        second.start()
        self.refused(first, second, "storage.peers")

    def test_a_bad_root_key_is_refused(self):
        node = self.group(2, n=2)[0]
        for text, mode, why in (("not a key at all", 0o600, "64 hex digits"),
                                (secrets.token_hex(32), 0o644, "chmod 600")):
            with open(self.folder + "/root-key", "w", encoding="ascii") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
            with self.assertRaises(support.NodeFailed) as failed:
                node.start()
            self.assertEqual(failed.exception.code, support.EXIT_CONFIG)
            self.assertIn(why, node.stderr())
            self.assertNotIn(text, node.stderr())


if __name__ == "__main__":
    support.main()
