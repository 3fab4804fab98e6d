"""`oap.answer-rate-min`: who takes a byte now and then is ended, over TLS and over QUIC; who reads slowly, but fast
enough, is not, and nobody is where it is off."""
# ctest: TIMEOUT 120 LABELS blackbox
import concurrent.futures
import json
import socket
import time

import oap
import support
from support import NO_RATES, NodeTest, wait_until

WINDOW = 10          # seconds over which the rate is looked at
SLOW_TLS = 6 << 10   # less than half of what is asked: the kernel's buffers are small, nothing hides it
SLOW_QUIC = 3 << 10  # the client's first window is paid for at the rate that is asked, and takes 20 s of the LONG
FAST = 40 << 10
BARELY = 17 << 10    # the window of a QUIC client opens in steps of 256 KiB, which this one takes 15 s for
LONG = 3 * WINDOW + 8  # seconds in which a slow reader is found out, whatever buffers and windows took at first
BYTES = 8_000_000    # of the answer: no buffer takes them all
RATE_ALONE = "--transport.write-timeout=2min"


def read_tls(node, cid, rate):
    """Takes `rate` bytes a second of an object. What is in buffers comes even when the node has ended it."""
    plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    plain.settimeout(5)
    plain.connect(node.address("oap_tls"))
    with oap.tls_context().wrap_socket(plain) as sock:
        sock.sendall(oap.hello(ack_window=1024) + oap.start(1, "o.get", {"cid": cid}, window=1024))
        began, taken = time.monotonic(), 0
        while (passed := time.monotonic() - began) < LONG and ended(node) == 0:
            if taken > passed * rate:  # this reader is slow
                wait_until(lambda: taken <= (time.monotonic() - began) * rate, LONG)  # pylint: disable=cell-var-from-loop
            taken += len(sock.recv(1024))
    return taken


def read_quic(node, cid, rate):
    done = support.run("quic_probe", "--target=" + node.ready["endpoints"]["oap_quic"],
                       "--pin=" + node.ready["cert_sha256"], "--operation=o.get", "--args=" + json.dumps({"cid": cid}),
                       f"--rate={rate}", f"--timeout-ms={LONG * 1000}", timeout=LONG + 20)
    said = json.loads(done.stdout)
    assert not said["ok"], said  # it cannot have got all of it
    return said["bytes"]


def ended(node):
    return node.metric("oap_connections_ended_total", {"ending": "timeout"})


class Readers(NodeTest):
    def test_only_the_slow_ones_are_ended(self):
        readers = []
        with concurrent.futures.ThreadPoolExecutor(7) as pool:
            def begin(read, rate, words, expected):
                node = self.node(NO_RATES, *words)
                cid = node.http("PUT", "/v1/o", bytes(BYTES), token=node.operator_token()).json()["cid"]
                readers.append((read.__name__, rate, words, expected, node, pool.submit(read, node, cid, rate)))

            for read, slow in ((read_tls, SLOW_TLS), (read_quic, SLOW_QUIC)):
                for rate, words, expected in ((slow, (RATE_ALONE,), 1), (FAST, (RATE_ALONE,), 0),
                                              (slow, (RATE_ALONE, "--oap.answer-rate-min=0"), 0)):
                    begin(read, rate, words, expected)
            begin(read_quic, BARELY, (), 0)
            for wire, rate, words, expected, node, job in readers:
                with self.subTest(wire=wire, rate=rate, words=words):
                    self.assertGreater(job.result(), rate * WINDOW / 2)
                    self.assertEqual(ended(node), expected)


if __name__ == "__main__":
    support.main()
