"""0-RTT over QUIC on real programs: what may come early, what waits, what somebody else repeats."""
# ctest: TIMEOUT 120 LABELS blackbox
import json
import os
import socket
import subprocess
import tempfile

import support
from chaos import Impairments, Relay
from support import NO_RATES, NodeTest, program, wait_until

OK, FAILED, USAGE = range(3)
EARLY = "[transport]\nquic-0rtt = [\"o.get\", \"ping\", \"resolve\"]\nhandshake-timeout = 1s\n"


class EarlyCase(NodeTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def early_node(self, config=EARLY):
        node = self.node(NO_RATES + config, "--node.shards=1")
        self.cap = os.path.join(self.folder, "cap")
        with open(self.cap, "w", encoding="ascii") as file:
            file.write(node.operator_token())
        return node

    def probe(self, node, operation, args=None, *words, address=None):
        done = support.run("quic_probe", f"--target={address or node.ready['endpoints']['oap_quic']}",
                           f"--pin={node.ready['cert_sha256']}", f"--operation={operation}",
                           f"--args={json.dumps(args or {})}", f"--cap={self.cap}",
                           "--payload=" + ("hello" if operation == "mb.send" else ""), *words)
        self.assertTrue(done.stdout, done)
        return json.loads(done.stdout)

    def put(self, node, body):
        return node.http("PUT", "/v1/o", body, token=node.operator_token()).json()["cid"]

    def ronctl(self, node, *words, expect=OK):
        done = subprocess.run(
            [program("ronctl"), *words], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
            env=support.clean_environment({"RONCTL_NODE": node.ready["endpoints"]["oap_quic"],
                                           "RONCTL_ADMIN": node.ready["endpoints"]["admin"]}))
        self.assertEqual(done.returncode, expect, done)
        return done

    def accepted(self, node):
        return node.metric("quic_early_data_total", {"outcome": "accepted"})

    def held(self, node):
        return node.metric("quic_early_held_total")

    def messages(self, node, topic):
        out = json.loads(self.ronctl(node, "mb", "recv", topic, "-o", "json", "--quic").stdout)
        return len(out["messages"])

    def sent(self, topic):
        return {"topic": topic}


class Allowed(EarlyCase):
    def test_a_named_read_is_answered(self):
        node = self.early_node()
        cid = self.put(node, b"x" * 20_000)
        said = self.probe(node, "o.get", {"cid": cid}, "--early=1")
        self.assertEqual((said["ok"], said["offered"], said["early"]), (True, True, "accepted"), said)
        self.assertGreater(said["bytes"], 20_000)
        wait_until(lambda: self.accepted(node) == 1)  # the answer was there before the end of the handshake
        self.assertEqual(self.held(node), 0)

    def test_everything_else_waits_for_the_end_of_the_handshake_and_happens_once(self):
        node = self.early_node()
        said = self.probe(node, "mb.send", self.sent("late"), "--early=1")
        self.assertEqual((said["ok"], said["early"]), (True, "accepted"), said)
        self.assertEqual(self.held(node), 1)
        self.assertEqual(self.messages(node, "late"), 1)
        put = self.probe(node, "o.put", {}, "--early=1", "--body=100")
        self.assertEqual((put["ok"], self.held(node)), (True, 2), put)

    def test_what_somebody_repeats_is_not_written(self):
        node = self.early_node()
        cid = self.put(node, b"y" * 1_000)
        handshakes = 0
        for operation, args, more in (("mb.send", self.sent("never"), []), ("o.put", {}, ["--body=100"]),
                                      ("o.get", {"cid": cid}, [])):
            self.probe(node, operation, args, "--early=1", "--vanish=1", *more)
            handshakes += 1
        wait_until(lambda: node.metric("transport_handshakes_total", {"outcome": "timeout"}) == handshakes)
        self.assertEqual(self.held(node), 2)
        self.assertEqual(self.accepted(node), 0)
        self.assertEqual(self.messages(node, "never"), 0)
        self.assertEqual(node.http("GET", "/v1/o/" + support.b3(b"x" * 100)).status, 404)

    def test_recorded_datagrams(self):
        """The same bytes again from elsewhere, when the node has forgotten the connection that they were of."""
        node = self.early_node()
        recorded = []
        with Recorder(node.address("oap_quic"), recorded) as recorder:
            said = self.probe(node, "mb.send", self.sent("once"), "--early=1", address=recorder.name)
            self.assertEqual((said["ok"], said["early"]), (True, "accepted"), said)
        wait_until(lambda: node.metric("transport_connections", {"listener": "oap_quic"}) == 0)
        for turn in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.connect(node.address("oap_quic"))
                for datagram in recorded:
                    s.send(datagram)
            wait_until(lambda: self.held(node) == turn + 2)  # pylint: disable=cell-var-from-loop
            wait_until(lambda: node.metric("transport_connections", {"listener": "oap_quic"}) == 0)
        self.assertEqual(self.messages(node, "once"), 1)

    def test_ronctl_uses_it_when_asked_to(self):
        node = self.early_node()
        os.mkdir(os.path.join(self.folder, "tree"))
        for i in range(4):
            with open(os.path.join(self.folder, "tree", str(i)), "wb") as file:
                file.write(b"x" * (i + 1))
        self.ronctl(node, "put", "tree", "--publish", "early/tree", "--quic")
        self.assertEqual(self.accepted(node), 0)
        self.ronctl(node, "get", "early/tree", "--tree", "-o", "copy", "--quic", "--early-data")
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "copy"))), ["0", "1", "2", "3"])
        wait_until(lambda: self.accepted(node) >= 1)
        self.assertEqual(self.held(node), 0)
        self.ronctl(node, "ping", "--early-data", expect=USAGE)

    def test_through_loss(self):
        node = self.early_node(EARLY.replace("handshake-timeout = 1s\n", ""))
        cid = self.put(node, b"z" * 5_000)
        with Relay(node.address("oap_quic"), Impairments(loss=0.1, reorder=0.2, duplicate=0.1), udp=True) as relay:
            print("seed", relay.seed)
            for _ in range(10):
                said = self.probe(node, "o.get", {"cid": cid}, "--early=1", "--timeout-ms=25000",
                                  address="127.0.0.1:%d" % relay.address[1])
                self.assertTrue(said["ok"], said)


