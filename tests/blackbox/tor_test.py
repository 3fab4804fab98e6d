"""The onion service of a node and the way to one, against a tor daemon that does what the test says."""
# ctest: TIMEOUT 180
import os
import stat
import tempfile

import fake_tor
from support import EXIT_CONFIG, NodeFailed, NodeTest, main, run, wait_until

ONION = fake_tor.SERVICE + ".onion:9443"
EXIT_UNAVAILABLE = 5  # of ronctl


class TorTest(NodeTest):
    def setUp(self):
        super().setUp()
        self.tor = fake_tor.FakeTor()
        self.addCleanup(self.tor.close)
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)

    def config(self, more=""):
        return f'[tor]\nonion = true\ncontrol = "127.0.0.1:{self.tor.control[1]}"\n{more}'

    def onion_node(self, more=""):
        return self.node(self.config(more))

    def missing(self, node):
        return node.get("/readyz").json()["missing"]

    def wait_ready(self, node):
        wait_until(lambda: node.get("/readyz").status == 200, 20, "readiness")

    def path(self, name, content=None):
        path = os.path.join(self.scratch.name, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def capability(self, node):
        return self.path("cap", node.operator_token().encode())

    def ronctl(self, *arguments, host=ONION, socks=None, env=None):
        socks = socks or "127.0.0.1:%d" % self.tor.socks[1]
        return run("ronctl", *arguments, "--node", host, "--socks", socks, env=env)


class Onion(TorTest):
    def test_serves_through_the_onion_service(self):
        node = self.onion_node()
        self.wait_ready(node)
        self.assertEqual(node.metric("tor_bootstrap_progress"), 100)
        self.assertEqual(node.metric("tor_hs_published"), 1)
        self.assertEqual(node.get("/admin/tor", endpoint="admin").json(),
                         {"bootstrap": 100, "published": True, "address": ONION, "failure": None})
        self.assertEqual(node.ready["endpoints"]["oap_tor"], "%s:%d" % self.tor.target)
        content = os.urandom(300_000)
        cap = self.capability(node)
        put = self.ronctl("put", self.path("in", content), "--cap", cap)
        self.assertEqual(put.returncode, 0, put.stderr)
        got = self.ronctl("get", put.stdout.split()[0], "-o", self.path("out"))
        self.assertEqual(got.returncode, 0, got.stderr)
        with open(self.path("out"), "rb") as file:
            self.assertEqual(file.read(), content)
        self.assertEqual({(host, port) for _, host, port in self.tor.dialled}, {(fake_tor.SERVICE + ".onion", 9443)})
        self.assertEqual(node.metric("transport_accepted_total", {"listener": "oap_tor"}), len(self.tor.dialled))
        self.assertEqual(self.tor.said.count("PROTOCOLINFO 1"), 1)
        node.stop()
        wait_until(lambda: "QUIT" in self.tor.said)
        self.assertIn(f"DEL_ONION {fake_tor.SERVICE}", self.tor.said)

    def test_nobody_is_trusted_for_coming_from_loopback(self):
        node = self.onion_node()
        self.wait_ready(node)
        put = self.ronctl("put", self.path("in", b"x"))
        self.assertEqual(put.returncode, 4, put.stderr)

    def test_the_rate_of_capabilities_by_reload(self):
        node = self.onion_node("[omnigate]\nrate-tenant = 0/s\n")
        self.wait_ready(node)
        cap = self.capability(node)
        puts = lambda n: [self.ronctl("put", self.path("in", b"x%d" % i), "--cap", cap) for i in range(n)]
        self.assertEqual([one.returncode for one in puts(4)], [0] * 4)
        with open(node.files[-1], "w", encoding="utf-8") as file:
            file.write(self.config("[omnigate]\nrate-tenant = 1/s\n"))
        answer = node.http("POST", "/admin/reload", token=node.operator_token(), endpoint="admin").json()
        self.assertEqual([one["key"] for one in answer["changed"]], ["omnigate.rate-tenant"])
        self.assertIn("omnigate.rate-tenant", "".join(one.stderr for one in puts(8)))
        node.stop()

    def test_a_unix_socket_in_place_of_a_port(self):
        uds = self.path("onion.sock")
        node = self.onion_node(f'uds = "{uds}"\n')
        self.wait_ready(node)
        self.assertEqual(self.tor.target, "unix:" + uds)
        self.assertEqual(stat.S_IMODE(os.stat(uds).st_mode), 0o600)
        put = self.ronctl("put", self.path("in", b"hello"), "--cap", self.capability(node))
        self.assertEqual(put.returncode, 0, put.stderr)

    def test_readiness_waits_for_bootstrap_and_descriptor(self):
        self.tor.phase = 45
        self.tor.answers["ADD_ONION"] = f"250-ServiceID={fake_tor.SERVICE}\r\n" \
                                        f"250-PrivateKey={fake_tor.KEY}\r\n250 OK\r\n"
        node = self.onion_node()
        wait_until(lambda: node.metric("tor_bootstrap_progress") == 45)
        self.assertEqual(self.missing(node), ["tor_bootstrap", "tor_hs_published"])
        self.assertEqual(node.get("/readyz").status, 503)
        self.tor.event('STATUS_CLIENT NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"')
        wait_until(lambda: self.missing(node) == ["tor_hs_published"])
        self.assertEqual(node.metric("tor_hs_published"), 0)
        self.tor.event(f"HS_DESC UPLOADED {fake_tor.SERVICE} UNKNOWN $A~b")
        self.wait_ready(node)

    def test_a_daemon_that_dies_and_comes_back(self):
        node = self.onion_node()
        self.wait_ready(node)
        self.tor.die()
        wait_until(lambda: self.missing(node) == ["tor_bootstrap", "tor_hs_published"])
        said = node.get("/admin/tor", endpoint="admin").json()
        self.assertIn(said["failure"]["reason"], ("lost", "no_daemon"))
        self.assertEqual(said["address"], ONION)
        self.assertEqual(node.metric("tor_hs_published"), 0)
        wait_until(lambda: node.metric("tor_control_failures_total", {"reason": "no_daemon"}) >= 1)
        self.tor.rise()
        self.wait_ready(node)
        self.assertTrue(any(said.startswith("ADD_ONION " + fake_tor.KEY) for said in self.tor.said),
                        "the same key, so the same address")
        put = self.ronctl("put", self.path("in", b"again"), "--cap", self.capability(node))
        self.assertEqual(put.returncode, 0, put.stderr)

    def test_the_key_is_in_a_file_only_without_amnesia(self):
        data = self.path("data")
        os.mkdir(data, 0o700)
        persistent = f'[node]\namnesia = false\ndata-dir = "{data}"\n'
        node = self.new_node(self.config() + persistent)
        for _ in range(2):
            node.start()
            self.wait_ready(node)
            node.stop()
        key = os.path.join(data, "onion.key")
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        made = [said for said in self.tor.said if said.startswith("ADD_ONION ")]
        self.assertTrue(made[0].startswith("ADD_ONION NEW:"))
        self.assertTrue(made[1].startswith("ADD_ONION " + fake_tor.KEY))
        self.assertNotIn(fake_tor.KEY, node.stderr(10_000))
        os.chmod(key, 0o644)
        with self.assertRaises(NodeFailed) as failed:
            node.start()
        self.assertEqual(failed.exception.code, EXIT_CONFIG)
        self.assertIn("chmod 600", str(failed.exception))

    def test_what_is_no_daemon_is_named_and_harmless(self):
        for greeting, reason in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol"),
                                 (b"250+endless\r\n" + b"x" * 1000 * 1000, "protocol"),
                                 (b"2" * 100_000, "protocol")):
            self.tor.greeting = greeting
            node = self.onion_node()
            failed = wait_until(lambda: node.get("/admin/tor", endpoint="admin").json()["failure"])
            self.assertEqual(failed["reason"], reason)
            self.assertEqual(node.get("/healthz").status, 200)
            node.stop()

    def test_a_daemon_that_does_not_let_us_in(self):
        self.tor.answers["AUTHENTICATE"] = "515 Authentication failed\r\n"
        node = self.onion_node()
        failed = wait_until(lambda: node.get("/admin/tor", endpoint="admin").json()["failure"])
        self.assertEqual(failed["reason"], "auth")
        self.assertNotIn(self.tor.cookie.hex(), node.stderr(10_000).lower())
        self.tor.answers.clear()
        self.wait_ready(node)

    def test_time_runs_out(self):
        self.tor.phase = 10
        node = self.onion_node("bootstrap-timeout = 1s\n")
        failed = wait_until(lambda: node.get("/admin/tor", endpoint="admin").json()["failure"])
        self.assertEqual(failed["reason"], "bootstrap")
        self.assertIn("at 10 %", failed["detail"])

    def test_a_control_address_that_is_a_name(self):
        with self.assertRaises(NodeFailed) as failed:
            self.node('[tor]\nonion = true\ncontrol = "localhost:9051"\n')
        self.assertEqual(failed.exception.code, EXIT_CONFIG)
        self.assertIn("tor.control", str(failed.exception))


