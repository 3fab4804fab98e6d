"""HTTP/1.1 by hand: what http.client would not send, and answers read byte by byte."""
import email.parser
import json
import socket


class RawAnswer:
    """status, headers (case-insensitive), body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class RawHttp:
    """One connection; context manager. Every wait ends after `timeout` seconds."""

    def __init__(self, node, endpoint="http", timeout=10):
        self.host = node.ready["endpoints"][endpoint]
        self.sock = socket.create_connection(node.address(endpoint), timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        """Sends bytes as they are; a peer that has closed already is no error here."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def request(self, line, *headers, body=b""):
        """Sends `line` with a right Host and `headers`, each as it is."""
        head = [line, f"Host: {self.host}", *headers, "", ""]
        self.send("\r\n".join(head).encode() + body)

    def answer(self, head_only=False):
        """The next answer, interim ones (100) included."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        status_line, _, fields = head.partition("\r\n")
        version, status = status_line.split(" ")[:2]
        assert version == "HTTP/1.1", head
        status = int(status)
        headers = email.parser.Parser().parsestr(fields, headersonly=True)
        body = b""
        if not head_only and status >= 200 and status not in (204, 304):
            body = self._exactly(int(headers["Content-Length"]))
        return RawAnswer(status, headers, body)

    def closed(self):
        """True once the peer has ended the connection; what it still sends must be nothing."""
        try:
            return self.buffer == b"" and self.sock.recv(65536) == b""
        except ConnectionResetError:
            return True

    def _more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the connection ended after {self.buffer!r}")
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        part, _, self.buffer = self.buffer.partition(mark)
        return part + mark

    def _exactly(self, size):
        while len(self.buffer) < size:
            self._more()
        part, self.buffer = self.buffer[:size], self.buffer[size:]
        return part
