"""A node, ronctl and real tor daemons: an onion service in a private Tor network on loopback."""
# ctest: TIMEOUT 400 LABELS full
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest

import tor_net
from support import NodeTest, main, run, source, wait_until

EXIT_UNAVAILABLE = 5  # of ronctl


class Network(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.net = tor_net.TorNet()
        cls.addClassCleanup(cls.net.close)
        cls.net.start()

    def ronctl(self, *arguments):
        return run("ronctl", *arguments, "--node", self.onion, "--socks", "%s:%d" % self.net.socks, timeout=120)

    def published(self, node):
        wait_until(lambda: node.get("/readyz").status == 200, 150, "the onion service")
        return node.get("/admin/tor", endpoint="admin").json()["address"]

    def test_put_get_die_recover(self):
        node = self.node('[tor]\nonion = true\ncontrol = "%s:%d"\n' % self.net.control)
        self.onion = self.published(node)
        self.assertRegex(self.onion, r"\A[a-z2-7]{56}\.onion:9443\Z")
        with tempfile.TemporaryDirectory() as folder:
            def path(name, content):
                with open(os.path.join(folder, name), "wb") as file:
                    file.write(content)
                return file.name
            content = os.urandom(1_000_000)
            cap = path("cap", node.operator_token().encode())
            put = self.ronctl("put", path("in", content), "--cap", cap)
            self.assertEqual(put.returncode, 0, put.stderr)
            cid, out = put.stdout.split()[0], path("out", b"")
            got = self.ronctl("get", cid, "-o", out)
            self.assertEqual(got.returncode, 0, got.stderr)
            with open(out, "rb") as file:
                self.assertEqual(file.read(), content)

            self.net.kill_client()
            wait_until(lambda: node.get("/readyz").status == 503, 10, "readiness to notice")
            self.assertEqual(node.metric("tor_hs_published"), 0)
            self.assertEqual(node.metric("tor_bootstrap_progress"), 0)
            gone = self.ronctl("get", cid, "-o", out)
            self.assertEqual(gone.returncode, EXIT_UNAVAILABLE)
            self.assertIn("TorUnavailable (no_daemon)", gone.stderr)

            self.net.start_client()
            self.assertEqual(self.published(node), self.onion, "the key outlives the daemon")
            got = wait_until(lambda: (done := self.ronctl("get", cid, "-o", out)).returncode == 0 and done, 60)
            self.assertEqual(got.returncode, 0)
        node.stop()

    def test_addresses_that_do_not_exist(self):
        self.onion = "a" * 56 + ".onion:9443"
        done = self.ronctl("ping")
        self.assertEqual(done.returncode, EXIT_UNAVAILABLE)
        self.assertIn("TorUnavailable (onion_bad_address)", done.stderr)


class Program(unittest.TestCase):
    def test_starts_a_network_and_cleans_up(self):
        done = subprocess.run([sys.executable, "-B", source("scripts", "tor-private-net"), "--for", "100ms"],
                              capture_output=True, text=True, timeout=tor_net.START_SECONDS)
        self.assertEqual(done.returncode, 0, done.stderr)
        ready = json.loads(done.stdout)
        self.assertEqual(set(ready), {"ready", "socks", "control", "folder"})
        self.assertFalse(os.path.exists(ready["folder"]))
        for endpoint in ("socks", "control"):
            host, _, port = ready[endpoint].rpartition(":")
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), 5)


if __name__ == "__main__":
    main()
