"""Nodes that keep copies of each other's objects: what tests of replication share."""
import hashlib
import os
import random
import secrets
import socket
import ssl
import subprocess
import tempfile

from support import NO_RATES, NodeTest, wait_until

CONFIG = NO_RATES + """\
[node]
profile = {profile}
roles = ["omnigate", "index", "storage", "mailbox"]
[oap]
tls-address = 127.0.0.1:{port}
[transport]
cert = "{folder}/cert.pem"
key = "{folder}/key.pem"
[caps]
root-keys = "{folder}/root-key"
[storage]
quota = 1GiB
rf = {copies}
peers = [{peers}]
{trust}
repair-rate = {rate}
"""


def free_ports(n):
    """Ports that nobody listens at: the nodes have to know each other's before they start. Below
    those that the kernel hands out, so that nobody gets one of them by chance meanwhile."""
    ports = []
    while len(ports) < n:
        port = random.SystemRandom().randrange(15_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        if port not in ports:
            ports.append(port)
    return ports


class ReplicationCase(NodeTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=peers",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        self.folder + "/key.pem", "-out", self.folder + "/cert.pem"],
                       check=True, capture_output=True)
        with open(self.folder + "/root-key", "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(secrets.token_hex(32) + "\n")

    def pin(self):
        with open(self.folder + "/cert.pem", encoding="ascii") as file:
            return hashlib.sha256(ssl.PEM_cert_to_DER_cert(file.read())).hexdigest()

    def group(self, copies, n=3, rate="0MiB/s", profile="macronode", pin=None):
        """`n` nodes that know each other, by their roots or, if given, by a pin; not started."""
        ports = free_ports(n)
        nodes = []
        for port in ports:
            others = [p for p in ports if p != port]
            trust = f'peer-ca = "{self.folder}/cert.pem"'
            if pin:
                trust = "peer-pins = [" + ", ".join(f'"{pin}"' for _ in others) + "]"
            peers = ", ".join(f'"127.0.0.1:{p}"' for p in others)
            node = self.new_node(CONFIG.format(profile=profile, port=port, folder=self.folder,
                                               copies=copies, peers=peers, rate=rate, trust=trust))
            node.data = os.path.join(node.folder, "data")
            if profile == "macronode":
                node.arguments.append("--node.data-dir=" + node.data)
            nodes.append(node)
        return nodes

    def failures(self, node, reason):
        return node.metric("replication_failures_total", {"reason": reason})

    def put(self, node, body):
        answer = node.http("PUT", "/v1/o", body, token=node.operator_token(), timeout=30)
        self.assertIn(answer.status, (200, 201), answer)
        return answer.json()["cid"]

    def has(self, node, cid, body=None):
        """Without `body` nothing is read, so an object that is deleted meanwhile is there or not."""
        answer = node.http("HEAD" if body is None else "GET", "/v1/o/" + cid,
                           token=node.operator_token(), timeout=30)
        if answer.status == 404:
            return False
        self.assertEqual(answer.status, 200, answer)
        if body is not None:
            self.assertTrue(answer.body == body, "other bytes")
        return True

    def settled(self, node, seconds=30):
        wait_until(lambda: node.metric("replication_pending") == 0, seconds, "no pending copies")

    def bodies(self, n, seed):
        dice = random.Random(seed)
        return [dice.randbytes(dice.choice((0, 10, 70_000, 300_000, 2_000_000)) + i)
                for i in range(n)]