class Dialling(TorTest):
    """ronctl alone: what stands in the way is said, once, and not tried again."""

    def refused(self, done, reason):
        self.assertEqual(done.returncode, EXIT_UNAVAILABLE, done.stderr)
        self.assertIn(f"TorUnavailable ({reason})", done.stderr)

    def test_every_reason_has_its_name(self):
        for code, reason in ((1, "failed"), (5, "refused"), (0xF0, "onion_not_found"), (0xF2, "onion_intro_failed"),
                             (0xF4, "onion_auth_missing"), (0xF6, "onion_bad_address"), (0x77, "protocol")):
            self.tor.socks_reply = code
            self.tor.dialled.clear()
            self.refused(self.ronctl("ping"), reason)
            self.assertEqual(len(self.tor.dialled), 1, "no retry masks it")

    def test_no_daemon(self):
        self.tor.die()
        self.refused(self.ronctl("ping"), "no_daemon")

    def test_isolation_by_capability(self):
        self.tor.socks_reply = 5
        for token in ("AAAA", "AAAA", "BBBB", None):
            self.ronctl("ping", env={"RONCTL_CAP": token} if token else None)
        users = [user for user, _, _ in self.tor.dialled]
        self.assertEqual(users[0], users[1])
        self.assertEqual(len(set(users)), 3)
        self.assertFalse(any("AAAA" in user for user in users))

    def test_a_name_goes_to_the_daemon_and_not_to_a_resolver(self):
        self.tor.socks_reply = 4
        done = self.ronctl("ping", "--pin", "0" * 64, host="no.such.host.invalid:9443")
        self.refused(done, "host_unreachable")
        self.assertEqual(self.tor.dialled[0][1:], ("no.such.host.invalid", 9443))


if __name__ == "__main__":
    main()
