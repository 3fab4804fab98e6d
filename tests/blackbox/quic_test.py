"""OAP/1 over QUIC from the outside: ronctl --quic, OpenSSL as a stranger, and a bad wire."""
# ctest: TIMEOUT 180 LABELS blackbox
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import tempfile
import threading

import support
from support import NO_RATES, NodeTest, program, wait_until

OK, FAILED, USAGE, NOT_FOUND, REFUSED, UNAVAILABLE = range(6)


class Wire:
    """A UDP relay that loses, doubles and damages datagrams, and changes its address on demand."""

    def __init__(self, target, seed, loss=0.0, twice=0.0, damage=0.0):
        self.target = target
        self.dice = random.Random(seed)
        self.loss, self.twice, self.damage = loss, twice, damage
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.back = self._open()
        self.client = None
        self.moved = threading.Event()
        self.over = threading.Event()
        self.passed = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _open(self):
        back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        back.bind(("127.0.0.1", 0))
        return back

    @property
    def address(self):
        return "127.0.0.1:%d" % self.front.getsockname()[1]

    def _pass(self, to, address, datagram):
        if self.dice.random() < self.loss:
            return
        if self.dice.random() < self.damage:
            at = self.dice.randrange(len(datagram))
            datagram = datagram[:at] + bytes([datagram[at] ^ 1]) + datagram[at + 1:]
        self.passed += len(datagram)
        for _ in range(2 if self.dice.random() < self.twice else 1):
            to.sendto(datagram, address)

    def _run(self):
        while not self.over.is_set():
            with selectors.DefaultSelector() as ready:
                ready.register(self.front, selectors.EVENT_READ)
                ready.register(self.back, selectors.EVENT_READ)
                for key, _ in ready.select(0.05):
                    datagram, sender = key.fileobj.recvfrom(65536)
                    if key.fileobj is self.front:
                        self.client = sender
                        self._pass(self.back, self.target, datagram)
                    elif self.client:
                        self._pass(self.front, self.client, datagram)
            if self.moved.is_set():  # what a NAT does that has forgotten us
                self.moved.clear()
                self.back.close()
                self.back = self._open()

    def close(self):
        self.over.set()
        self.thread.join()
        self.front.close()
        self.back.close()


def s_client(address, alpn, *words):
    """OpenSSL's own QUIC client, which knows nothing of us."""
    return subprocess.run(
        ["openssl", "s_client", "-quic", "-alpn", alpn, "-connect", address, "-brief", *words],
        input=b"", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)


class QuicCase(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.quic = self.ron.ready["endpoints"]["oap_quic"]

    def ronctl(self, *words, expect=OK, address=None, stdin=b"", timeout=60):
        environment = support.clean_environment(
            {"RONCTL_NODE": address or self.quic,
             "RONCTL_ADMIN": self.ron.ready["endpoints"]["admin"]})
        done = subprocess.run([program("ronctl"), *words, "--quic"], input=stdin, cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                              timeout=timeout)
        self.assertEqual(done.returncode, expect, done)
        done.stderr = done.stderr.decode()
        return done

    def json(self, *words, **options):
        return json.loads(self.ronctl(*words, "-o", "json", **options).stdout)

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def round_trip(self, body, **options):
        source = self.path("source", body)
        put = self.json("put", source, **options)
        self.assertEqual(put[0]["cid"], support.b3(body))
        self.ronctl("get", put[0]["cid"], "-o", self.path("copy"), **options)
        with open(self.path("copy"), "rb") as copy:
            self.assertTrue(copy.read() == body)


class Use(QuicCase):
    def test_the_same_operations_answer(self):
        self.assertGreater(self.ron.address("oap_quic")[1], 0)
        dice = random.Random(1)
        for size in (0, 1, 70_000, 5_000_000):
            self.round_trip(dice.randbytes(size))
        cid = support.b3(b"one")
        self.json("put", self.path("one", b"one"))
        self.assertEqual(self.json("publish", "quic/one", cid)["cid"], cid)
        self.assertEqual(self.json("resolve", "quic/one")["cid"], cid)
        self.json("mb", "send", "quic", "hello")
        self.assertEqual(len(self.json("mb", "recv", "quic")["messages"]), 1)
        self.ronctl("resolve", "quic/none", expect=NOT_FOUND)

    def test_ping_says_what_was_negotiated(self):
        said = self.json("ping")
        self.assertIn("QUIC TLSv1.3", said["tls"])

    def test_metrics(self):
        before = self.ron.metric("transport_accepted_total", {"listener": "oap_quic"})
        self.ronctl("ping")
        self.assertEqual(
            self.ron.metric("transport_accepted_total", {"listener": "oap_quic"}), before + 1)
        self.assertGreater(self.ron.metric("quic_datagrams_total", {"direction": "in"}), 0)
        wait_until(lambda: self.ron.metric("transport_connections", {"listener": "oap_quic"}) == 0)

    def test_many_clients_at_once(self):
        failed = []

        def one(number):
            try:
                self.assertIn("QUIC", self.json("ping", "--count", "20")["tls"])
            except Exception as e:  # pylint: disable=broad-except
                failed.append((number, e))
        threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failed, [])


