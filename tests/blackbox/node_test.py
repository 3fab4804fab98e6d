"""How ron-node starts, says what it is, refuses bad configurations, and ends."""
# ctest: TIMEOUT 180 LABELS blackbox
import json
import os
import re
import signal
import socket
import tempfile
import threading

import support
from rawhttp import RawHttp
from support import NodeFailed, NodeTest, program, run, source, wait_until

# Overrides for the shipped files: any free port, nothing outside the test's folder.
ANY_PORTS = """\
[admin]
address = 127.0.0.1:0
[http]
address = 127.0.0.1:0
tls-address = 127.0.0.1:0
[oap]
tls-address = 127.0.0.1:0
[log]
format = json
"""


class Shipped(NodeTest):
    def shipped(self, name):
        """A node of one of the files in config/, its addresses and folder replaced."""
        command = [program("ron-node"), "--config-file=" + source("config", name)]
        node = self.new_node(ANY_PORTS, command=command, base="", name=name.removesuffix(".ini"))
        if name != "micronode.ini":
            node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
        return node.start()

    def test_micronode_has_all_roles(self):
        node = self.shipped("micronode.ini")
        self.assertEqual(node.get("/readyz").json(),
                         {"ready": True, "degraded": False, "missing": [], "retry_after": None})
        token = node.operator_token()
        self.assertEqual(node.http("PUT", "/v1/o", b"x", token=token).status, 201)
        self.assertEqual(node.get("/v1/names").json(), {"items": [], "next_cursor": None})
        self.assertEqual(node.get("/v1/mailbox/t").json(), {"items": [], "next_cursor": None})
        node.stop()
        self.assertEqual(sorted(os.listdir(node.folder)), ["base.ini", "stderr", "test.ini"])

    def test_omnigate_beside_index(self):
        index, gate = self.shipped("index.ini"), self.shipped("omnigate.ini")
        ready = gate.get("/readyz")
        self.assertEqual(ready.status, 503)
        self.assertGreaterEqual(int(ready.headers["Retry-After"]), 1)
        body = ready.json()
        self.assertEqual((body["ready"], sorted(body["missing"])),
                         (False, ["index", "mailbox", "storage"]))
        self.assertEqual(body["retry_after"], int(ready.headers["Retry-After"]))
        self.assertEqual(gate.get("/readyz", endpoint="admin").status, 503)
        self.assertEqual(gate.get("/healthz").json()["ok"], True)

        self.assertEqual(index.get("/readyz").status, 200)
        token, cid = index.operator_token(), support.b3(b"anything")
        put = index.http("PUT", "/v1/names/alice/a", {"cid": cid}, token=token)
        self.assertEqual((put.status, put.json()), (201, {"name": "alice/a", "version": 1,
                                                          "cid": cid}))
        got = index.http("GET", "/v1/resolve/name:alice/a", token=token)
        self.assertEqual(got.json()["cid"], cid)
        # A macronode has no public reads, and an index stores no objects.
        self.assertEqual(index.get("/v1/resolve/name:alice/a").status, 401)
        self.assertEqual(index.http("PUT", "/v1/o", b"x", token=token).status, 404)
        for node in (gate, index):
            node.stop()

    def test_storage_and_mailbox(self):
        storage, mailbox = self.shipped("storage.ini"), self.shipped("mailbox.ini")
        token = storage.operator_token()
        put = storage.http("PUT", "/v1/o", b"kept", token=token)
        self.assertEqual((put.status, put.json()["cid"]), (201, support.b3(b"kept")))
        storage.stop()
        storage.start()
        token = storage.operator_token()
        self.assertEqual(storage.http("GET", put.headers["Location"], token=token).body, b"kept")
        token = mailbox.operator_token()
        sent = mailbox.http("POST", "/v1/mailbox/t", {"payload": "eA=="}, token=token)
        self.assertEqual(sent.status, 202)
        self.assertEqual(mailbox.http("GET", "/v1/names", token=token).status, 404)
        for node in (storage, mailbox):
            node.stop()


