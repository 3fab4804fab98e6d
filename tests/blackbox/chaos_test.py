"""Tests of the relay that makes networks bad (chaos*.py) and of its program scripts/chaos-proxy."""
# ctest: TIMEOUT 120
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

import chaos_fate
import chaos_udp
from chaos import Impairments, Relay
from support import main, source, wait_until

PROGRAM = [sys.executable, "-B", source("scripts", "chaos-proxy")]
BLOCK = bytes(range(256)) * 256  # 64 KiB


def received_exactly(sock, size):
    data = bytearray()
    while len(data) < size and (part := sock.recv(size - len(data))):
        data += part
    return bytes(data)


class TcpRelay(unittest.TestCase):
    """A client and the two ends that the relay joins: `self.join(...)` gives both."""

    def setUp(self):
        self.open = contextlib.ExitStack()
        self.addCleanup(self.open.close)
        self.server = self.open.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.server.settimeout(10)

    def relay(self, seed=1, **impairments):
        return self.open.enter_context(Relay(self.server.getsockname(), Impairments(**impairments), seed=seed))

    def join(self, relay):
        """(the client's end, the server's end) of a new connection through the relay."""
        near = self.open.enter_context(socket.create_connection(relay.address, 10))
        far, _ = self.server.accept()
        self.open.enter_context(far)
        for end in (near, far):
            end.settimeout(10)
        return near, far

    def send_up(self, relay, data):
        """What the server got of `data`, sent and ended by the client."""
        near, far = self.join(relay)
        sender = threading.Thread(target=lambda: (near.sendall(data), near.shutdown(socket.SHUT_WR)))
        sender.start()
        got = received_exactly(far, len(data) + 1)
        sender.join()
        return got

    def test_nothing_asked_nothing_done(self):
        relay = self.relay()
        near, far = self.join(relay)
        for one, other in ((near, far), (far, near)):
            sender = threading.Thread(target=one.sendall, args=(BLOCK * 64,))
            sender.start()
            self.assertEqual(received_exactly(other, len(BLOCK) * 64), BLOCK * 64)
            sender.join()
        near.shutdown(socket.SHUT_WR)
        self.assertEqual(far.recv(1), b"")
        far.sendall(b"still heard")
        far.close()
        self.assertEqual(received_exactly(near, 100), b"still heard")
        self.assertEqual(relay.tally["bytes_up"], len(BLOCK) * 64)
        self.assertEqual(relay.tally["connections"], 1)
        self.assertNotIn("resets", relay.tally)

    def test_delay_counts_in_both_directions(self):
        near, far = self.join(self.relay(delay=0.05))
        begun = time.monotonic()
        near.sendall(b"ask")
        far.sendall(far.recv(10))
        near.recv(10)
        self.assertGreaterEqual(time.monotonic() - begun, 0.1)

    def test_jitter_delays_and_keeps_the_order(self):
        relay = self.relay(jitter=0.02, direction="up")
        near, far = self.join(relay)
        begun, spread = time.monotonic(), []
        for number in range(20):
            near.sendall(b"%03d" % number)
            self.assertEqual(received_exactly(far, 3), b"%03d" % number)
            spread.append(time.monotonic() - begun)
            begun = time.monotonic()
        self.assertGreater(max(spread), 0.010)

    def test_a_lost_segment_holds_up_what_is_behind_it(self):
        relay = self.relay(loss=0.05, retransmit=0.02, direction="up")
        begun = time.monotonic()
        self.assertEqual(self.send_up(relay, BLOCK), BLOCK)
        self.assertGreater(relay.tally["lost"], 0)
        self.assertGreaterEqual(time.monotonic() - begun, 0.02)

    def test_corruption_turns_single_bits_and_repeats_with_its_seed(self):
        damaged = []
        for seed in (7, 7, 8):
            relay = self.relay(corrupt=0.1, direction="up", seed=seed)
            damaged.append(self.send_up(relay, BLOCK * 4))
            wrong = [a ^ b for a, b in zip(damaged[-1], BLOCK * 4, strict=True) if a != b]
            self.assertEqual(len(wrong), relay.tally["corrupted"])
            self.assertTrue(all(bits.bit_count() == 1 for bits in wrong))
            self.assertGreater(len(wrong), 0)
        self.assertEqual(damaged[0], damaged[1])
        self.assertNotEqual(damaged[0], damaged[2])

    def test_a_black_hole_only_holds(self):
        relay = self.relay()
        near, far = self.join(relay)
        near.sendall(b"before")
        self.assertEqual(received_exactly(far, 6), b"before")
        relay.blackhole(0.15)
        begun = time.monotonic()
        near.sendall(b"within")
        self.assertEqual(received_exactly(far, 6), b"within")
        self.assertGreaterEqual(time.monotonic() - begun, 0.14)

    def test_a_black_hole_comes_again(self):
        plan = chaos_fate.Direction(self.relay(blackhole=(5, 2, True)), 0, chaos_fate.UP)
        plan.start = 100
        for now, until in ((104.9, 0), (105.1, 107), (107.1, 0), (112.5, 114), (116, 0)):
            self.assertEqual(plan.swallowed_until(now), until, now)
        once = chaos_fate.Direction(self.relay(blackhole=(5, 2, False)), 0, chaos_fate.UP)
        once.start = 100
        self.assertEqual([once.swallowed_until(now) for now in (105, 112.5)], [107, 0])

    def test_reset_after_some_bytes_reaches_both_ends(self):
        relay = self.relay(reset_after=1000, direction="up")
        near, far = self.join(relay)
        near.sendall(bytes(1500))
        got = bytearray()
        with self.assertRaises(ConnectionResetError):
            while part := far.recv(4096):
                got += part
        self.assertLessEqual(len(got), 1000)
        with self.assertRaises(ConnectionError):
            while near.recv(4096):
                pass
            self.fail("an orderly end")
        self.assertEqual(relay.tally["resets"], 1)

    def test_reset_at_will(self):
        relay = self.relay()
        near, far = self.join(relay)
        near.sendall(b"x")
        far.recv(1)
        relay.reset()
        for end in (near, far):
            with self.assertRaises(ConnectionResetError):
                end.recv(1)

    def test_half_close_ends_one_direction(self):
        relay = self.relay(half_close_after=1000, direction="up")
        near, far = self.join(relay)
        near.sendall(bytes(1500))
        self.assertEqual(len(received_exactly(far, 1500)), 1000)
        far.sendall(b"answer")
        self.assertEqual(received_exactly(near, 6), b"answer")
        near.sendall(bytes(100))  # nobody hears it, nobody complains
        far.close()
        self.assertEqual(near.recv(1), b"")

    def test_throttle(self):
        begun = time.monotonic()
        self.assertEqual(len(self.send_up(self.relay(throttle=256 << 10), bytes(64 << 10))), 64 << 10)
        self.assertGreaterEqual(time.monotonic() - begun, 0.2)

    def test_a_full_queue_makes_the_sender_wait(self):
        relay = self.relay(queue=65536)
        near, _ = self.join(relay)
        near.sendall(b"x")
        relay.blackhole(60)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        near.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            for _ in range(1000):
                near.sendall(BLOCK)
        self.assertLessEqual(relay.tally["bytes_up"], 1)

    def test_only_the_first_connections_suffer(self):
        relay = self.relay(reset_after=0, first=1)
        near, _ = self.join(relay)
        near.sendall(b"x")
        with self.assertRaises(ConnectionError):
            near.recv(1)
            near.recv(1)
        self.assertEqual(self.send_up(relay, b"the second"), b"the second")

    def test_connections_are_bounded(self):
        with mock.patch.object(chaos_fate, "FLOWS_MAX", 1):
            relay = self.relay()
            self.join(relay)
            with self.assertRaises(ConnectionResetError): # as early as in connect()
                with socket.create_connection(relay.address, 10) as refused:
                    refused.recv(1)
        self.assertEqual(relay.tally["refused"], 1)

    def test_nobody_at_the_target(self):
        relay = self.relay()
        self.server.close()
        with self.assertRaises(ConnectionResetError): # as early as in connect()
            with socket.create_connection(relay.address, 10) as near:
                near.recv(1)


