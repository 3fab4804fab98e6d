"""Starts, asks and stops ron-node from the outside. Standard library only.

A black-box test is a unittest script `<subject>_test.py` next to this file; it becomes the ctest
`blackbox/<subject>`. A line `# ctest: TIMEOUT 300 LABELS blackbox full` in it changes the defaults.

    from support import NodeTest, main

    class Objects(NodeTest):
        def test_put_get(self):
            node = self.node()                       # all roles in RAM, any free ports
            answer = node.http("POST", "/v1/o", b"hello", token=node.operator_token())
            self.assertEqual(answer.status, 201)
            node.stop()                              # SIGTERM, must exit 0

    if __name__ == "__main__":
        main()

What it relies on: the ready line, the exit codes and the first contact of the HTTP API (section 8).
Every wait has a deadline. A node that a test leaves running is stopped, and its stderr is shown when
the test fails.
"""
import concurrent.futures
import ctypes
import hashlib
import http.client
import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

EXIT_OK, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_INTERNAL, EXIT_CUT_SHORT, EXIT_CONFIG = 0, 2, 69, 70, 75, 78
READY_SECONDS = 20
STOP_SECONDS = 20

# Lifts the rates meant for strangers, for tests that ask a lot.
NO_RATES = """\
[omnigate]
rate = 10000000/s
burst = 10000000
rate-address = 0/s
rate-tenant = 0/s
"""

# Read before a test's own configuration, which overrides it key by key.
BASE_CONFIG = """\
[node]
profile = micronode
shards = 2
[admin]
address = 127.0.0.1:0
[http]
address = 127.0.0.1:0
tls-address = 127.0.0.1:0
[oap]
tls-address = 127.0.0.1:0
quic-address = 127.0.0.1:0
[cluster]
address = 127.0.0.1:0
[log]
format = json
"""


def program(name):
    """The path of one of our programs: from $RON_BIN_DIR, otherwise from the release build."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    return os.path.join(os.environ.get("RON_BIN_DIR") or os.path.join(root, "build/release/bin"), name)


def clean_environment(extra=None):
    """The environment without RON_* variables (ron-node refuses unknown ones) plus `extra`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RON_")}
    return environment | (extra or {})


def source(*parts):
    """A path below the root of the sources."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    return os.path.join(os.environ.get("RON_SOURCE_DIR") or here, *parts)


def b3(data):
    """The id of an object with these bytes, by a program that is not ours."""
    done = subprocess.run(["b3sum", "--no-names", "-"], input=data, capture_output=True, check=True)
    return "b3:" + done.stdout.decode().strip()


def run(name, *arguments, env=None, timeout=30, **options):
    """Runs one of our programs to its end: CompletedProcess with stdout and stderr as text."""
    return subprocess.run([program(name), *arguments], env=clean_environment(env), timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


def wait_until(condition, seconds=10, what="the condition"):
    """Polls another process until `condition()` is true and returns its value; raises after the deadline."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {seconds} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return value


class NodeFailed(Exception):
    """ron-node ended or stayed silent where it should have got ready; `code` is its exit code or None."""

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code


class PinnedConnection(http.client.HTTPSConnection):
    """HTTPS to a node whose certificate has the given SHA-256 (hex of the DER form), whoever signed it."""

    def __init__(self, host, port, cert_sha256, timeout):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the digest below takes its place
        context.set_alpn_protocols(["http/1.1"])
        super().__init__(host, port, timeout=timeout, context=context)
        self.cert_sha256 = cert_sha256

    def connect(self):
        super().connect()
        seen = hashlib.sha256(self.sock.getpeercert(binary_form=True)).hexdigest()
        if seen != self.cert_sha256:
            self.close()
            raise ssl.SSLCertVerificationError(f"certificate {seen}, pinned {self.cert_sha256}")


