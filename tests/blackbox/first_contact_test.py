"""From a fresh node to the first write, and where its secrets must not show up."""
import base64
import hashlib
import re
import socket
import ssl
import subprocess

import oap
import support
from support import NodeTest, program


class FirstContact(NodeTest):
    def test_operator_socket(self):
        node = self.node()
        contact = node.first_contact()
        self.assertEqual(set(contact), {"cert_sha256", "token"})
        self.assertEqual(contact["cert_sha256"], node.ready["cert_sha256"])
        raw = oap.token_bytes(contact["token"])
        self.assertEqual(base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
                         contact["token"].rstrip("="))

    def test_certificate_is_the_one_of_tls(self):
        node = self.node()
        for endpoint in ("https", "oap_tls"):
            pem = ssl.get_server_certificate(node.address(endpoint))
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
            self.assertEqual(digest, node.first_contact()["cert_sha256"], endpoint)

    def test_tls_is_1_3_only(self):
        node = self.node()
        for endpoint in ("https", "oap_tls"):
            context = oap.tls_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with self.assertRaises(ssl.SSLError):
                with socket.create_connection(node.address(endpoint), 5) as plain:
                    context.wrap_socket(plain)

    def test_token_opens_writes(self):
        node = self.node()
        told = subprocess.run([program("ronctl"), "token", "--admin",
                               node.ready["endpoints"]["admin"]],
                              capture_output=True, text=True, timeout=20, check=True)
        self.assertEqual(told.stderr, "")
        token = told.stdout.strip()
        for endpoint in ("http", "https"):
            body = f"by {endpoint}".encode()
            put = node.http("PUT", "/v1/o", body, token=token, endpoint=endpoint)
            self.assertEqual((put.status, put.json()),
                             (201, {"cid": support.b3(body), "size": len(body)}))
            self.assertEqual(node.get(put.headers["Location"], endpoint=endpoint).body, body)

    def test_writes_are_never_anonymous(self):
        node = self.node()
        cid = support.b3(b"x")
        for method, path, body in (("PUT", "/v1/o", b"x"), ("PUT", "/v1/o/" + cid, b"x"),
                                   ("PUT", "/v1/names/a/b", {"cid": cid}),
                                   ("DELETE", "/v1/names/a/b", None),
                                   ("PUT", "/v1/manifests/" + cid, {}),
                                   ("POST", "/v1/mailbox/t", {"payload": ""}),
                                   ("POST", "/v1/mailbox/t/receive", {}),
                                   ("POST", "/v1/mailbox/t/ack", {"receipts": ["1.1"]}),
                                   ("GET", "/v1/mailbox/t/dlq", None)):
            answer = node.http(method, path, body)
            self.assertEqual(answer.status, 401, (method, path, answer))
            said = answer.json()
            self.assertEqual((said["code"], said["reason"], said["retryable"]),
                             ("unauth", "unauth", False))
            self.assertEqual(said["corr_id"], answer.headers["X-Corr-ID"])
            self.assertIn("Bearer", answer.headers["WWW-Authenticate"])
        self.assertEqual(node.metric("rejected_total", {"reason": "unauth"}), 9)
        with oap.OapClient(node) as client:
            with self.assertRaises(oap.OapError) as refused:
                client.call("name.put", {"name": "a/b", "cid": cid})
            self.assertEqual((refused.exception.status, refused.exception.reason), (401, 0x101))

    def test_forged_tokens(self):
        node = self.node(support.NO_RATES)
        token = node.operator_token()
        raw = oap.token_bytes(token)
        forged = [base64.urlsafe_b64encode(raw[:i] + bytes([raw[i] ^ 1]) + raw[i + 1:])
                  for i in range(0, len(raw), 3)]
        forged += [base64.urlsafe_b64encode(raw[:-1]), b"AAAA", b"!", b"x" * 6000]
        for value in forged:
            answer = node.http("PUT", "/v1/o", b"x", token=value.decode().rstrip("="))
            self.assertIn(answer.status, (401, 403), answer)
        for value in ("Basic eDp4", "Bearer", "bearer", f"Bearer {token} x"):
            answer = node.http("PUT", "/v1/o", b"x", {"Authorization": value})
            self.assertEqual(answer.status, 401, (value, answer))
        self.assertEqual(node.http("PUT", "/v1/o", b"x", token=token).status, 201)

    def test_no_secret_is_told(self):
        node = self.node("[log]\nlevel = trace\n")
        token = node.operator_token()
        node.http("PUT", "/v1/o", b"x", token=token)
        node.http("PUT", "/v1/o/b3:nonsense", b"x", token=token)
        node.http("PUT", "/v1/o", b"x", token=token[:-4] + "AAAA")
        with oap.OapClient(node, token) as client:
            client.call("name.list")
        places = {
            "/metrics": node.get("/metrics", endpoint="admin").body.decode(),
            "actors": node.get("/debug/v1/actors", endpoint="admin").body.decode(),
        }
        node.stop()
        places["log"] = node.stderr(last=10**6)
        places["cmdline"] = " ".join(node.command + node.arguments)
        # The signature is the last part of a macaroon: no run of a token's bytes may show.
        parts = [token[i:i + 16] for i in range(0, len(token) - 16, 8)]
        for place, text in places.items():
            for part in parts:
                self.assertNotIn(part, text, place)
            self.assertIsNone(re.search(r"(?i)bearer\s+\w", text), place)


if __name__ == "__main__":
    support.main()
