"""Behaves like ron-node as far as support.py relies on it, to test support.py.

Its arguments: --config-file=F..., then what to do: ok | exit=N | silent | slow-stop | exit-on-term=N.
"""
import http.server
import json
import os
import signal
import socket
import ssl
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/metrics":
            self.answer(200, b'# HELP x y\nx{a="1",b="2"} 2\nx{a="2"} 3\nxy 9\n')
        elif self.path == "/environment":
            self.answer(200, json.dumps(dict(os.environ)).encode())
        else:
            self.answer(404, b'{"code":"not_found"}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        echo = {"body": body.decode(), "authorization": self.headers.get("Authorization"),
                "type": self.headers.get("Content-Type")}
        self.answer(201, json.dumps(echo).encode())

    def log_message(self, *_):
        pass


def serve(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def contact(port):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"\0ron-{port}")
    listener.listen()

    def answer():
        while True:
            peer, _ = listener.accept()
            peer.sendall(b'{"cert_sha256":"00","token":"t0"}\n')
            peer.close()

    threading.Thread(target=answer, daemon=True).start()


def main():
    action = sys.argv[-1]
    name, _, value = action.partition("=")
    print("fake node:", action, file=sys.stderr, flush=True)
    if name == "exit":
        sys.exit(int(value))
    signals = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    if name != "silent":
        endpoints, admin = {"http": serve()}, serve()
        endpoints["admin"] = admin
        contact(admin)
        certificate, sha256 = os.environ.get("FAKE_CERT"), os.environ.get("FAKE_CERT_SHA256", "")
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            endpoints["https"] = serve(context)
        addresses = {key: f"127.0.0.1:{port}" for key, port in endpoints.items()}
        print(json.dumps({"ready": True, "pid": os.getpid(), "endpoints": addresses, "cert_sha256": sha256}), flush=True)
    signal.sigwait(signals)
    if name == "slow-stop":
        signal.sigwait(signals)  # a second SIGTERM never comes
    sys.exit(int(value) if name == "exit-on-term" else 0)


if __name__ == "__main__":
    main()