class Answer:
    """An HTTP answer read to its end: status, headers (case-insensitive), body."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Node:
    """One ron-node in a folder of its own. start() may follow stop() or kill(): the folder stays."""

    def __init__(self, config="", *arguments, env=None, name="node", command=None,
                 base=BASE_CONFIG):
        self._folder = tempfile.TemporaryDirectory(prefix=f"ron-{name}-")
        self.name, self.folder = name, self._folder.name
        self.env, self.arguments = env, list(arguments)
        self.command = command or [program("ron-node")]
        self.process, self.ready, self.lines = None, None, None
        self.files = []
        for part, text in (("base.ini", base), ("test.ini", config)):
            self.files.append(os.path.join(self.folder, part))
            with open(self.files[-1], "w", encoding="utf-8") as file:
                file.write(text)

    # -- life --

    def start(self, seconds=READY_SECONDS):
        """Starts it and waits for the ready line; raises NodeFailed with its stderr otherwise."""
        assert not self.running(), "already running"
        command = self.command + [f"--config-file={file}" for file in self.files] + self.arguments
        with open(os.path.join(self.folder, "stderr"), "ab") as stderr:
            # die_with_us must not outlive its thread: tests start nodes from their main thread.
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=stderr, env=clean_environment(self.env), cwd=self.folder,
                                            preexec_fn=die_with_us)
        self.lines = queue.Queue()
        threading.Thread(target=_read_lines, args=(self.process.stdout, self.lines), daemon=True).start()
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            self.kill()
            raise NodeFailed(f"{self.name}: not ready within {seconds} s\n{self.stderr()}") from None
        if line is None:
            code = self.process.wait(STOP_SECONDS)
            raise NodeFailed(f"{self.name}: exit {code} before it was ready\n{self.stderr()}", code)
        self.ready = json.loads(line)
        assert self.ready["ready"] is True and self.ready["pid"] == self.process.pid, line
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS):
        """The exit code, negative for a signal; the node is killed if the deadline passes."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NodeFailed(f"{self.name}: still running after {seconds} s\n{self.stderr()}") from None

    def stop(self, expect=EXIT_OK, seconds=STOP_SECONDS):
        """SIGTERM, and the exit code that belongs to it."""
        self.signal(signal.SIGTERM)
        code = self.wait(seconds)
        if code != expect:
            raise NodeFailed(f"{self.name}: exit {code}, expected {expect}\n{self.stderr()}", code)

    def kill(self):
        """SIGKILL: nothing is flushed, nobody is told."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends it whatever its state and removes its folder."""
        if self.running():
            self.kill()
        self._folder.cleanup()

    def stderr(self, last=80):
        """The last lines of what it wrote to stderr in all its lives."""
        try:
            with open(os.path.join(self.folder, "stderr"), encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-last:])
        except FileNotFoundError:
            return ""

    # -- questions --

    def address(self, endpoint):
        """(host, port) of one of the endpoints on the ready line: http, https, oap_tls, admin, ..."""
        host, _, port = self.ready["endpoints"][endpoint].rpartition(":")
        return host.strip("[]"), int(port)

    def connection(self, endpoint="http", timeout=10):
        """A connection for several requests; https is pinned to the certificate of the ready line."""
        host, port = self.address(endpoint)
        if endpoint == "https":
            return PinnedConnection(host, port, self.ready["cert_sha256"], timeout)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def http(self, method, path, body=None, headers=None, *, token=None, endpoint="http", timeout=10):
        """One request on a connection of its own; a dict or list as body goes out as JSON."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = self.connection(endpoint, timeout)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.http("GET", path, **options)

    def metric(self, name, labels=None):
        """The sum of a metric's samples on /metrics whose labels include `labels`; 0 if there is none."""
        total = 0.0
        wanted = [f'{key}="{value}"' for key, value in (labels or {}).items()]
        for line in self.get("/metrics", endpoint="admin").body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            base, _, rest = series.partition("{")
            if base == name and all(pair in rest.rstrip("}").split(",") for pair in wanted):
                total += float(value)
        return total

    def metrics(self):
        """All samples on /metrics: {'name{label="value"}': number}."""
        samples = {}
        for line in self.get("/metrics", endpoint="admin").body.decode().splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                samples[series] = float(value)
        return samples

    def first_contact(self, timeout=5):
        """{"cert_sha256", "token"} from the abstract UNIX socket that only our uid may read."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as contact:
            contact.settimeout(timeout)
            contact.connect(f"\0ron-{self.address('admin')[1]}")
            with contact.makefile("rb") as stream:
                return json.loads(stream.readline(65536))

    def operator_token(self):
        """A one-hour token for all tenants and operations."""
        return self.first_contact()["token"]


def _read_lines(stream, lines):
    """Moves lines to a queue, None at the end. Only the first is waited for; the rest may be read by tests."""
    with stream:
        for line in stream:
            lines.put(line.decode())
    lines.put(None)


_libc = ctypes.CDLL(None)


def die_with_us():
    """In the child: SIGKILL when the test process ends, so that no node survives a timeout of ctest."""
    _libc.prctl(1, signal.SIGKILL)


def together(calls):
    """Runs calls side by side, all let go at once: their results in the same order."""
    gate = threading.Barrier(len(calls))

    def one(call):
        gate.wait(30)
        return call()
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


class NodeTest(unittest.TestCase):
    """A test case that starts nodes with self.node() and ends them; shows their stderr if the test fails."""

    maxDiff = None

    def setUp(self):
        self._nodes = []
        self.addCleanup(self._end_nodes)

    def new_node(self, config="", *arguments, **options):
        """A node that is not started yet."""
        options.setdefault("name", f"node{len(self._nodes)}")
        node = Node(config, *arguments, **options)
        self._nodes.append(node)
        return node

    def node(self, config="", *arguments, **options):
        """A node that is ready."""
        return self.new_node(config, *arguments, **options).start()

    def _end_nodes(self):
        outcome = self._outcome.result
        bad = any(test is self for test, _ in outcome.errors + outcome.failures)
        for node in self._nodes:
            if bad:
                sys.stderr.write(f"\n---- stderr of {node.name}\n{node.stderr()}----\n")
            node.close()


def main():
    unittest.main(verbosity=2)
