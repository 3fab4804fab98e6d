"""http.uds: the public routes over a UNIX socket that only the users named in http.uds-peers may use."""
# ctest: TIMEOUT 60 LABELS blackbox
import http.client
import os
import socket
import stat

import support
from support import EXIT_CONFIG, EXIT_UNAVAILABLE, NodeFailed, NodeTest, run


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Uds(NodeTest):
    def listening(self, users):
        """A node with a socket for these users, and its path."""
        node = self.new_node()
        path = os.path.join(node.folder, "run", "http.sock")
        with open(node.files[-1], "a", encoding="utf-8") as file:
            file.write(f'[http]\nuds = "{path}"\nuds-peers = {users}\n')
        return node, path

    def ask(self, path, method, target, body=None, **headers):
        connection = Connection(path)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def test_serves_its_users(self):
        node, path = self.listening([os.getuid()])
        for _ in range(2):  # what a life leaves behind does not stop the next one
            node.start()
            self.assertEqual(node.ready["endpoints"]["http_uds"], path)
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o700)
            self.assertEqual(self.ask(path, "GET", "/healthz")[0], 200)
            status, body = self.ask(path, "PUT", "/v1/o", b"hello",
                                    Authorization="Bearer " + node.operator_token())
            self.assertEqual(status, 201, body)
            self.assertEqual(self.ask(path, "GET", f"/v1/o/{support.b3(b'hello')}"), (200, b"hello"))
            self.assertEqual(self.ask(path, "GET", "/metrics")[0], 404, "the public routes alone")
            node.kill()
        node.start()
        node.stop()
        self.assertFalse(os.path.exists(path), "taken away by an ordered stop")

    def test_refuses_others(self):
        node, path = self.listening([os.getuid() + 1])
        node.start()
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask(path, "GET", "/healthz")
        self.assertEqual(node.metric("transport_refused_total", {"listener": "http", "reason": "user"}), 1)
        node.stop()

    def test_a_folder_that_others_may_enter_never_starts(self):
        node, path = self.listening([os.getuid()])
        os.mkdir(os.path.dirname(path), 0o755)
        os.chmod(os.path.dirname(path), 0o755)
        with self.assertRaises(NodeFailed) as failed:
            node.start()
        self.assertEqual(failed.exception.code, EXIT_UNAVAILABLE)
        self.assertIn("http.uds", str(failed.exception))
        self.assertIn("chmod 0700", str(failed.exception))

    def test_needs_users(self):
        done = run("ron-node", "--check-config", "--http.uds=/tmp/s")
        self.assertEqual(done.returncode, EXIT_CONFIG)
        self.assertIn("http.uds-peers", done.stderr + done.stdout)


if __name__ == "__main__":
    support.main()
