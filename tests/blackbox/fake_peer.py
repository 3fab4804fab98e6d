"""A node's peer in replication that does as it is told: honest, or one of the kinds that are not."""
import collections
import contextlib
import json
import os
import socket
import ssl
import threading

import cbor
import oap

GROUP = 65536
# What is sent of an object at most when too much is sent.
FLOOD_BYTES = 8 << 20


class FakePeer:
    """Listens until `close`. `keeps(cid)` says what `o.keep` is answered; `gives` how bytes are sent:
    honest, wrong, many (more than were asked for), few, crawl (a byte now and then), cut (half, then the
    connection ends)."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.set_alpn_protocols(["oap/1"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.store = os.urandom(16).hex()
        self.keeps = lambda cid: cid in self.objects
        self.gives = "honest"
        self.objects = {}
        self.asked = collections.Counter()
        self.sent = 0
        self.over = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.over.set()
        self.listener.close()

    def _accept(self):
        while not self.over.is_set():
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as tls:
            tls.settimeout(60)
            hello = oap.frame(oap.RESP, 200, 0, body=oap.hello()[oap.HEADER.size:])
            tls.sendall(hello)
            uploads, buffer = {}, bytearray()
            while not self.over.is_set():
                part = tls.recv(1 << 17)
                if not part:
                    return
                buffer += part
                for raw in oap.split_raw(buffer):
                    self._frame(tls, raw, uploads)

    def _frame(self, tls, raw, uploads):
        _, _, flags, _, app, _, cap, corr = oap.HEADER.unpack_from(raw)
        body = raw[oap.HEADER.size + cap:]
        if app != 1 or not flags & oap.REQ:
            return
        if flags & oap.START:
            size = int.from_bytes(body[2:4], "big")
            name, args = body[16:16 + size].decode(), cbor.loads(body[16 + size:])
            self.asked[name] += 1
            if name == "o.replica":
                uploads[corr] = (args["cid"], bytearray())
            else:
                self._answer(tls, corr, name, args)
            return
        frame = oap.Frame(raw)
        if corr not in uploads:
            return
        cid, content = uploads[corr]
        content += frame.content
        if frame.kind == "data":
            tls.sendall(oap.ack(corr, frame.seq, 64))
            return
        del uploads[corr]
        self.objects[cid] = bytes(content)
        self._map(tls, corr, {"cid": cid, "size": len(content)}, 201)

    def _map(self, tls, corr, result, status=200):
        tls.sendall(oap.frame(oap.RESP, oap.X | status, 1, corr, body=oap.data(
            corr, 1, cbor.dumps(result), flags=oap.RESP)[oap.HEADER.size:]))
        tls.sendall(oap.data(corr, 1, end=True, flags=oap.RESP))

    def _answer(self, tls, corr, name, args):
        if name == "o.peer":
            self._map(tls, corr, {"store": self.store})
        elif name == "o.keep":
            self._map(tls, corr, {"kept": self.keeps(args["cid"])})
        elif name == "o.get":
            self._get(tls, corr, args)
        else:
            self._map(tls, corr, {})

    def _get(self, tls, corr, args):
        content = self.objects.get(args["cid"], b"")
        first, last = args.get("range") or (0, max(len(content), 1) - 1)
        length = last - first + 1
        part = content[first:last + 1]
        if self.gives == "wrong" or (self.gives in ("many", "crawl", "cut") and not part):
            part = os.urandom(length)
        elif self.gives == "few":
            part = part[:-1]
        pieces = [part[at:at + GROUP] for at in range(0, len(part), GROUP)]
        if self.gives == "many":
            pieces += [os.urandom(GROUP)] * (FLOOD_BYTES // GROUP)
        elif self.gives == "cut":
            pieces = [part[:len(part) // 2]]
        elif self.gives == "crawl":
            pieces = [part[at:at + 1] for at in range(len(part))]
        cid = args["cid"]
        tls.sendall(oap.data(corr, 1, cbor.dumps({"cid": cid, "size": len(content)}),
                             flags=oap.RESP))
        for seq, piece in enumerate(pieces, 2):
            tls.sendall(oap.data(corr, seq, piece, flags=oap.RESP,
                                 obj=bytes.fromhex(cid[3:]) if seq == 2 else None))
            self.sent += len(piece)
            if self.gives == "crawl" and self.over.wait(0.2):
                return
        if self.gives == "cut":
            tls.close()
            return
        tls.sendall(oap.data(corr, 1 + len(pieces), end=True, flags=oap.RESP))
