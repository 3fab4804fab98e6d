"""Tests of support.py itself, against fake_node.py."""
import hashlib
import io
import os
import ssl
import subprocess
import sys
import tempfile
import unittest

import support

FAKE = [sys.executable, "-B", os.path.join(os.path.dirname(os.path.realpath(__file__)), "fake_node.py")]


class Fake(support.NodeTest):
    def fake(self, action, env=None):
        return self.new_node("[a]\nb = 1\n", action, command=FAKE, env=env)

    def test_life(self):
        node = self.fake("ok").start()
        self.assertTrue(node.running())
        self.assertIn("fake node: ok", node.stderr())
        node.stop()
        self.assertFalse(node.running())
        node.start()
        node.kill()
        self.assertEqual(node.wait(), -9)

    def test_exit_before_ready(self):
        with self.assertRaises(support.NodeFailed) as failed:
            self.fake("exit=78").start()
        self.assertEqual(failed.exception.code, support.EXIT_CONFIG)
        self.assertIn("fake node: exit=78", str(failed.exception))

    def test_never_ready(self):
        with self.assertRaisesRegex(support.NodeFailed, "not ready within"):
            self.fake("silent").start(seconds=0.5)

    def test_wrong_exit_code(self):
        node = self.fake("exit-on-term=75").start()
        with self.assertRaisesRegex(support.NodeFailed, "exit 75, expected 0"):
            node.stop()

    def test_does_not_stop(self):
        node = self.fake("slow-stop").start()
        with self.assertRaisesRegex(support.NodeFailed, "still running"):
            node.stop(seconds=0.5)
        self.assertFalse(node.running())

    def test_http(self):
        node = self.fake("ok", env={"RON_HTTP_ADDRESS": "x"}).start()
        self.assertEqual(node.get("/nothing").status, 404)
        answer = node.http("POST", "/", {"a": 1}, token=node.operator_token())
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.json(), {"body": '{"a": 1}', "authorization": "Bearer t0", "type": "application/json"})
        self.assertEqual(node.metric("x"), 5)
        self.assertEqual(node.metric("x", {"a": 1}), 2)
        self.assertEqual(node.metric("y"), 0)

    def test_environment_is_clean(self):
        os.environ["RON_SOMETHING"] = "1"
        self.addCleanup(os.environ.pop, "RON_SOMETHING")
        seen = self.fake("ok", env={"RON_HTTP_ADDRESS": "x"}).start().get("/environment").json()
        self.assertEqual([key for key in seen if key.startswith("RON_")], ["RON_HTTP_ADDRESS"])

    def test_pinned_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            pem = os.path.join(folder, "cert.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=node", "-keyout",
                            pem, "-out", pem + ".cert"], check=True, capture_output=True)
            with open(pem + ".cert", encoding="ascii") as certificate, open(pem, "a", encoding="ascii") as both:
                text = certificate.read()
                both.write(text)
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()
            node = self.fake("ok", env={"FAKE_CERT": pem, "FAKE_CERT_SHA256": digest}).start()
            self.assertEqual(node.get("/", endpoint="https").status, 404)
            node.ready["cert_sha256"] = "00" * 32
            with self.assertRaises(ssl.SSLCertVerificationError):
                node.get("/", endpoint="https")


class Support(unittest.TestCase):
    def test_wait_until(self):
        values = iter([0, None, 7])
        self.assertEqual(support.wait_until(lambda: next(values)), 7)
        with self.assertRaises(TimeoutError):
            support.wait_until(lambda: False, seconds=0.05)

    def test_failure_shows_stderr_and_ends_the_node(self):
        nodes = []

        class Failing(support.NodeTest):
            def test(self):
                nodes.append(self.new_node("", "ok", command=FAKE).start())
                self.fail("on purpose")

        shown, real = io.StringIO(), sys.stderr
        sys.stderr = shown
        try:
            result = unittest.TestResult()
            Failing("test").run(result)
        finally:
            sys.stderr = real
        self.assertEqual(len(result.failures), 1)
        self.assertIn("fake node: ok", shown.getvalue())
        self.assertFalse(nodes[0].running())
        self.assertFalse(os.path.exists(nodes[0].folder))


if __name__ == "__main__":
    support.main()