class UdpRelay(unittest.TestCase):
    def setUp(self):
        self.open = contextlib.ExitStack()
        self.addCleanup(self.open.close)
        self.server, self.client = self.udp(), self.udp()

    def udp(self):
        sock = self.open.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        return sock

    def relay(self, seed=1, **impairments):
        return self.open.enter_context(Relay(self.server.getsockname(), Impairments(**impairments),
                                             udp=True, seed=seed))

    def send(self, relay, count, size=4):
        for number in range(count):
            self.client.sendto(number.to_bytes(4) + bytes(size - 4), relay.address)

    def arrive(self, relay, sent):
        """The numbers that came, once the relay has dealt with all of `sent`."""
        tally = relay.tally
        wait_until(lambda: tally["bytes_up"] // 4 + tally["lost"] - tally["duplicated"] == sent)
        return [int.from_bytes(self.server.recv(100)) for _ in range(tally["bytes_up"] // 4)]

    def test_nothing_asked_nothing_done(self):
        relay = self.relay()
        self.send(relay, 200)
        self.assertEqual(self.arrive(relay, 200), list(range(200)))
        self.client.sendto(b"where am I", relay.address)
        _, address = self.server.recvfrom(100)
        for answer in (b"a", b"", b"c" * 60000):
            self.server.sendto(answer, address)
            self.assertEqual(self.client.recv(65536), answer)

    def test_loss_repeats_with_its_seed(self):
        came = []
        for seed in (3, 3, 4):
            relay = self.relay(loss=0.3, seed=seed)
            self.send(relay, 200)
            came.append(self.arrive(relay, 200))
            self.assertEqual(len(came[-1]), 200 - relay.tally["lost"])
        self.assertEqual(came[0], came[1])
        self.assertNotEqual(came[0], came[2])
        self.assertTrue(100 < len(came[0]) < 180, len(came[0]))

    def test_duplicate(self):
        relay = self.relay(duplicate=0.5)
        self.send(relay, 100)
        came = self.arrive(relay, 100)
        self.assertEqual(sorted(set(came)), list(range(100)))
        self.assertEqual(len(came), 100 + relay.tally["duplicated"])
        self.assertGreater(relay.tally["duplicated"], 0)

    def test_reorder_loses_nothing(self):
        relay = self.relay(reorder=0.1, reorder_by=0.05)
        self.send(relay, 100)
        came = self.arrive(relay, 100)
        self.assertNotEqual(came, list(range(100)))
        self.assertEqual(sorted(came), list(range(100)))
        self.assertGreater(relay.tally["reordered"], 0)

    def test_corrupt_turns_one_bit(self):
        relay = self.relay(corrupt=1)
        self.client.sendto(b"text", relay.address)
        wrong = [a ^ b for a, b in zip(self.server.recv(100), b"text", strict=True)]
        self.assertEqual(sum(bits.bit_count() for bits in wrong), 1)

    def test_delay_and_jitter(self):
        relay = self.relay(delay=0.05, jitter=0.02, direction="up")
        begun = time.monotonic()
        self.send(relay, 50)
        self.assertEqual(self.arrive(relay, 50), list(range(50)))
        self.assertGreaterEqual(time.monotonic() - begun, 0.05)

    def test_a_black_hole_swallows(self):
        relay = self.relay()
        relay.blackhole(60)
        self.send(relay, 10)
        wait_until(lambda: relay.tally["swallowed"] == 10)
        relay.blackhole(0)
        self.send(relay, 3)
        self.assertEqual(self.arrive(relay, 3), [0, 1, 2])

    def test_throttle_and_its_queue(self):
        relay = self.relay(throttle=1 << 20, queue=65536, direction="up")
        begun = time.monotonic()
        self.send(relay, 200, 1024)  # 64 of them fit
        wait_until(lambda: relay.tally["bytes_up"] // 1024 + relay.tally["overflowed"] == 200)
        self.assertGreaterEqual(time.monotonic() - begun, 0.05)
        self.assertGreater(relay.tally["overflowed"], 50)
        self.assertGreaterEqual(relay.tally["bytes_up"], 65536)

    def test_rebinding_changes_the_port_that_the_target_sees(self):
        relay = self.relay()
        self.client.sendto(b"one", relay.address)
        _, before = self.server.recvfrom(100)
        relay.rebind()
        self.client.sendto(b"two", relay.address)
        _, after = self.server.recvfrom(100)
        self.assertNotEqual(before, after)
        self.server.sendto(b"back", after)
        self.assertEqual(self.client.recv(100), b"back")
        relay.impairments.rebind = 0.000001
        self.client.sendto(b"three", relay.address)
        self.assertNotIn(self.server.recvfrom(100)[1], (before, after))
        self.assertEqual(relay.tally["rebound"], 2)

    def test_clients_are_bounded_and_forgotten(self):
        with mock.patch.object(chaos_fate, "FLOWS_MAX", 1):
            relay = self.relay()
            self.client.sendto(b"one", relay.address)
            self.server.recv(100)
            other = self.udp()
            other.sendto(b"two", relay.address)
            wait_until(lambda: relay.tally["refused"] == 1)
            with mock.patch.object(chaos_udp, "IDLE_SECONDS", 0):
                other.sendto(b"three", relay.address)
                self.assertEqual(self.server.recv(100), b"three")


class Program(unittest.TestCase):
    def start(self, *arguments):
        process = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        ready = json.loads(process.stdout.readline())
        host, _, port = ready["listen"].rpartition(":")
        return process, ready, (host, int(port))

    def run_it(self, *arguments):
        return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=30)

    def test_ends_by_itself_and_says_what_it_did(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            target = "127.0.0.1:%d" % server.getsockname()[1]
            process, ready, address = self.start("--target", target, "--for", "700ms", "--seed", "42",
                                                 "--delay", "1ms", "--throttle", "1MiB/s")
            self.assertEqual(ready | {"listen": ""}, {"ready": True, "listen": "", "target": target,
                                                      "protocol": "tcp", "seed": 42})
            with socket.create_connection(address, 10) as near:
                near.sendall(b"hello")
                far, _ = server.accept()
                with far:
                    self.assertEqual(received_exactly(far, 5), b"hello")
                    said = json.loads(process.stdout.readline())
        self.assertEqual(process.wait(10), 0)
        self.assertEqual((said["ended"], said["seed"], said["bytes_up"]), (True, 42, 5))

    def test_ends_when_told_and_prints_the_seed_it_chose(self):
        process, ready, _ = self.start("--target", "127.0.0.1:9", "--udp", "--loss", "2%")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(json.loads(process.stdout.readline()), {"ended": True, "seed": ready["seed"]})
        self.assertEqual(process.wait(10), 0)

    def test_help_begins_with_examples(self):
        said = self.run_it("--help").stdout
        self.assertLess(said.index("scripts/chaos-proxy --target"), said.index("--listen HOST:PORT"))

    def test_says_what_is_wrong(self):
        for arguments, why in ((["--loss", "200%"], "--loss: a share is between"),
                               (["--duplicate", "1%"], "use --udp"),
                               (["--udp", "--reset-after", "1KiB"], "leave out --udp"),
                               (["--delay", "5 parsecs"], "expected a duration"),
                               (["--blackhole", "5s"], "5s/2s"),
                               (["--listen", "nowhere"], "expected HOST:PORT")):
            done = self.run_it("--target", "127.0.0.1:9", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(why, done.stderr)

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = self.run_it("--target", "127.0.0.1:9", "--listen", "127.0.0.1:%d" % taken.getsockname()[1])
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot listen", done.stderr)


if __name__ == "__main__":
    main()