class ReadyLine(NodeTest):
    def test_contract(self):
        node = self.node()
        self.assertLessEqual({"ready", "pid", "endpoints", "cert_sha256"}, set(node.ready))
        self.assertRegex(node.ready["cert_sha256"], "^[0-9a-f]{64}$")
        self.assertLessEqual({"http", "https", "oap_tls", "admin"}, set(node.ready["endpoints"]))
        for name in ("http", "https", "oap_tls", "admin"):
            host, port = node.address(name)
            self.assertEqual(host, "127.0.0.1")
            socket.create_connection((host, port), 5).close()
        self.assertEqual(node.get("/version", endpoint="https").status, 200)
        node.stop()
        self.assertIsNone(node.lines.get(timeout=5), "one line and nothing else on stdout")
        self.assertNotIn("token", json.dumps(node.ready))

    def test_off_means_off(self):
        node = self.node("[http]\ntls-address = off\n[oap]\ntls-address = off\n")
        self.assertEqual((node.ready["endpoints"]["https"], node.ready["endpoints"]["oap_tls"]),
                         (None, None))
        node.stop()

    def test_certificate_is_new_each_time(self):
        node = self.node()
        first = node.ready["cert_sha256"]
        node.stop()
        self.assertNotEqual(node.start().ready["cert_sha256"], first)


class CommandLine(NodeTest):
    def config(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".ini")
        self.addCleanup(file.close)
        file.write(text)
        file.flush()
        return file.name

    def test_version(self):
        plain = run("ron-node", "--version")
        self.assertEqual((plain.returncode, plain.stderr), (0, ""))
        self.assertRegex(plain.stdout, r"^ron-node \d+\.\d+\.\d+\S*\n$")
        version = json.loads(run("ron-node", "--version", "--json").stdout)
        self.assertEqual(version["name"], "ron-node")
        self.assertEqual(plain.stdout.split()[1], version["version"])
        self.assertIn("oap1", version["features"])
        self.assertLessEqual({"git", "compiler", "libraries"}, set(version))
        self.assertEqual(run("ron-node", "--help").returncode, 0)

    def test_check_config_touches_nothing(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            file = self.config(f"[node]\nprofile = macronode\ndata-dir = {folder}/data\n"
                               f"[admin]\naddress = 127.0.0.1:{busy.getsockname()[1]}\n")
            done = run("ron-node", "--config-file=" + file, "--check-config", cwd=folder)
            self.assertEqual((done.returncode, done.stdout), (0, "configuration ok\n"), done)
            self.assertEqual(os.listdir(folder), [])

    def test_print_config_says_where_from(self):
        file = self.config("[log]\nlevel = debug\n[http]\nheader-timeout = 6s\n")
        done = run("ron-node", "--config-file=" + file, "--print-config", "--node.shards=3",
                   env={"RON_HTTP_HEADER_TIMEOUT": "7s"})
        self.assertEqual(done.returncode, 0, done)
        lines = done.stdout.splitlines()

        def shows(*words):
            self.assertTrue(any(all(w in line for w in words) for line in lines),
                            f"{words} in\n{done.stdout}")
        shows("level", "debug", file + ":2")
        shows("header-timeout", "7s", "RON_HTTP_HEADER_TIMEOUT")
        shows("shards", "3", "command line")
        shows("idle-timeout", "1min", "default")
        # What it prints is a configuration.
        again = run("ron-node", "--config-file=" + self.config(done.stdout), "--check-config")
        self.assertEqual(again.returncode, 0, again)

    def fails(self, code, *arguments, env=None):
        done = run("ron-node", *arguments, env=env)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done)
        self.assertNotEqual(done.stderr, "")
        return done.stderr

    def test_usage(self):
        self.assertIn("--check-config", self.fails(2, "--chek-config"))
        self.fails(2, "surprise")
        self.assertIn("http.address", self.fails(2, "--http.adress=127.0.0.1:0"))

    def test_unknown_variable(self):
        text = self.fails(78, env={"RON_HTTP_ADRESS": "127.0.0.1:0"})
        self.assertIn("RON_HTTP_ADDRESS", text)

    def test_bad_values_wherever_they_come_from(self):
        self.fails(78, "--node.shards=65")
        self.fails(78, env={"RON_NODE_SHARDS": "no"})
        self.fails(78, "--config-file=/nowhere/at.ini")
        self.fails(78, "--node.amnesia=true", "--node.data-dir=/tmp/x")
        self.fails(78, "--http.address=0.0.0.0:0")

    def test_all_errors_at_once_with_their_places(self):
        file = self.config("[node]\nshards = many\nrolls = []\n\n[http]\n  address = nowhere\n"
                           "[omnigate]\nrate = 5\nburst = -1\n[nonsense]\na = 1\n")
        lines = self.fails(78, "--config-file=" + file).splitlines()
        found = {}
        for line in lines:
            match = re.fullmatch(re.escape(file) + r":(\d+):(\d+): error: (.*)", line)
            self.assertTrue(match, line)
            found[int(match[1])] = (int(match[2]), match[3])
        self.assertLessEqual({2, 3, 6, 9, 11}, set(found), lines)
        self.assertEqual(found[2][0], 10)
        self.assertIn("[node] shards", found[2][1])
        self.assertIn("expected", found[2][1])
        self.assertIn("did you mean", found[3][1])
        self.assertIn("roles", found[3][1])
        self.assertIn("[http] address", found[6][1])

    def test_address_in_use(self):
        first = self.node()
        for key in ("admin", "http", "oap_tls"):
            option = {"admin": "admin.address", "http": "http.address",
                      "oap_tls": "oap.tls-address"}[key]
            second = self.new_node("", f"--{option}={first.ready['endpoints'][key]}")
            with self.assertRaises(NodeFailed) as failed:
                second.start()
            self.assertEqual(failed.exception.code, support.EXIT_UNAVAILABLE)
            self.assertIn(option, second.stderr())
        self.assertEqual(first.get("/healthz").status, 200)

    def test_store_in_use(self):
        config = "[node]\nprofile = macronode\nroles = [\"index\"]\n"
        first = self.new_node(config)
        first.arguments.append("--node.data-dir=" + os.path.join(first.folder, "data"))
        first.start()
        second = self.new_node(config, *first.arguments)
        with self.assertRaises(NodeFailed) as failed:
            second.start()
        self.assertEqual(failed.exception.code, support.EXIT_UNAVAILABLE)
        said = [line for line in second.stderr().splitlines() if line.startswith("ron-node: ")]
        self.assertEqual(len(said), 1, second.stderr())
        self.assertIn("in use", said[0])