class Refused(EarlyCase):
    def test_off_is_the_default_and_nothing_is_lost(self):
        node = self.early_node("")
        said = self.probe(node, "mb.send", self.sent("plain"), "--early=1")
        self.assertEqual((said["ok"], said["offered"], said["resumed"]), (True, False, True), said)
        self.assertEqual((self.accepted(node), self.held(node)), (0, 0))
        self.assertEqual(self.messages(node, "plain"), 1)

    def test_only_reads_can_be_named(self):
        for name in ("o.put", "mb.send", "o.del", "mb.recv", "nonsense"):
            with self.subTest(name):
                node = self.new_node("", f"--transport.quic-0rtt={name}")
                with self.assertRaises(support.NodeFailed) as failed:
                    node.start()
                self.assertEqual(failed.exception.code, support.EXIT_CONFIG)
                self.assertIn("transport.quic-0rtt", node.stderr())
                self.assertIn("o.get", node.stderr())


class Recorder:
    """Passes datagrams on and keeps what the last client said until it was answered."""

    def __init__(self, target, kept):
        self.relay = Relay(target, Impairments(), udp=True)
        self.kept = kept

    def __enter__(self):
        take = self.relay.carrier.take

        def record(client, direction, data, now):
            if direction is client.up:
                if getattr(self, "client", None) is not client:
                    self.client, self.answered = client, False
                    self.kept.clear()
                if not self.answered:
                    self.kept.append(bytes(data))
            elif getattr(self, "client", None) is client:
                self.answered = True
            take(client, direction, data, now)
        self.relay.carrier.take = record
        self.relay.start()
        self.name = "127.0.0.1:%d" % self.relay.address[1]
        return self

    def __exit__(self, *_):
        self.relay.close()


if __name__ == "__main__":
    support.main()
