"""The programs of bench/load, briefly: they do what they say, and say so when something is wrong."""
# ctest: TIMEOUT 180 LABELS blackbox
import contextlib
import json
import os
import signal
import subprocess
import sys

import support
from fake_tor import SERVICE, FakeTor
from support import NodeTest, clean_environment, main, program, source

SHORT = ["--seconds=1", "--warmup-ms=0"]


class Rig(NodeTest):
    def server(self, name, *arguments):
        """A server and what its first line says; it is ended with the test."""
        process = subprocess.Popen([program(name), *arguments], stdout=subprocess.PIPE, text=True,
                                   env=clean_environment(), preexec_fn=support.die_with_us)

        def end():
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=20)
            self.assertEqual(process.returncode, 0)
            self.assertGreater(json.loads(out.splitlines()[-1])["cpu_seconds"], 0)
        self.addCleanup(end)
        return json.loads(process.stdout.readline())

    def load(self, name, *arguments, expect=0):
        done = support.run(name, *arguments, *SHORT, timeout=60)
        self.assertEqual(done.returncode, expect, done)
        result = json.loads(done.stdout)
        if expect == 0:
            self.assertGreater(result["operations"], 0, done)
            self.assertLessEqual(result["p50_us"], result["p99_us"])
        return result


class Tls(Rig):
    def client(self, ready, *arguments, **options):
        return self.load("tls_echo_client", f"--target={ready['listen']}", f"--pin={ready['cert_sha256']}",
                         *arguments, **options)

    def test_every_mode(self):
        ready = self.server("tls_echo_server")
        for mode, payload in (("echo", 1024), ("stream", 1 << 20), ("handshake", 1), ("hello", 1), ("visit", 1024)):
            with self.subTest(mode):
                result = self.client(ready, f"--mode={mode}", "--conns=2", f"--payload={payload}")
                self.assertEqual(result["errors"], 0)
        paced = self.client(ready, "--rps=500", "--conns=4", "--streams=2", "--payload=4096")
        self.assertAlmostEqual(paced["operations"], 500, delta=150)

    def test_visits_resume_when_told_to(self):
        ready = self.server("tls_echo_server")
        for resume in (0, 1):
            result = self.client(ready, "--mode=visit", "--payload=16384", f"--resume={resume}")
            self.assertEqual(result["bytes_in"], 16384 * result["operations"])
            if resume:
                self.assertGreaterEqual(result["resumed"], result["operations"] - 1)
            else:
                self.assertEqual(result["resumed"], 0)

    def test_an_object_of_a_node(self):
        node = self.node(support.NO_RATES)
        content = os.urandom(3_000_000)
        cid = node.http("PUT", "/v1/o", content, token=node.operator_token()).json()["cid"]
        path = os.path.join(node.folder, "content")
        with open(path, "wb") as file:
            file.write(content)
        ready = {"listen": node.ready["endpoints"]["oap_tls"], "cert_sha256": node.ready["cert_sha256"]}
        stream = ["--mode=stream", f"--object={cid}", f"--payload={len(content)}"]
        self.assertEqual(self.client(ready, *stream, f"--verify={path}")["errors"], 0)
        with open(path, "r+b") as file:
            file.write(bytes((content[0] ^ 1,)))
        wrong = self.client(ready, *stream, f"--verify={path}", expect=1)
        self.assertIn("other bytes than expected", wrong["last_error"])


class Tor(Rig):
    def setUp(self):
        super().setUp()
        self.tor = FakeTor()
        self.addCleanup(self.tor.close)

    def test_publishes_and_is_reached(self):
        ready = self.server("tor_echo_server", "--hs=127.0.0.1:0", "--control=%s:%d" % self.tor.control)
        self.assertEqual(ready["onion"], f"{SERVICE}.onion:443")
        where = [f"--onion={ready['onion']}", "--socks=%s:%d" % self.tor.socks]
        for mode, payload in (("hello", 1), ("visit", 1024), ("echo", 1024), ("stream", 1 << 20)):
            with self.subTest(mode):
                result = self.load("tor_echo_client", *where, f"--mode={mode}", "--conns=2", "--streams=2",
                                   f"--payload={payload}")
                self.assertEqual(result["errors"], 0)
        self.assertEqual({(user, host, port) for user, host, port in self.tor.dialled},
                         {("load", f"{SERVICE}.onion", 443)})

    def test_a_raw_peer_is_compared(self):
        with contextlib.ExitStack() as life:
            echo = life.enter_context(bare_echo())
            self.tor.target = echo
            where = [f"--onion={SERVICE}.onion:1", "--socks=%s:%d" % self.tor.socks, "--mode=hello"]
            self.assertEqual(self.load("tor_echo_client", *where, "--raw=1")["errors"], 0)

    def test_what_the_daemon_says_is_passed_on(self):
        self.tor.socks_reply = 0xF0
        done = self.load("tor_echo_client", f"--onion={SERVICE}.onion:1", "--socks=%s:%d" % self.tor.socks,
                         expect=1)
        self.assertIn("TorUnavailable (onion_not_found)", done["last_error"])
        self.assertEqual(done["errors"], 1)


@contextlib.contextmanager
def bare_echo():
    """A bare echo service in a process of its own; its address."""
    code = ("import socketserver\n"
            "class Echo(socketserver.BaseRequestHandler):\n"
            "    def handle(self):\n"
            "        while data := self.request.recv(65536):\n"
            "            self.request.sendall(data)\n"
            "server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Echo)\n"
            "print(server.server_address[1], flush=True)\n"
            "server.serve_forever()\n")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:
        try:
            yield "127.0.0.1", int(process.stdout.readline())
        finally:
            process.kill()


class Blend(Rig):
    def test_through_a_bad_network(self):
        done = subprocess.run([sys.executable, "-B", source("bench", "chaos-blend"), "--help"], capture_output=True,
                              text=True, timeout=30, check=True)
        self.assertIn("./dev bench chaos", done.stderr)
        node = self.node(support.NO_RATES)
        cap = os.path.join(node.folder, "cap")
        with open(cap, "w", encoding="ascii") as file:
            file.write(node.operator_token())
        for wire, endpoint in (("tls", "oap_tls"), ("quic", "oap_quic")):
            done = support.run("blend_client", f"--target={node.ready['endpoints'][endpoint]}", f"--cap={cap}",
                               f"--pin={node.ready['cert_sha256']}", f"--wire={wire}", "--conns=2", "--seconds=1")
            self.assertEqual(done.returncode, 0, done)
            result = json.loads(done.stdout)
            self.assertGreater(result["answered"], 10)
            self.assertEqual((result["wrong"], result["failures"], result["dials"]), (0, {}, 2), result)


if __name__ == "__main__":
    main()