class Stop(NodeTest):
    def test_sigterm_and_sigint(self):
        node = self.node()
        node.stop()
        node.start()
        node.signal(signal.SIGINT)
        self.assertEqual(node.wait(), 0)

    def begin_upload(self, node):
        """A request that stays open: half of its body is sent."""
        raw = RawHttp(node)
        self.addCleanup(raw.sock.close)
        raw.request("PUT /v1/o HTTP/1.1", f"Authorization: Bearer {node.operator_token()}",
                    "Content-Length: 8", "Expect: 100-continue")
        self.assertEqual(raw.answer().status, 100)
        raw.send(b"half")
        return raw

    def admin_says_draining(self, node):
        answer = node.get("/readyz", endpoint="admin")
        return answer.status == 503 and "draining" in answer.json()["missing"]

    def test_open_requests_finish_while_it_drains(self):
        node = self.node()
        raw = self.begin_upload(node)
        node.signal(signal.SIGTERM)
        wait_until(lambda: self.admin_says_draining(node), what="draining on /readyz")
        self.assertTrue(node.running())
        raw.send(b"full")
        answer = raw.answer()
        self.assertEqual((answer.status, answer.json()["size"]), (201, 8))
        self.assertTrue(raw.closed())
        self.assertEqual(node.wait(), 0)

    def test_second_sigterm_ends_it(self):
        node = self.node("[node]\ndrain-timeout = 60s\n")
        self.begin_upload(node)
        node.signal(signal.SIGTERM)
        wait_until(lambda: self.admin_says_draining(node), what="draining on /readyz")
        node.signal(signal.SIGTERM)
        self.assertEqual(node.wait(), support.EXIT_CUT_SHORT)

    def test_drain_that_is_cut(self):
        node = self.node("[node]\ndrain-timeout = 200ms\n")
        self.begin_upload(node)
        node.stop(expect=support.EXIT_CUT_SHORT)

    def test_admin_drain_needs_a_token(self):
        node = self.node()
        refused = node.http("POST", "/admin/drain", endpoint="admin")
        self.assertEqual((refused.status, refused.json()["code"]), (401, "unauth"))
        self.assertEqual(node.get("/readyz").status, 200)
        self.assertEqual(node.http("POST", "/admin/drain").status, 404, "only on the admin listener")
        done = node.http("POST", "/admin/drain", endpoint="admin", token=node.operator_token())
        self.assertIn(done.status, (200, 202))
        self.assertEqual(node.wait(), 0)

    def test_drain_answers_waiters_at_once(self):
        node = self.node()
        answers = []

        def poll():
            answers.append(node.http("POST", "/v1/mailbox/t/receive", {"wait_s": 30}, token=token,
                                     timeout=30))
        token = node.operator_token()
        thread = threading.Thread(target=poll)
        thread.start()
        self.addCleanup(thread.join)
        wait_until(lambda: node.metric("mailbox_waiters") == 1, what="the long poll")
        node.stop()
        thread.join(10)
        self.assertEqual(len(answers), 1)
        self.assertIn(answers[0].status, (200, 503), answers[0])


if __name__ == "__main__":
    support.main()