class Strangers(QuicCase):
    def test_http3_is_refused_and_oap_is_not(self):
        good = s_client(self.quic, "oap/1")
        self.assertIn(b"CONNECTION ESTABLISHED", good.stdout, good)
        self.assertIn(b"QUICv1", good.stdout, good)
        failed = self.ron.metric("transport_handshakes_total", {"outcome": "failed"})
        bad = s_client(self.quic, "h3")
        self.assertNotEqual(bad.returncode, 0, bad)
        self.assertNotIn(b"CONNECTION ESTABLISHED", bad.stdout, bad)
        wait_until(lambda: self.ron.metric("quic_handshakes_unfinished") == 0)
        self.assertEqual(
            self.ron.metric("transport_handshakes_total", {"outcome": "failed"}), failed + 1)
        self.ronctl("ping")

    def test_another_certificate_is_refused(self):
        done = self.ronctl("ping", "--pin", "ab" * 32, expect=REFUSED)
        self.assertIn("certificate", done.stderr)

    def test_nobody_there(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            done = self.ronctl("ping", expect=UNAVAILABLE,
                               address="127.0.0.1:%d" % silent.getsockname()[1])
        self.assertIn("QUIC", done.stderr)

    def test_junk_does_no_harm(self):
        dice = random.Random(3)
        dropped = self.ron.metric("quic_dropped_total", {"reason": "junk"})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(500):
                s.sendto(dice.randbytes(dice.randrange(1, 1400)), self.ron.address("oap_quic"))
        wait_until(lambda: self.ron.metric("quic_dropped_total", {"reason": "junk"}) > dropped)
        self.ronctl("ping")


class BadWire(QuicCase):
    def wire(self, **weather):
        seed = random.SystemRandom().randrange(1 << 32)
        print("seed", seed)
        made = Wire(self.ron.address("oap_quic"), seed, **weather)
        self.addCleanup(made.close)
        return made

    def test_a_transfer_through_loss_and_damage(self):
        wire = self.wire(loss=0.02, twice=0.02, damage=0.02)
        self.round_trip(random.Random(4).randbytes(2_000_000), address=wire.address)

    def test_thirty_percent_loss(self):
        wire = self.wire(loss=0.3)
        body = random.Random(5).randbytes(100_000)
        source = self.path("source", body)
        # What loses every third datagram both ways may take longer than one client's patience: a few
        # in a row of the same probe, and each is waited for twice as long.
        for _ in range(20):
            try:
                put = self.json("put", source, address=wire.address)
                break
            except AssertionError as refused:
                self.assertRegex(str(refused), "QUIC|no progress in time")
        else:
            self.fail("not one of 20 clients came through")
        self.assertEqual(put[0]["cid"], support.b3(body))

    def test_the_address_changes_in_the_middle(self):
        wire = self.wire()
        body = random.Random(6).randbytes(20_000_000)
        mover = threading.Thread(target=lambda: (
            wait_until(lambda: wire.passed > 5_000_000), wire.moved.set()))
        mover.start()
        self.round_trip(body, address=wire.address)
        mover.join()


class Life(NodeTest):
    def test_off(self):
        node = self.node("[oap]\nquic-address = off\n")
        self.assertIsNone(node.ready["endpoints"]["oap_quic"])

    def test_post_quantum_key_exchange_can_be_required(self):
        node = self.node("", "--transport.pq=require")
        good = s_client(node.ready["endpoints"]["oap_quic"], "oap/1", "-groups", "X25519MLKEM768")
        self.assertIn(b"CONNECTION ESTABLISHED", good.stdout, good)
        hybrid = node.metric("transport_handshake_seconds_count", {"kex": "hybrid"})
        self.assertEqual(hybrid, 1)
        bad = s_client(node.ready["endpoints"]["oap_quic"], "oap/1", "-groups", "X25519")
        self.assertNotIn(b"CONNECTION ESTABLISHED", bad.stdout, bad)

    def test_a_taken_port_is_named(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            node = self.new_node("", "--oap.quic-address=127.0.0.1:%d" % s.getsockname()[1])
            with self.assertRaises(support.NodeFailed) as failed:
                node.start()
        self.assertEqual(failed.exception.code, support.EXIT_UNAVAILABLE)
        self.assertIn("oap.quic-address", node.stderr())

    def test_stops_in_good_order_while_a_client_waits(self):
        node = self.node(NO_RATES)
        client = subprocess.Popen(
            [program("ronctl"), "mb", "recv", "quiet", "--wait", "30", "--timeout", "40000",
             "--quic"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=support.clean_environment(
                {"RONCTL_NODE": node.ready["endpoints"]["oap_quic"],
                 "RONCTL_ADMIN": node.ready["endpoints"]["admin"]}))
        self.addCleanup(client.kill)
        wait_until(lambda: node.metric("oap_streams") == 1)
        client.kill()  # says nothing: the node learns of it by its own deadlines
        client.communicate()
        node.signal(signal.SIGTERM)
        self.assertIn(node.wait(), (support.EXIT_OK, support.EXIT_CUT_SHORT))


if __name__ == "__main__":
    support.main()
