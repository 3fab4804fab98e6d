"""Certificates and s_client for tests of TLS: a program that is not ours on both ends of the question."""
import http.server
import os
import re
import subprocess
import tempfile
import threading


def openssl(*arguments, data=b"", check=True, timeout=20):
    """Runs the openssl program: CompletedProcess, stdout and stderr as bytes."""
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=check,
                          timeout=timeout)


class Authority:
    """A certificate authority in a folder of its own."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ron-ca-")
        self.folder = self._folder.name
        self.cert, self.key = self.path("ca.crt"), self.path("ca.key")
        self.serial = 0x1000
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", "/CN=test authority", "-days", "30", "-keyout", self.key, "-out", self.cert)

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        self._folder.cleanup()

    def issue(self, name, ocsp_url=None):
        """(chain file, key file) of a fresh certificate for localhost, written in place. With `ocsp_url` it names
        that address, and the chain has the authority's certificate, too."""
        self.serial += 1
        cert, key, request = self.path(name + ".crt"), self.path(name + ".key"), self.path(name + ".csr")
        extensions = self.path(name + ".ext")
        with open(extensions, "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
            if ocsp_url:
                file.write(f"authorityInfoAccess=OCSP;URI:{ocsp_url}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=" + name, "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", "30",
                "-set_serial", str(self.serial), "-extfile", extensions, "-out", cert)
        if ocsp_url:
            with open(cert, "a", encoding="ascii") as chain, open(self.cert, encoding="ascii") as issuer:
                chain.write(issuer.read())
        return cert, key

    def ocsp(self, cert, name, status="V"):
        """A DER response about `cert`, good for a day; status R: revoked."""
        index, response = self.path(name + ".idx"), self.path(name + ".der")
        serial = openssl("x509", "-in", cert, "-noout", "-serial").stdout.decode().strip().split("=")[1]
        revoked = "250101000000Z" if status == "R" else ""
        with open(index, "w", encoding="ascii") as file:
            file.write(f"{status}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN={name}\n")
        openssl("ocsp", "-index", index, "-rsigner", self.cert, "-rkey", self.key, "-CA", self.cert,
                "-issuer", self.cert, "-cert", cert, "-respout", response, "-ndays", "1")
        return response


class Responder:
    """An OCSP authority on loopback: every POST is answered with `answer(request)`, DER in and out."""

    def __init__(self, answer):
        responder = self
        self.answer, self.asked = answer, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                responder.asked += 1
                request = self.rfile.read(int(self.headers["Content-Length"]))
                body = responder.answer(request)
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/status" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Seen:
    """What s_client saw."""

    def __init__(self, done):
        self.code = done.returncode
        self.text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")

    @property
    def answered(self):
        return "HTTP/1.1 200" in self.text

    @property
    def resumed(self):
        return "\nReused, TLSv1.3" in self.text

    def __contains__(self, words):
        return words in self.text

    def __repr__(self):
        return self.text


def s_client(node, *arguments, endpoint="https", data=HEALTH):
    """One connection of s_client that asks for /healthz."""
    host, port = node.address(endpoint)
    return Seen(openssl("s_client", "-connect", f"{host}:{port}", "-ign_eof", *arguments, data=data,
                        check=False))


def ticket_key_name(session_file):
    """The first 16 bytes of the ticket in a session that s_client wrote: the name of its key."""
    text = openssl("sess_id", "-in", session_file, "-noout", "-text").stdout.decode()
    return re.search(r"TLS session ticket:\s*0000 - ((?:[0-9a-f]{2}[ -]){16})", text).group(1)
