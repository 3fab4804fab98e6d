"""What the interoperability tests of QUIC ask for, on real programs: Retry, amplification, handshakes that never end,
resumption, versions, black holes, loss, damage, reordering, rebinding, key updates and segmentation offload."""
# ctest: TIMEOUT 240 LABELS blackbox
import contextlib
import json
import os
import random
import socket
import subprocess
import tempfile

import support
from chaos import Impairments, Relay
from support import NO_RATES, NodeTest, program, wait_until

OK = 0
RETRY_FROM = 64     # handshakes under way on a shard, from which on it asks for proof of the address
AMPLIFICATION = 3   # RFC 9000, 8.1
TIMEOUT_SECONDS = 3
STRANGERS = "[transport]\nper-peer-max = 4096\nhandshake-timeout = %ds\n" % TIMEOUT_SECONDS


def first_packets(count):
    """So many first datagrams of clients that go no further: OpenSSL says them, nobody answers."""
    out = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(20)
        for _ in range(count):
            client = subprocess.Popen(
                ["openssl", "s_client", "-quic", "-alpn", "oap/1", "-connect", "127.0.0.1:%d" % silent.getsockname()[1]],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                known = {datagram[6:14] for datagram in out}
                datagram = silent.recv(65536)
                while datagram[6:14] in known:  # one that an earlier client said again
                    datagram = silent.recv(65536)
                out.append(datagram)
            finally:
                client.kill()
                client.communicate()
    return out


class InteropCase(NodeTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def ronctl(self, node, *words, address=None, timeout=90):
        done = subprocess.run(
            [program("ronctl"), *words, "--quic"], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            timeout=timeout, env=support.clean_environment(
                {"RONCTL_NODE": address or node.ready["endpoints"]["oap_quic"],
                 "RONCTL_ADMIN": node.ready["endpoints"]["admin"]}))
        self.assertEqual(done.returncode, OK, done)
        return done.stdout

    def write(self, name, body):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(body)
        return path

    def relay(self, node, **impairments):
        made = Relay(node.address("oap_quic"), Impairments(**impairments), udp=True)
        print("seed", made.seed)
        made.start()
        self.addCleanup(made.close)
        return made

    def round_trip(self, node, body, relay):
        """There and back through the relay."""
        address = "127.0.0.1:%d" % relay.address[1]
        words = ("--timeout", "30000")
        self.ronctl(node, "put", self.write("source", body), *words, address=address)
        self.ronctl(node, "get", support.b3(body), "-o", "copy", *words, address=address)
        with open(os.path.join(self.folder, "copy"), "rb") as copy:
            self.assertTrue(copy.read() == body)


class Handshakes(InteropCase):
    def retries(self, node):
        return node.metric("quic_stateless_answers_total", {"kind": "retry"})

    def test_many_that_never_end(self):
        """They cost peers with an address nothing but a Retry, are told little, and end at their deadline."""
        packets = first_packets(RETRY_FROM + 4)
        node = self.node(NO_RATES + STRANGERS, "--node.shards=1")
        with contextlib.ExitStack() as strangers:
            said, heard = 0, 0
            sockets = []
            for packet in packets:
                s = strangers.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                s.connect(node.address("oap_quic"))
                s.send(packet)
                said += len(packet)
                sockets.append(s)
            wait_until(lambda: self.retries(node) >= 1)
            self.assertEqual(node.metric("quic_handshakes_unfinished"), RETRY_FROM)
            before = self.retries(node)
            self.ronctl(node, "ping")
            self.assertEqual(self.retries(node), before + 1)
            wait_until(lambda: node.metric("quic_handshakes_unfinished") == 0)
            self.assertEqual(node.metric("transport_handshakes_total", {"outcome": "timeout"}), RETRY_FROM)
            for s in sockets:  # all that the node will ever say to them
                s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        heard += len(s.recv(65536))
            self.assertGreater(heard, 0)
            self.assertLessEqual(heard, AMPLIFICATION * said)
        before = self.retries(node)
        self.ronctl(node, "ping")
        self.assertEqual(self.retries(node), before)

    def test_the_connections_of_one_client_are_resumed(self):
        node = self.node(NO_RATES)
        for i in range(4):
            self.write("tree/%d" % i, b"x" * (i + 1))
        self.ronctl(node, "put", "tree", "--publish", "interop/tree")
        self.ronctl(node, "get", "interop/tree", "--tree", "-o", "copy")
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "copy"))), ["0", "1", "2", "3"])
        self.assertGreaterEqual(node.metric("transport_handshakes_total", {"outcome": "resumed"}), 1)

    def s_client(self, node, *words):
        """Lives until the ticket is there."""
        ticket = os.path.join(self.folder, "ticket")
        client = subprocess.Popen(
            ["openssl", "s_client", "-quic", "-alpn", "oap/1", "-connect", node.ready["endpoints"]["oap_quic"],
             "-sess_out", ticket, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: os.path.exists(ticket) and os.path.getsize(ticket) > 0)
        finally:
            said = client.communicate(b"", timeout=30)[0]
        return ticket, said

    def test_a_ticket_resumes_and_allows_no_early_data(self):
        node = self.node(NO_RATES)
        ticket, said = self.s_client(node)
        self.assertIn(b"New, TLSv1.3", said)
        text = subprocess.run(["openssl", "sess_id", "-in", ticket, "-noout", "-text"], check=True,
                              stdout=subprocess.PIPE).stdout
        self.assertIn(b"Max Early Data: 0\n", text)
        kept = os.path.join(self.folder, "kept")
        os.rename(ticket, kept)
        said = self.s_client(node, "-sess_in", kept)[1]
        self.assertIn(b"Reused, TLSv1.3", said)


    def test_an_unknown_version_is_told_which_ones_there_are(self):
        node = self.node(NO_RATES)
        dcid, scid = bytes(range(8)), bytes(range(100, 112))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(node.address("oap_quic"))
            s.settimeout(10)
            first = b"\xc0" + b"\x5a\x6a\x7a\x8a" + bytes((len(dcid),)) + dcid + bytes((len(scid),)) + scid
            s.send(first.ljust(1199, b"\0"))  # too short to be answered (RFC 9000, 14.1)
            s.send(first.ljust(1200, b"\0"))
            said = s.recv(65536)
        self.assertTrue(said[0] & 0x80)
        self.assertEqual(said[1:5], bytes(4))
        at = 6 + len(scid)
        self.assertEqual((said[5], said[6:at]), (len(scid), scid))
        self.assertEqual((said[at], said[at + 1:at + 1 + len(dcid)]), (len(dcid), dcid))
        versions = said[at + 1 + len(dcid):]
        self.assertIn(b"\0\0\0\1", [versions[i:i + 4] for i in range(0, len(versions), 4)])
        self.assertEqual(node.metric("quic_stateless_answers_total", {"kind": "version"}), 1)
        self.ronctl(node, "ping")


class BadNetworks(InteropCase):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)

    def test_black_holes_of_two_seconds_every_five(self):
        relay = self.relay(self.ron, throttle=600_000, blackhole=(5, 2, True))
        self.round_trip(self.ron, random.Random(1).randbytes(5_000_000), relay)
        self.assertGreater(relay.tally["swallowed"], 0, relay.tally)

    def test_two_percent_loss_and_damage_far_away(self):
        relay = self.relay(self.ron, delay=0.03, jitter=0.01, loss=0.02, corrupt=0.02)
        self.round_trip(self.ron, random.Random(2).randbytes(1_000_000), relay)
        self.assertGreater(relay.tally["lost"], 0, relay.tally)

    def test_reordering_and_doubles(self):
        relay = self.relay(self.ron, delay=0.005, reorder=0.2, duplicate=0.1)
        self.round_trip(self.ron, random.Random(3).randbytes(1_000_000), relay)
        self.assertGreater(relay.tally["reordered"], 0, relay.tally)

    def test_keys_change_in_the_middle_when_the_client_wants_it(self):
        cid = self.stored(random.Random(5).randbytes(3_000_000))
        relay = self.relay(self.ron, delay=0.005, loss=0.01, reorder=0.05, throttle=1_500_000)
        before = self.ron.metric("quic_key_updates_total")
        done = support.run("quic_probe", "--target=127.0.0.1:%d" % relay.address[1], "--operation=o.get",
                           "--args=" + json.dumps({"cid": cid}), "--pin=" + self.ron.ready["cert_sha256"],
                           "--key-bytes=4000", "--timeout-ms=60000", timeout=90)
        said = json.loads(done.stdout)
        self.assertTrue(said["ok"], said)
        self.assertGreater(said["bytes"], 3_000_000)
        self.assertGreaterEqual(said["key_updates"], 2, said)
        wait_until(lambda: self.ron.metric("quic_key_updates_total") >= before + 2)

    def test_keys_change_in_the_middle_when_the_server_wants_it(self):
        server = subprocess.Popen([program("quic_echo_server"), "--key-bytes=200000"], stdout=subprocess.PIPE,
                                  env=support.clean_environment(), text=True)
        self.addCleanup(server.communicate)
        self.addCleanup(server.terminate)
        ready = json.loads(server.stdout.readline())
        host, port = ready["listen"].rsplit(":", 1)
        with Relay((host, int(port)), Impairments(delay=0.005, loss=0.01, reorder=0.05, throttle=1_500_000),
                   udp=True) as relay:
            print("seed", relay.seed)
            done = support.run("quic_probe", "--target=127.0.0.1:%d" % relay.address[1], "--operation=source",
                               "--args=" + json.dumps({"bytes": 3_000_000}), "--pin=" + ready["cert_sha256"],
                               "--timeout-ms=60000", timeout=90)
        said = json.loads(done.stdout)
        self.assertTrue(said["ok"], said)
        self.assertEqual(said["bytes"], 3_000_000)
        self.assertGreaterEqual(said["key_updates"], 2, said)

    def test_datagrams_of_a_bulk_transfer_leave_many_at_a_time(self):
        """UDP_SEGMENT: what one system call sends is cut by the kernel."""
        body = random.Random(6).randbytes(20_000_000)
        cid = self.stored(body)

        def sent():
            return (self.ron.metric("quic_datagrams_total", {"direction": "out"}), self.ron.metric("quic_sends_total"))
        datagrams, calls = sent()
        self.ronctl(self.ron, "get", cid, "-o", "bulk")
        datagrams, calls = (after - before for after, before in zip(sent(), (datagrams, calls)))
        self.assertGreater(datagrams, len(body) / 9_000)
        self.assertGreater(datagrams / calls, 3, (datagrams, calls))

    def stored(self, body):
        return self.ron.http("PUT", "/v1/o", body, token=self.ron.operator_token()).json()["cid"]

    def test_the_port_changes_again_and_again(self):
        relay = self.relay(self.ron, throttle=2_000_000, rebind=0.5)
        self.round_trip(self.ron, random.Random(4).randbytes(3_000_000), relay)
        self.assertGreater(relay.tally["rebound"], 0, relay.tally)


if __name__ == "__main__":
    support.main()
