"""The limits of the listeners: descriptors, strangers, one peer."""
# ctest: TIMEOUT 120 LABELS blackbox
import os
import socket
import time

import support
from support import NodeTest, program, wait_until


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def closed(connection, seconds=5):
    """True if the node has closed it."""
    connection.settimeout(seconds)
    try:
        return connection.recv(4096) == b""
    except ConnectionError:
        return True


def answers(node):
    try:
        return node.get("/healthz").status == 200
    except OSError:
        return False


class LimitsTest(NodeTest):
    def silent(self, node, endpoint="http"):
        """A connection that says nothing."""
        connection = socket.create_connection(node.address(endpoint), 5)
        self.addCleanup(connection.close)
        return connection


class Descriptors(LimitsTest):
    def test_running_out_of_them(self):
        command = ["/bin/sh", "-c", 'ulimit -n 128; exec "$0" "$@"', program("ron-node")]
        node = self.node(command=command)
        refused = lambda: node.metric("transport_refused_total", {"reason": "descriptors"})
        held = []
        for _ in range(200):
            held.append(self.silent(node))
        wait_until(lambda: refused() > 0, what="a refusal")
        self.assertTrue(closed(held[-1]), "who comes too late is told at once")
        self.assertEqual(node.get("/healthz", endpoint="admin").status, 200)
        before, began = cpu_seconds(node.process.pid), time.monotonic()
        wait_until(lambda: time.monotonic() - began > 1, what="a second of watching")
        self.assertLess(cpu_seconds(node.process.pid) - before, 0.2, "it does not spin")
        for one in held:
            one.close()
        wait_until(lambda: answers(node), 2, "recovery")
        node.stop()


class Strangers(LimitsTest):
    def test_budget_of_those_that_said_nothing(self):
        node = self.node("[transport]\ntransient-max = 2\nhandshake-timeout = 60s\n"
                         "[http]\nheader-timeout = 60s\n")
        known = node.connection()
        self.addCleanup(known.close)
        known.request("GET", "/healthz")
        self.assertEqual(known.getresponse().read() != b"", True)
        held = [self.silent(node), self.silent(node, "oap_tls")]
        wait_until(lambda: node.metric("transport_accepted_total", {"listener": "oap_tls"}) == 1)
        third = self.silent(node)
        self.assertTrue(closed(third))
        self.assertEqual(node.metric("transport_refused_total", {"reason": "transient"}), 1)
        known.request("GET", "/healthz")
        self.assertEqual(known.getresponse().status, 200, "who has asked before is none of them")
        held.pop().close()
        wait_until(lambda: answers(node), what="a free place")

    def test_one_peer(self):
        node = self.node("[transport]\nper-peer-max = 3\n")
        held = [self.silent(node) for _ in range(3)]
        wait_until(lambda: node.metric("transport_accepted_total", {"listener": "http"}) >= 3)
        self.assertTrue(closed(self.silent(node)))
        self.assertEqual(node.metric("transport_refused_total", {"reason": "per_peer"}), 1)
        self.assertEqual(node.get("/healthz", endpoint="admin").status, 200)
        held.pop().close()
        wait_until(lambda: answers(node), what="a free place")


class SlowPeers(LimitsTest):
    def test_half_a_handshake_ends_at_its_deadline(self):
        node = self.node("[transport]\nhandshake-timeout = 500ms\n")
        held = [self.silent(node, "oap_tls") for _ in range(20)]
        for one in held:
            self.assertTrue(closed(one, 5))
        wait_until(lambda: node.metric("transport_handshakes_total", {"outcome": "timeout"}) == 20)


if __name__ == "__main__":
    support.main()
