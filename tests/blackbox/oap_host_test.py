"""What a node does around OAP/1: handshakes in turns, metrics, reject lines, readiness."""
# ctest: TIMEOUT 180 LABELS blackbox
import signal
import socket
import ssl

import oap
import support
from support import NodeTest, wait_until


class Handshakes(NodeTest):
    def greeting(self, context):
        """A TLS client that has not spoken yet, and its first flight."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        return tls, incoming, outgoing, outgoing.read()

    def test_a_storm_takes_turns(self):
        """First flights that arrive together are not computed together."""
        count = 60
        node = self.node("[node]\nshards = 1\n[transport]\naccept-permits = 1\n")
        context = oap.tls_context()
        clients = [self.greeting(context) for _ in range(count)]
        node.signal(signal.SIGSTOP)
        sockets = []
        for _, _, _, first in clients:
            sockets.append(socket.create_connection(node.address("oap_tls"), 20))
            self.addCleanup(sockets[-1].close)
            sockets[-1].sendall(first)
        node.signal(signal.SIGCONT)
        for (tls, incoming, outgoing, _), sock in zip(clients, sockets):
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    incoming.write(sock.recv(65536))
            sock.sendall(outgoing.read())
        wait_until(lambda: node.metric("transport_handshakes_total", {"outcome": "full"}) == count,
                   what="all handshakes")
        self.assertGreater(node.metric("transport_handshakes_deferred_total"), count / 4)
        self.assertEqual(node.metric("transport_handshakes_waiting"), 0)
        self.assertEqual(node.metric("transport_handshake_seconds_count"), count)

    def test_outcomes(self):
        node = self.node("[transport]\nhandshake-timeout = 200ms\n")
        def outcome(name):
            return node.metric("transport_handshakes_total", {"outcome": name})
        with socket.create_connection(node.address("oap_tls"), 10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while sock.recv(4096):
                pass
        wait_until(lambda: outcome("failed") == 1, what="a failed handshake")
        with socket.create_connection(node.address("oap_tls"), 10) as sock:
            self.assertEqual(sock.recv(1), b"")
        wait_until(lambda: outcome("timeout") == 1, what="a handshake at its deadline")


if __name__ == "__main__":
    support.main()
