"""Peers that do not keep what they say, and peers whose bytes are wrong, too many, slow or cut off."""
# ctest: TIMEOUT 300 LABELS blackbox
import hashlib
import json
import os
import random
import secrets
import ssl
import subprocess
import tempfile

import support
from fake_peer import FakePeer
from support import NO_RATES, NodeTest, wait_until

CONFIG = NO_RATES + """\
[node]
profile = macronode
data-dir = "{folder}/data"
roles = ["omnigate", "index", "storage", "mailbox"]
[oap]
tls-address = 127.0.0.1:0
[caps]
root-keys = "{folder}/root-key"
[storage]
quota = 1GiB
rf = 2
peers = ["127.0.0.1:{port}"]
peer-pins = ["{pin}"]
repair-rate = 0MiB/s
"""
# The chance that a peer is asked for none of so many copies is one in a million.
ENOUGH = 104


class Proofs(NodeTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        certificate, key = self.folder + "/cert.pem", self.folder + "/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=peer",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        with open(self.folder + "/root-key", "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(secrets.token_hex(32) + "\n")
        with open(certificate, encoding="ascii") as file:
            pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()
        self.peer = FakePeer(certificate, key)
        self.addCleanup(self.peer.close)
        self.ron = self.node(CONFIG.format(folder=self.folder, port=self.peer.port, pin=pin))

    def put(self, body):
        answer = self.ron.http("PUT", "/v1/o", body, token=self.ron.operator_token(), timeout=30)
        self.assertIn(answer.status, (200, 201), answer)
        return answer.json()["cid"]

    def put_all(self, n=ENOUGH):
        """Objects that a peer is asked for before they are sent; whole in what is returned."""
        dice = random.Random(1)
        return {self.put(body): body for body in (dice.randbytes(20_000 + i) for i in range(n))}

    def failures(self, reason):
        return self.ron.metric("replication_failures_total", {"reason": reason})

    def unproven(self):
        return self.ron.metric("replication_unproven_total")

    def settled(self, seconds=120):
        wait_until(lambda: self.ron.metric("replication_pending") == 0, seconds, "no pending copies")

    def test_an_honest_peer_shows_what_it_keeps(self):
        # The peer has got them from somebody else.
        bodies = [random.Random(n).randbytes(200_000) for n in range(ENOUGH)]
        self.peer.objects = {support.b3(body): body for body in bodies}
        for body in bodies:
            self.put(body)
        self.settled()
        proofs = self.ron.metric("replication_proofs_total")
        self.assertGreater(proofs, 0)
        self.assertLess(proofs, ENOUGH / 2, "now and then")
        self.assertEqual(proofs, self.peer.asked["o.get"])
        self.assertEqual(self.ron.metric("replication_bytes_total"), self.peer.sent)
        self.assertLessEqual(self.peer.sent, 65536 * proofs, "a group each")
        self.assertEqual((self.peer.asked["o.replica"], self.unproven()), (0, 0))
        self.ron.stop()

    def test_a_liar_is_found(self):
        self.peer.keeps = lambda cid: True
        self.peer.gives = "wrong"
        stored = self.put_all()
        wait_until(lambda: self.failures("unproven") > 0, 60, "a lie that is noticed")
        self.assertGreater(self.unproven(), 0)
        self.assertGreater(self.ron.metric("replication_pending"), 0)
        self.assertLess(self.ron.metric("rf_observed"), 2)
        wait_until(lambda: self.failures("unproven") > 3, 60, "it is tried again")
        # It is left alone for longer and longer, and is not given the bytes each time.
        self.assertLess(self.peer.asked["o.replica"], self.unproven())
        state = json.loads(self.ron.get("/admin/replication", endpoint="admin",
                                        token=self.ron.operator_token()).body)
        self.assertGreater(state["unproven"], 0)
        self.assertGreater(state["failures"]["unproven"], 0)
        self.assertEqual(state["peers"][0]["failure"], "unproven")
        self.assertGreater(state["peers"][0]["unproven"], 0)
        self.assertIn("cannot show it", state["peers"][0]["why"])
        shown = subprocess.run(
            [support.program("ronctl"), "replication", "--admin", self.ron.ready["endpoints"]["admin"],
             "--node", self.ron.ready["endpoints"]["oap_tls"]],
            check=True, capture_output=True, text=True, timeout=30).stdout
        self.assertRegex(shown, r"127\.0\.0\.1:%d\tup\t\d+\t[1-9]\d*\t.*cannot show it"
                         % self.peer.port)
        self.assertIn("could not show it", self.ron.stderr(400))
        # From now on it is what it says.
        self.peer.objects.update(stored)
        self.peer.gives = "honest"
        self.settled()
        self.assertEqual(self.ron.metric("rf_observed"), 2)
        self.ron.stop()

    def test_a_peer_that_has_lost_its_bytes_gets_them_again(self):
        self.peer.keeps = lambda cid: True
        stored = self.put_all()
        self.settled()
        self.assertGreater(self.unproven(), 0)
        self.assertEqual(self.failures("unproven"), 0, "it could show them in the end")
        self.assertEqual(self.peer.asked["o.replica"], self.unproven(), "given as it turns out")
        self.assertEqual(len(self.peer.objects), self.unproven())
        for cid, body in self.peer.objects.items():
            self.assertTrue(body == stored[cid], "other bytes")
        self.ron.stop()

    def faulty(self, gives, reason, seconds=60):
        """Proofs by a peer that behaves like this end, are counted and are tried again later."""
        bodies = [random.Random(n).randbytes(20_000 + n) for n in range(ENOUGH)]
        self.peer.objects = {support.b3(body): body for body in bodies}
        self.peer.gives = gives
        for body in bodies:
            self.put(body)
        wait_until(lambda: self.failures(reason) > 0, seconds, reason)
        self.assertGreater(self.ron.metric("replication_pending"), 0)
        self.assertEqual(self.ron.get("/readyz").status, 200)
        moved = self.ron.metric("replication_bytes_total")
        self.assertLess(moved, 2 * sum(map(len, bodies)), "not what the peer would send")
        self.peer.gives = "honest"
        self.settled()
        self.ron.stop()

    def test_too_many_bytes(self):
        self.faulty("many", "unproven")
        self.assertGreater(self.peer.sent, 2 * 65536, "it was cut off")

    def test_too_few_bytes(self):
        self.faulty("few", "unproven")

    def test_a_crawl(self):
        self.faulty("crawl", "slow")

    def test_the_connection_ends(self):
        self.faulty("cut", "unreachable")

    def test_no_answer_that_a_node_would_give(self):
        self.peer.keeps = lambda cid: 7
        self.put(b"x" * 20_000)
        self.settled()
        self.assertEqual(self.peer.asked["o.replica"], 1, "it said nothing of the kind")
        self.ron.stop()


    def test_a_repair_from_a_peer_that_cannot(self):
        """The same faults while the node wants an object that is damaged with it."""
        body = random.Random(7).randbytes(700_000)
        cid = self.put(body)
        self.settled()
        self.ron.stop()
        with open(self.folder + "/data/storage/data.mdb", "r+b") as file:
            file.seek(file.read().find(body[300_000:300_032]))
            file.write(b"other bytes")
        self.peer.gives = "wrong"
        self.ron.start()
        token = self.ron.operator_token()

        def read():
            """The object from the damage on, or nothing."""
            answer = self.ron.get("/v1/o/" + cid, token=token, timeout=30,
                                  headers={"Range": "bytes=300000-"})
            self.assertIn(answer.status, (206, 502), answer)
            return answer.body if answer.status == 206 else None
        self.assertIsNone(read())
        # With whole objects too few bytes are other bytes.
        for gives, reason in (("wrong", "damaged"), ("many", "damaged"), ("few", "damaged"),
                              ("cut", "unreachable")):
            with self.subTest(gives):
                self.peer.gives = gives
                before = self.failures(reason)
                wait_until(lambda: self.failures(reason) > before, 90, reason)
                self.assertIsNone(read())
                self.assertEqual(self.ron.metric("replication_repairs_total"), 0)
        self.peer.gives = "honest"
        wait_until(lambda: self.ron.metric("replication_repairs_total") == 1, 90, "the repair")
        self.assertTrue(read() == body[300_000:], "other bytes")
        self.ron.stop()


if __name__ == "__main__":
    support.main()
