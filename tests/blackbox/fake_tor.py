"""A tor daemon that does what a test says: a control port and a SOCKS port, without a network behind them.

It publishes at once, and what is dialled through its SOCKS port comes out at the target of the onion service.
"""
import contextlib
import hashlib
import hmac
import os
import socket
import struct
import tempfile
import threading

SERVICE = "q" * 56
KEY = "ED25519-V3:" + "QUJD" * 22
SERVER_KEY = b"Tor safe cookie authentication server-to-controller hash"
CLIENT_KEY = b"Tor safe cookie authentication controller-to-server hash"


class FakeTor:
    """`said` are the commands that came, `dialled` (user, host, port) of each SOCKS request."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fake-tor-")
        self.cookie = os.urandom(32)
        self.cookie_file = os.path.join(self.folder.name, "control.authcookie")
        with open(self.cookie_file, "wb") as file:
            file.write(self.cookie)
        self.phase = 100          # percent, as GETINFO answers
        self.answers = {}         # first word of a command -> what to say instead; None: nothing
        self.greeting = None      # bytes to say in place of everything
        self.socks_reply = 0
        self.said, self.dialled, self.target = [], [], None
        self.clients = set()
        self.listeners = {}
        self.control = self.listen("control", self.serve_control, ("127.0.0.1", 0))
        self.socks = self.listen("socks", self.serve_socks, ("127.0.0.1", 0))

    # -- life --

    def listen(self, name, serve, address):
        listener = socket.create_server(address)
        self.listeners[name] = listener
        threading.Thread(target=self.accept, args=(listener, serve), daemon=True).start()
        return listener.getsockname()

    def accept(self, listener, serve):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.clients.add(client)
            threading.Thread(target=self.run, args=(serve, client), daemon=True).start()

    def run(self, serve, client):
        with contextlib.suppress(OSError, IndexError), client:  # who left in the middle of a request
            serve(client)
        self.clients.discard(client)

    def die(self):
        for listener in self.listeners.values():
            with contextlib.suppress(OSError):  # closed already
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for client in list(self.clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def rise(self):
        """Once more, on the same ports."""
        self.listen("control", self.serve_control, self.control)
        self.listen("socks", self.serve_socks, self.socks)

    def close(self):
        self.die()
        self.folder.cleanup()

    # -- control --

    def event(self, text):
        for client in list(self.clients):
            with contextlib.suppress(OSError):
                client.sendall(f"650 {text}\r\n".encode())

    def serve_control(self, client):
        if self.greeting is not None:
            client.sendall(self.greeting)
        for line in client.makefile("rb"):
            command = line.decode().rstrip("\r\n")
            self.said.append(command)
            word = command.split()[0]
            answer = self.answers[word] if word in self.answers else getattr(self, word.lower())(command)
            if answer:
                client.sendall(answer.encode())
            if word == "QUIT":
                return

    def protocolinfo(self, _):
        return ("250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE "
                f'COOKIEFILE="{self.cookie_file}"\r\n250-VERSION Tor="0.4.8"\r\n250 OK\r\n')

    def authchallenge(self, command):
        nonce = os.urandom(32)
        self.message = self.cookie + bytes.fromhex(command.split()[2]) + nonce
        return (f"250 AUTHCHALLENGE SERVERHASH={hmac.new(SERVER_KEY, self.message, hashlib.sha256).hexdigest()} "
                f"SERVERNONCE={nonce.hex()}\r\n")

    def authenticate(self, command):
        right = hmac.new(CLIENT_KEY, self.message, hashlib.sha256).hexdigest()
        return "250 OK\r\n" if command.split()[1].lower() == right else "515 Authentication failed\r\n"

    def setevents(self, _):
        return "250 OK\r\n"

    def getinfo(self, _):
        return (f'250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS={self.phase} TAG=some SUMMARY="x"\r\n'
                "250 OK\r\n")

    def add_onion(self, command):
        target = command.split("Port=")[1].split(",")[1]
        self.target = target if target.startswith("unix:") else (target.rpartition(":")[0],
                                                                 int(target.rpartition(":")[2]))
        key = f"250-PrivateKey={KEY}\r\n" if "NEW:" in command else ""
        return f"250-ServiceID={SERVICE}\r\n{key}250 OK\r\n650 HS_DESC UPLOADED {SERVICE} UNKNOWN $A~b\r\n"

    def del_onion(self, _):
        return "250 OK\r\n"

    def quit(self, _):
        return "250 closing connection\r\n"

    # -- SOCKS --

    def serve_socks(self, client):
        stream = client.makefile("rb")
        stream.read(2 + stream.peek(2)[1])
        client.sendall(b"\5\2")
        stream.read(1)
        user = stream.read(stream.read(1)[0])
        stream.read(stream.read(1)[0])
        client.sendall(b"\1\0")
        stream.read(4)
        host = stream.read(stream.read(1)[0]).decode()
        port = struct.unpack(">H", stream.read(2))[0]
        self.dialled.append((user.decode(), host, port))
        client.sendall(bytes((5, self.socks_reply, 0, 1)) + bytes(6))
        if self.socks_reply:
            return
        if isinstance(self.target, str):
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.target.removeprefix("unix:"))
        else:
            far = socket.create_connection(self.target)
        with far:
            back = threading.Thread(target=move, args=(far, client), daemon=True)
            back.start()
            move(stream, far)
            back.join()


def move(source, sink):
    """Bytes until the end, and the end."""
    read = source.read1 if hasattr(source, "read1") else source.recv
    with contextlib.suppress(OSError):
        while data := read(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
