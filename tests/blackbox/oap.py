"""A small OAP/1 client, written from the wire format alone, for tests of the node's side."""
import base64
import hashlib
import json
import socket
import ssl
import struct

import cbor

REQ, RESP, EVENT, START, END, ACK_REQ, COMP, APP_E2E = (1 << i for i in range(8))
HEADER = struct.Struct(">IHHHH16sHQ")
NO_TENANT = bytes(16)
X = 0x8000


def frame(flags, code=0, app=1, corr=0, cap=b"", body=b"", tenant=NO_TENANT):
    """One frame as it goes over the wire; nothing is checked."""
    return HEADER.pack(HEADER.size + len(cap) + len(body), 1, flags, code, app, tenant, len(cap),
                       corr) + cap + body


def hello(**limits):
    body = {"ua": "test", "versions": [1], "max_frame": 66560, "max_inflight": 64,
            "max_streams": 512, "ack_window": 64, "features": ["x1"]} | limits
    return frame(REQ, app=0, body=json.dumps(body).encode())


def start(corr, name, args=None, *, cap=b"", window=64, end=True, objects=False,
          reply_objects=False, app=1, seq_start=0):
    """START of `name`; with `end` the request has no DATA."""
    args = b"" if args is None else args if isinstance(args, bytes) else cbor.dumps(args)
    name = name.encode()
    block = struct.pack(">BBHIQ", objects | reply_objects << 1, 16, len(name), window, seq_start)
    return frame(REQ | START | (END if end else 0), X, app, corr, cap, block + name + args)


def data(corr, seq, content=b"", *, end=False, obj=None, total=None, flags=REQ, app=1, raw_len=0):
    """DATA, or with `end` END: `seq` is then the last one, with content the next. COMP with `raw_len`."""
    parts = (1 if obj is not None else 0) | (2 if total is not None else 0)
    block = struct.pack(">BBHIQ", parts, 16 + (32 if obj is not None else 0)
                        + (8 if total is not None else 0), 0, raw_len, seq)
    block += (obj or b"") + (struct.pack(">Q", total) if total is not None else b"")
    flags |= (END if end else 0) | (COMP if raw_len else 0)
    return frame(flags, X, app, corr, body=block + content)


def ack(corr, up_to, window):
    return frame(EVENT, 1, 0, corr, body=struct.pack(">QII", up_to, window, 0))


def cancel(corr, app=1):
    return frame(RESP | END, X | 499, app, corr,
                 body=struct.pack(">BBHIQ", 0, 16, 0x1f0, 0, 0) + b"no more")


class Frame:
    """A received frame. kind: hello, ack, error, data or end; `connection` errors have app 0."""

    def __init__(self, raw):
        (self.len, self.ver, self.flags, code, self.app, self.tenant, cap_len,
         self.corr) = HEADER.unpack_from(raw)
        self.status, self.ext = code & 0x7fff, bool(code & X)
        self.body = raw[HEADER.size + cap_len:self.len]
        self.reason = self.seq = self.obj = self.total = None
        self.content = b""
        if self.app == 0 and self.flags == EVENT:
            self.kind = "ack"
            self.up_to, self.window, _ = struct.unpack(">QII", self.body)
        elif self.flags & RESP and self.status >= 400:
            self.kind = "error"
            _, size, self.reason, self.retry_after_ms, self.last_seq = struct.unpack_from(
                ">BBHIQ", self.body)
            self.message = self.body[size:].decode()
        elif self.app == 0:
            self.kind = "hello"
        else:
            self.kind = "end" if self.flags & END else "data"
            parts, size, _, _, self.seq = struct.unpack_from(">BBHIQ", self.body)
            at = 16
            if parts & 1:
                self.obj, at = self.body[at:at + 32], at + 32
            if parts & 2:
                self.total, at = struct.unpack_from(">Q", self.body, at)[0], at + 8
            assert at == size, self.body
            self.content = self.body[size:]

    @property
    def connection(self):
        return self.app == 0

    def __repr__(self):
        return (f"<{self.kind} app={self.app} corr={self.corr} status={self.status} "
                f"reason={self.reason} seq={self.seq} {self.content[:60]!r}>")


def split_raw(buffer):
    """The bytes of the complete frames at the beginning of a bytearray, taken off it."""
    frames, at = [], 0
    while len(buffer) - at >= 4:
        size = int.from_bytes(buffer[at:at + 4], "big")
        if len(buffer) - at < size:
            break
        frames.append(bytes(buffer[at:at + size]))
        at += size
    del buffer[:at]
    return frames


def split(buffer):
    """The complete frames at the beginning of a bytearray, taken off it."""
    return [Frame(raw) for raw in split_raw(buffer)]


class OapError(Exception):
    def __init__(self, error):
        super().__init__(repr(error) + " " + error.message)
        self.status, self.reason, self.error = error.status, error.reason, error


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the digest takes its place
    context.set_alpn_protocols(["oap/1"])
    return context


def connect(node, timeout=10):
    """A TLS 1.3 socket to the node's OAP listener, pinned to its certificate."""
    plain = socket.create_connection(node.address("oap_tls"), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = tls_context().wrap_socket(plain)
    seen = hashlib.sha256(tls.getpeercert(binary_form=True)).hexdigest()
    assert seen == node.ready["cert_sha256"], seen
    assert tls.version() == "TLSv1.3" and tls.selected_alpn_protocol() == "oap/1"
    return tls


def token_bytes(token):
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


class OapClient:
    """A connection that has said HELLO; one request at a time. Context manager."""

    def __init__(self, node, token=None, timeout=10, **limits):
        self.sock = connect(node, timeout)
        self.cap = token_bytes(token) if token else b""
        self.buffer, self.frames, self.corr = bytearray(), [], 0
        self.send(hello(**limits))
        first = self.next()
        assert first.kind == "hello", first
        self.hello = json.loads(first.body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, raw):
        self.sock.sendall(raw)

    def next(self):
        """The next frame; None at the end of the connection."""
        while not self.frames:
            try:
                part = self.sock.recv(1 << 17)
            except ssl.SSLEOFError:
                part = b""
            if not part:
                assert not self.buffer, f"cut inside a frame: {self.buffer!r}"
                return None
            self.buffer += part
            self.frames = split(self.buffer)
        return self.frames.pop(0)

    def of(self, corr):
        """The next frame of a stream that is no ACK."""
        while True:
            f = self.next()
            if f is None:
                raise EOFError("the connection ended")
            if f.corr == corr and f.kind != "ack":
                return f
            if f.kind == "error" and f.connection:
                raise OapError(f)

    def open(self, name, args=None, **options):
        """Sends START with the next corr and returns the corr."""
        self.corr += 1
        self.send(start(self.corr, name, args, cap=options.pop("cap", self.cap), **options))
        return self.corr

    def answer(self, corr):
        """(status, contents of the DATA and END) of a stream, acknowledged as they come."""
        contents = []
        while True:
            f = self.of(corr)
            if f.kind == "error":
                raise OapError(f)
            if f.kind == "data":
                self.send(ack(corr, f.seq, 64))
            if f.kind == "data" or f.content:
                contents.append(f.content)
            if f.kind == "end":
                return f.status, contents

    def call(self, name, args=None, **options):
        """The answer of an operation whose request has no DATA."""
        return self.answer(self.open(name, args, **options))
