"""TLS as a stranger sees it: versions, groups, tickets, staples, certificates that change under way."""
# ctest: TIMEOUT 180 LABELS blackbox
import hashlib
import os
import shutil
import signal
import socket
import ssl

import support
from certificates import Authority, Responder, openssl, s_client, ticket_key_name
from support import EXIT_CONFIG, NodeFailed, NodeTest, run, wait_until


class TlsTest(NodeTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority()
        self.addCleanup(self.authority.close)

    def certified(self, more="", name="first"):
        """A node with a certificate of the authority in files of its own: server.crt and server.key."""
        self.install(name)
        return self.node(f"[transport]\ncert = {self.authority.path('server.crt')}\n"
                         f"key = {self.authority.path('server.key')}\n{more}")

    def install(self, name):
        """Puts a fresh certificate where the node looks for it; its SHA-256."""
        cert, key = self.authority.issue(name)
        shutil.copy(cert, self.authority.path("server.crt"))
        shutil.copy(key, self.authority.path("server.key"))
        der = openssl("x509", "-in", cert, "-outform", "der").stdout
        return hashlib.sha256(der).hexdigest()

    def shown(self, node):
        """The SHA-256 of the certificate that the node shows now."""
        pem = ssl.get_server_certificate(node.address("https"))
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def reload(self, node, outcome):
        """SIGHUP, and the wait for its outcome."""
        labels = {"outcome": outcome}
        before = node.metric("reloads_total", labels)
        node.signal(signal.SIGHUP)
        wait_until(lambda: node.metric("reloads_total", labels) == before + 1, what="the reload")


class Policy(TlsTest):
    def test_13_only_and_its_ciphers(self):
        node = self.node()
        for endpoint in ("https", "oap_tls"):
            for old in ("-tls1_2", "-tls1_1"):
                self.assertNotEqual(s_client(node, old, endpoint=endpoint, data=b"").code, 0)
        self.assertTrue(s_client(node).answered)
        for suite in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"):
            self.assertIn(f"Cipher is {suite}", s_client(node, "-ciphersuites", suite))
        self.assertFalse(s_client(node, "-ciphersuites", "TLS_AES_128_CCM_SHA256").answered)

    def test_open_connections_are_counted(self):
        node = self.node()
        for endpoint, asking in (("http", 1), ("https", 0), ("oap_tls", 0)):  # who asks is counted as http, too
            labels = {"listener": endpoint}
            with self.subTest(endpoint):
                with socket.create_connection(node.address(endpoint)):
                    wait_until(lambda: node.metric("transport_connections", labels) == asking + 1)
                wait_until(lambda: node.metric("transport_connections", labels) == asking)

    def test_alpn(self):
        node = self.node()
        self.assertIn("ALPN protocol: http/1.1", s_client(node, "-alpn", "h2,http/1.1"))
        self.assertFalse(s_client(node, "-alpn", "h2").answered, "nobody speaks HTTP/2 here")
        self.assertTrue(s_client(node).answered, "a client that offers nothing is let in")
        seen = s_client(node, "-alpn", "http/1.1", endpoint="oap_tls", data=b"")
        self.assertIn("no application protocol", seen.text.lower())

    def test_resumes_but_takes_no_early_data(self):
        node = self.node()
        session, early = self.authority.path("session"), self.authority.path("early")
        first = s_client(node, "-sess_out", session)
        self.assertTrue(first.answered and not first.resumed, first)
        text = openssl("sess_id", "-in", session, "-noout", "-text").stdout.decode()
        self.assertNotRegex(text, r"Max Early Data: [1-9]")
        again = s_client(node, "-sess_in", session)
        self.assertTrue(again.answered and again.resumed, again)
        self.assertEqual(node.metric("transport_handshakes_total", {"outcome": "resumed"}), 1)
        with open(early, "wb") as file:
            file.write(b"GET / HTTP/1.1\r\n")
        refused = s_client(node, "-sess_in", session, "-early_data", early)
        self.assertTrue(refused.answered, refused)
        self.assertNotIn("Early data was accepted", refused)

    def test_ticket_keys_rotate(self):
        node = self.node("[transport]\nticket-rotation = 2s\n")
        rotations = lambda: node.metric("transport_ticket_rotations_total")
        old, new = self.authority.path("old"), self.authority.path("new")
        begun = rotations()
        self.assertTrue(s_client(node, "-sess_out", old).answered)
        wait_until(lambda: rotations() > begun, what="a rotation")
        resumed = s_client(node, "-sess_in", old, "-sess_out", new)
        self.assertTrue(resumed.resumed, "the key before is still taken")
        self.assertNotEqual(ticket_key_name(old), ticket_key_name(new), "sealed with the new key")
        wait_until(lambda: rotations() >= begun + 4, what="four rotations")
        late = s_client(node, "-sess_in", old)
        self.assertTrue(late.answered and not late.resumed, "its key is gone: a full handshake")

    def test_client_certificates(self):
        node = self.certified(f"client-ca = {self.authority.cert}\n")
        cert, key = self.authority.issue("client")
        self.assertFalse(s_client(node).answered)
        self.assertTrue(s_client(node, "-cert", cert, "-key", key).answered)
        stranger = Authority()
        self.addCleanup(stranger.close)
        other_cert, other_key = stranger.issue("client")
        self.assertFalse(s_client(node, "-cert", other_cert, "-key", other_key).answered)
        host, port = node.address("oap_tls")
        dial = ["ping", f"--node={host}:{port}", f"--ca={self.authority.cert}"]
        self.assertNotEqual(run("ronctl", *dial).returncode, 0)
        known = run("ronctl", *dial, f"--tls-cert={cert}", f"--tls-key={key}")
        self.assertEqual(known.returncode, 0, known.stderr)


class PostQuantum(TlsTest):
    def handshakes(self, node, kex):
        return node.metric("transport_handshake_seconds_count", {"kex": kex})

    def test_off(self):
        node = self.node()
        self.assertEqual(node.metric("pq_enabled"), 0)
        self.assertFalse(s_client(node, "-groups", "X25519MLKEM768").answered)
        self.assertTrue(s_client(node, "-groups", "X25519MLKEM768:X25519").answered)
        self.assertEqual((self.handshakes(node, "classic"), self.handshakes(node, "hybrid")), (1, 0))
        self.assertEqual(node.metric("pq_downgrades_total"), 0)

    def test_prefer(self):
        node = self.node("[transport]\npq = prefer\n")
        self.assertEqual(node.metric("pq_enabled"), 1)
        seen = s_client(node, "-groups", "X25519:X25519MLKEM768")
        self.assertIn("Negotiated TLS1.3 group: X25519MLKEM768", seen, "although the client guessed X25519")
        self.assertTrue(s_client(node, "-groups", "X25519").answered)
        self.assertEqual((self.handshakes(node, "classic"), self.handshakes(node, "hybrid")), (1, 1))
        self.assertEqual(node.metric("pq_downgrades_total"), 1)

    def test_require(self):
        node = self.node("[transport]\npq = require\n")
        self.assertFalse(s_client(node, "-groups", "X25519:P-256").answered)
        self.assertEqual(node.metric("transport_handshakes_total", {"outcome": "failed"}), 1)
        self.assertTrue(s_client(node, "-groups", "X25519MLKEM768").answered)
        host, port = node.address("oap_tls")
        dial = ["ping", f"--node={host}:{port}", f"--admin=127.0.0.1:{node.address('admin')[1]}"]
        hybrid = run("ronctl", *dial, "--pq=require")
        self.assertEqual(hybrid.returncode, 0, hybrid.stderr)
        self.assertIn("X25519MLKEM768", hybrid.stdout)
        self.assertNotEqual(run("ronctl", *dial).returncode, 0, "off is the default")
        self.assertEqual(run("ronctl", *dial, "--pq=maybe").returncode, support.EXIT_USAGE)


class Reload(TlsTest):
    def test_certificate_changes_and_bad_ones_do_not_count(self):
        node = self.certified()
        with_old = node.connection("https")
        with_old.request("GET", "/healthz")
        with_old.getresponse().read()
        first = self.shown(node)
        second = self.install("second")
        self.assertEqual(self.shown(node), first, "nothing happens by itself")
        self.reload(node, "taken")
        self.assertEqual(self.shown(node), second)
        self.assertEqual(node.first_contact()["cert_sha256"], second)
        with_old.request("GET", "/healthz")
        self.assertEqual(with_old.getresponse().status, 200, "open connections live on")
        with_old.close()
        with open(self.authority.path("server.crt"), "w", encoding="ascii") as file:
            file.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
        self.reload(node, "refused")
        self.assertEqual(self.shown(node), second, "the old one stays")
        self.assertRegex(node.stderr(), "reload refused, nothing was changed.*transport.cert.*server.crt")
        self.assertGreater(node.metric("transport_cert_not_after_timestamp_seconds"), 1.7e9)
        self.assertTrue(s_client(node).answered)

    def test_over_http(self):
        node = self.certified()
        ask = lambda token=None: node.http("POST", "/admin/reload", token=token, endpoint="admin")
        self.assertEqual(ask().status, 401)
        token = node.operator_token()
        self.assertEqual((ask(token).status, ask(token).json()), (200, {"changed": [], "after_restart": []}))
        config = node.files[-1]
        with open(config, encoding="utf-8") as file:
            text = file.read()

        def write(more):
            with open(config, "w", encoding="utf-8") as file:
                file.write(text + more)
        write("pq = prefer\n[index]\nalpha = 2\n")
        self.assertEqual(ask(token).json(), {
            "changed": [{"key": "transport.pq", "before": "off", "after": "prefer"}],
            "after_restart": [{"key": "index.alpha", "before": "3", "after": "2"}]})
        self.assertEqual(node.metric("pq_enabled"), 1)
        write("pq = perhaps\nper-peer-max = 0\n")
        bad = ask(token)
        self.assertEqual((bad.status, bad.json()["code"]), (400, "bad_request"))
        for word in ("nothing was changed", "pq", "per-peer-max"):
            self.assertIn(word, bad.json()["message"])
        write("pq = off\n[admin]\naddress = 127.0.0.1:1\n")
        fixed = ask(token)
        self.assertEqual(fixed.status, 400)
        self.assertIn("admin.address: cannot change", fixed.json()["message"])
        self.assertEqual(node.metric("pq_enabled"), 1, "all or nothing")
        write("")
        self.assertEqual(ask(token).status, 200)
        self.assertEqual(node.metric("pq_enabled"), 0)

    def test_limits_change(self):
        node = self.node("[transport]\nper-peer-max = 100\n")
        held = [node.connection() for _ in range(3)]
        for one in held:
            one.request("GET", "/healthz")
            one.getresponse().read()
        with open(node.files[-1], "w", encoding="utf-8") as file:
            file.write("[transport]\nper-peer-max = 3\n")
        self.reload(node, "taken")
        refused = lambda: node.metric("transport_refused_total", {"reason": "per_peer"})
        with self.assertRaises(OSError):
            node.get("/healthz")
        self.assertEqual(refused(), 1)
        for one in held:
            one.close()
        wait_until(lambda: answers(node), what="room for one more")

    def test_tickets_from_before_a_client_ca(self):
        node = self.certified()
        session = self.authority.path("session")
        self.assertTrue(s_client(node, "-sess_out", session).answered)
        with open(node.files[-1], "a", encoding="utf-8") as file:
            file.write(f"client-ca = {self.authority.cert}\n")
        self.reload(node, "taken")
        seen = s_client(node, "-sess_in", session)
        self.assertFalse(seen.answered or seen.resumed, "a ticket is no certificate")


def answers(node):
    try:
        return node.get("/healthz").status == 200
    except OSError:
        return False


class Stapling(TlsTest):
    def test_staple_and_its_reload(self):
        self.install("first")
        staple = self.authority.path("staple.der")
        shutil.copy(self.authority.ocsp(self.authority.path("server.crt"), "good"), staple)
        node = self.certified_as_installed(staple)
        self.assertIn("OCSP Response Status: successful", s_client(node, "-status"))
        ends = node.metric("transport_ocsp_next_update_timestamp_seconds")
        self.assertGreater(ends, 1.7e9)
        shutil.copy(self.authority.ocsp(self.authority.path("server.crt"), "revoked", "R"), staple)
        self.reload(node, "refused")
        self.assertRegex(node.stderr(), "transport.ocsp.*staple.der: says that the certificate is revoked")
        self.assertIn("Cert Status: good", s_client(node, "-status"))
        # A certificate without its own response is a mistake: all or nothing.
        self.install("second")
        os.truncate(staple, 0)
        shutil.copy(self.authority.ocsp(self.authority.path("first.crt"), "other"), staple)
        self.reload(node, "refused")
        self.assertIn("says nothing about the certificate", node.stderr())
        shutil.copy(self.authority.ocsp(self.authority.path("server.crt"), "fresh"), staple)
        self.reload(node, "taken")
        self.assertIn("OCSP Response Status: successful", s_client(node, "-status"))

    def certified_as_installed(self, staple):
        return self.node(f"[transport]\ncert = {self.authority.path('server.crt')}\n"
                         f"key = {self.authority.path('server.key')}\nocsp = {staple}\n")

    def fetching(self, answer):
        """(node, responder): a node whose certificate names a responder that says what `answer` returns."""
        responder = Responder(answer)
        self.addCleanup(responder.close)
        cert, key = self.authority.issue("fetching", responder.url)
        return self.node(f"[transport]\ncert = {cert}\nkey = {key}\nocsp-fetch = true\n"), responder

    def test_staple_is_fetched(self):
        def answer(_request):
            with open(self.authority.ocsp(self.authority.path("fetching.crt"), "fetched"), "rb") as file:
                return file.read()
        node, responder = self.fetching(answer)
        wait_until(lambda: node.metric("transport_ocsp_fetches_total", {"outcome": "fetched"}) == 1, 20)
        self.assertIn("Cert Status: good", s_client(node, "-status"))
        self.assertGreater(node.metric("transport_ocsp_next_update_timestamp_seconds"), 1.7e9)
        self.assertEqual(responder.asked, 1)
        # A reload with the same certificate keeps what was fetched.
        self.reload(node, "taken")
        self.assertIn("Cert Status: good", s_client(node, "-status"))
        self.assertEqual(responder.asked, 1)

    def test_fetching_begins_and_ends_with_a_reload(self):
        def answer(_request):
            with open(self.authority.ocsp(self.authority.path("fetching.crt"), "fetched"), "rb") as file:
                return file.read()
        responder = Responder(answer)
        self.addCleanup(responder.close)
        cert, key = self.authority.issue("fetching", responder.url)
        own = f"[transport]\ncert = {cert}\nkey = {key}\n"
        node = self.node(own)
        self.assertIn("OCSP response: no response sent", s_client(node, "-status"))
        for fetch, seen in (("true", "Cert Status: good"), ("false", "OCSP response: no response sent")):
            with open(node.files[-1], "w", encoding="utf-8") as file:
                file.write(own + f"ocsp-fetch = {fetch}\n")
            self.reload(node, "taken")
            wait_until(lambda: seen in s_client(node, "-status"), 20, what=seen)

    def test_a_wrong_answer_is_not_stapled(self):
        other = Authority()
        self.addCleanup(other.close)

        def answer(_request):
            with open(other.ocsp(self.authority.path("fetching.crt"), "forged"), "rb") as file:
                return file.read()
        node, _ = self.fetching(answer)
        wait_until(lambda: node.metric("transport_ocsp_fetches_total", {"outcome": "failed"}) == 1, 20)
        self.assertIn("not signed by the certificate's issuer", node.stderr())
        self.assertIn("OCSP response: no response sent", s_client(node, "-status"))

    def test_fetching_that_cannot_work_never_starts(self):
        self.install("first")
        own = f"cert = {self.authority.path('server.crt')}\nkey = {self.authority.path('server.key')}\n"
        for more, why in ((own + f"ocsp = {self.authority.path('x')}\n",
                           "ocsp-fetch: true contradicts transport.ocsp, which names a file"),
                          ("", "ocsp-fetch: true needs transport.cert"),
                          (own, "ocsp-fetch: the issuer's certificate is not in the chain: transport.cert has to")):
            with self.assertRaises(NodeFailed) as failed:
                self.node("[transport]\nocsp-fetch = true\n" + more)
            self.assertEqual(failed.exception.code, EXIT_CONFIG)
            self.assertIn(why, str(failed.exception))

    def test_nonsense_never_starts(self):
        self.install("first")
        staple = self.authority.path("staple.der")
        with open(staple, "wb") as file:
            file.write(b"\x30\x82nonsense")
        with self.assertRaises(NodeFailed) as failed:
            self.certified_as_installed(staple)
        self.assertEqual(failed.exception.code, EXIT_CONFIG)
        self.assertIn("transport.ocsp", str(failed.exception))


if __name__ == "__main__":
    support.main()
