"""Objects over HTTP: what is stored, what comes back, and what is refused on the way in."""
# ctest: TIMEOUT 180 LABELS blackbox
import gzip
import json
import random
import re
import zlib

import cbor
import support
from rawhttp import RawHttp
from support import NO_RATES, NodeTest

ULID = re.compile("^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
TRACEPARENT = re.compile("^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")
ERROR_FIELDS = {"code", "message", "reason", "retryable", "corr_id"}


class ObjectsCase(NodeTest):
    """One node and one token for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)
        cls.token = cls.ron.operator_token()

    def ask(self, method, path, body=None, headers=None, token="own", **options):
        """A request with the token; every answer has what section 5 says of all of them."""
        token = self.token if token == "own" else token
        answer = self.ron.http(method, path, body, headers, token=token, **options)
        self.check(answer)
        return answer

    def check(self, answer, body=True):
        self.assertRegex(answer.headers["traceparent"], TRACEPARENT)
        self.assertIsNotNone(answer.headers["X-Corr-ID"], answer)
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        if answer.status >= 400 and body:
            self.check_error(answer)
        return answer

    def check_error(self, answer):
        type_ = answer.headers["Content-Type"]
        said = cbor.loads(answer.body) if type_ == "application/cbor" else json.loads(answer.body)
        self.assertLessEqual(ERROR_FIELDS, set(said))
        self.assertLessEqual(set(said), ERROR_FIELDS | {"retry_after_ms"})
        self.assertEqual(said["corr_id"], answer.headers["X-Corr-ID"])
        self.assertTrue(said["message"])

    def refused(self, status, code, reason, answer):
        self.assertEqual(answer.status, status, answer)
        said = answer.json()
        self.assertEqual((said["code"], said["reason"]), (code, reason))

    def put(self, body):
        """Stores bytes; the path of the object."""
        answer = self.ask("PUT", "/v1/o", body)
        self.assertIn(answer.status, (200, 201), answer)
        return answer.headers["Location"]


class Store(ObjectsCase):
    def test_put_new_and_again(self):
        body = b"twice the same"
        cid = support.b3(body)
        for status in (201, 200):
            answer = self.ask("PUT", "/v1/o", body)
            self.assertEqual((answer.status, answer.json()), (status, {"cid": cid, "size": 14}))
            self.assertEqual(answer.headers["Location"], "/v1/o/" + cid)
            self.assertEqual(answer.headers["Content-Type"], "application/json")

    def test_put_under_its_id(self):
        body = b"named by its hash"
        cid = support.b3(body)
        self.refused(409, "digest_mismatch", "digest", self.ask("PUT", "/v1/o/" + cid, b"other"))
        self.assertEqual(self.ask("GET", "/v1/o/" + cid).status, 404)
        self.assertEqual(self.ask("PUT", "/v1/o/" + cid, body).status, 201)
        for bad in ("b3:12", "b3:" + "G" * 64, cid.upper(), "sha256:" + "0" * 64):
            self.refused(400, "bad_request", "bad_request", self.ask("PUT", "/v1/o/" + bad, body))

    def test_empty_object(self):
        location = self.put(b"")
        self.assertTrue(location.endswith(support.b3(b"")))
        for method in ("GET", "HEAD"):
            answer = self.ask(method, location)
            self.assertEqual((answer.status, answer.body, answer.headers["Content-Length"]),
                             (200, b"", "0"))
        ranged = self.check(self.ron.get(location, headers={"Range": "bytes=0-0"}), body=False)
        self.assertEqual((ranged.status, ranged.headers["Content-Range"]), (416, "bytes */0"))

    def test_large_and_chunked(self):
        dice = random.Random(5)
        body = dice.randbytes(5 << 20)
        cid = support.b3(body)
        pieces = (body[i:i + 70_001] for i in range(0, len(body), 70_001))
        connection = self.ron.connection()
        self.addCleanup(connection.close)
        connection.request("PUT", "/v1/o", pieces, {"Authorization": f"Bearer {self.token}"},
                           encode_chunked=True)
        answer = support.Answer(connection.getresponse())
        self.assertEqual((answer.status, answer.json()), (201, {"cid": cid, "size": 5 << 20}))
        for endpoint in ("http", "https"):
            got = self.ask("GET", "/v1/o/" + cid, endpoint=endpoint)
            self.assertEqual(got.headers["Content-Length"], str(5 << 20))
            self.assertTrue(got.body == body)
        first, last = 1_000_003, 4_000_007
        got = self.ask("GET", "/v1/o/" + cid, headers={"Range": f"bytes={first}-{last}"})
        self.assertTrue(got.status == 206 and got.body == body[first:last + 1])

    def test_body_is_opaque(self):
        for coding in ("gzip", "identity", "zstd", "unheard-of"):
            self.refused(415, "unsupported_media_type", "coding",
                         self.ask("PUT", "/v1/o", b"x", {"Content-Encoding": coding}))
        body = b'{"not": "parsed'
        location = self.put(body)
        put = self.ask("PUT", "/v1/o", body, {"Content-Type": "application/json"})
        self.assertEqual((put.status, put.headers["Location"]), (200, location))

    def test_object_cap_and_quota(self):
        node = self.node(NO_RATES + "[storage]\nobject-bytes-max = 64KiB\nquota = 256KiB\n")
        token = node.operator_token()
        answer = node.http("PUT", "/v1/o", bytes(65_537), token=token)
        self.assertEqual((answer.status, answer.json()["reason"]), (413, "body_cap"))
        statuses = [node.http("PUT", "/v1/o", bytes([i]) * 65_536, token=token).status
                    for i in range(8)]
        self.assertEqual(statuses[:3], [201] * 3)
        self.assertEqual(statuses[-1], 507)
        full = node.http("PUT", "/v1/o", b"\7" * 65_536, token=token)
        self.assertEqual((full.json()["code"], full.json()["reason"]),
                         ("insufficient_storage", "store_quota"))
        first = node.get("/v1/o/" + support.b3(bytes(65_536)))
        self.assertEqual((first.status, len(first.body)), (200, 65_536))


class Fetch(ObjectsCase):
    BODY = bytes(range(256)) * 1_000

    def setUp(self):
        super().setUp()
        self.path = self.put(self.BODY)
        self.etag = '"' + self.path.rpartition("/")[2] + '"'

    def test_get_and_head(self):
        for path in (self.path, self.path.removeprefix("/v1")):
            got = self.ask("GET", path, token=None)
            self.assertEqual((got.status, got.body == self.BODY), (200, True))
            head = self.ask("HEAD", path, token=None)
            for answer in (got, head):
                fields = answer.headers
                self.assertEqual(fields["ETag"], self.etag)
                self.assertEqual(fields["Accept-Ranges"], "bytes")
                self.assertEqual(fields["Content-Length"], str(len(self.BODY)))
                self.assertEqual(fields["Cache-Control"], "public, max-age=31536000, immutable")
                self.assertEqual(fields["Content-Security-Policy"], "sandbox; default-src 'none'")
                self.assertEqual(fields["Content-Disposition"], "attachment")
                self.assertEqual(fields["Content-Type"], "application/octet-stream")
            self.assertEqual((head.status, head.body), (200, b""))

    def test_ranges(self):
        size = len(self.BODY)
        for value, first, last in (("0-0", 0, 0), ("5-9", 5, 9), ("255990-", 255_990, size - 1),
                                   ("-10", size - 10, size - 1), (f"0-{size}", 0, size - 1),
                                   (f"-{size + 5}", 0, size - 1),
                                   ("65530-65545", 65_530, 65_545)):
            got = self.ask("GET", self.path, headers={"Range": "bytes=" + value})
            self.assertEqual(got.status, 206, value)
            self.assertEqual(got.headers["Content-Range"], f"bytes {first}-{last}/{size}")
            self.assertEqual(got.headers["Content-Length"], str(last - first + 1))
            self.assertTrue(got.body == self.BODY[first:last + 1], value)

    def test_ranges_that_are_ignored(self):
        for value in ("bytes=1-2,4-5", "bytes=5-2", "bytes=a-b", "items=0-1", "bytes=", "bytes=-",
                      "bytes 0-1", "bytes=0x1-2", "bytes=+1-2"):
            got = self.ask("GET", self.path, headers={"Range": value})
            self.assertEqual((got.status, len(got.body)), (200, len(self.BODY)), value)
        head = self.ask("HEAD", self.path, headers={"Range": "bytes=0-1"})
        self.assertEqual((head.status, head.headers["Content-Length"]), (200, str(len(self.BODY))))

    def test_unsatisfiable(self):
        for value in (f"{len(self.BODY)}-", "999999999-", "-0", "18446744073709551615-"):
            got = self.ask("GET", self.path, headers={"Range": "bytes=" + value})
            self.refused(416, "range_not_satisfiable", "range", got)
            self.assertEqual(got.headers["Content-Range"], f"bytes */{len(self.BODY)}")

    def test_if_none_match(self):
        for value in (self.etag, "*", f'"x", {self.etag}', "W/" + self.etag):
            for method in ("GET", "HEAD"):
                got = self.ask(method, self.path, headers={"If-None-Match": value})
                self.assertEqual((got.status, got.body), (304, b""), value)
                self.assertEqual(got.headers["ETag"], self.etag)
        for value in ('"x"', self.etag.strip('"')):
            got = self.ask("GET", self.path, headers={"If-None-Match": value})
            self.assertEqual(got.status, 200, value)
        both = self.ask("GET", self.path, headers={"If-None-Match": self.etag, "Range": "bytes=0-1"})
        self.assertEqual(both.status, 304)

    def test_if_range(self):
        for value, status in ((self.etag, 206), ('"other"', 200), ("W/" + self.etag, 200)):
            got = self.ask("GET", self.path, headers={"If-Range": value, "Range": "bytes=0-9"})
            self.assertEqual(got.status, status, value)
            self.assertTrue(got.body == (self.BODY[:10] if status == 206 else self.BODY))

    def test_unknown_object(self):
        missing = "/v1/o/b3:" + "0" * 64
        self.refused(404, "not_found", "not_found", self.ask("GET", missing))
        head = self.check(self.ron.http("HEAD", missing), body=False)
        self.assertEqual((head.status, head.body), (404, b""))
        self.refused(400, "bad_request", "bad_request", self.ask("GET", "/v1/o/b3:zz"))

    def test_keep_alive(self):
        connection = self.ron.connection()
        self.addCleanup(connection.close)
        socket_of = set()
        for i in range(20):
            connection.request("GET", self.path, headers={"Range": f"bytes={i}-{i + 9}"})
            response = connection.getresponse()
            self.assertEqual((response.status, response.read()), (206, self.BODY[i:i + 10]))
            socket_of.add(id(connection.sock))
        connection.request("GET", "/v1/o/b3:bad")  # an error does not end the connection
        self.assertEqual((connection.getresponse().read() != b"", connection.sock is not None),
                         (True, True))
        self.assertEqual(len(socket_of), 1)

    def test_pipelined_requests_are_answered_in_order(self):
        with RawHttp(self.ron) as raw:
            line = "GET %s HTTP/1.1\r\nHost: h\r\nRange: bytes=%d-%d\r\n\r\n"
            raw.send("".join(line % (self.path, i, i) for i in range(30)).encode())
            got = b"".join(raw.answer().body for _ in range(30))
            self.assertEqual(got, self.BODY[:30])


class EveryAnswer(ObjectsCase):
    def test_corr_id(self):
        for own in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"):
            for path in ("/v1/names", "/nothing", "/v1/o/b3:bad", "/healthz"):
                got = self.ask("GET", path, headers={"X-Corr-ID": own})
                self.assertEqual(got.headers["X-Corr-ID"], own)
        minted = set()
        for bad in ("", "x" * 26, "not one", "8" + "Z" * 25, "1" * 400):
            got = self.ask("GET", "/v1/names", headers={"X-Corr-ID": bad})
            self.assertRegex(got.headers["X-Corr-ID"], ULID)
            minted.add(got.headers["X-Corr-ID"])
        self.assertEqual(len(minted), 5)

    def test_traceparent(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        got = self.ask("GET", "/v1/names", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        self.assertIn(trace, got.headers["traceparent"])
        self.assertNotIn("00f067aa0ba902b7", got.headers["traceparent"])
        for bad in ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", "ff-" + trace + "-00f067aa0ba902b7-01"):
            got = self.ask("GET", "/v1/names", headers={"traceparent": bad})
            self.assertNotIn(bad[3:35], got.headers["traceparent"])

    def test_cbor(self):
        self.put(b"cbor")
        cid = support.b3(b"cbor")
        as_cbor = {"Accept": "application/cbor"}
        put = self.ask("PUT", "/v1/o", b"cbor", as_cbor)
        self.assertEqual(put.headers["Content-Type"], "application/cbor")
        self.assertEqual(cbor.loads(put.body), {"cid": cid, "size": 4})
        bad = self.ask("GET", "/v1/o/b3:bad", headers=as_cbor)
        self.assertEqual(bad.headers["Content-Type"], "application/cbor")
        for accept in ("application/json, application/cbor;q=0.5", "*/*", "text/html"):
            got = self.ask("GET", "/v1/names", headers={"Accept": accept})
            self.assertEqual(got.headers["Content-Type"], "application/json")
        name = self.ask("PUT", "/v1/names/cbor/x", cbor.dumps({"cid": cid}),
                        {"Content-Type": "application/cbor"})
        self.assertEqual(name.status, 201, name)

    def test_unknown_routes_and_methods(self):
        for path in ("/", "/v1", "/v2/o", "/v1/o/x/y", "/metrics", "/debug/v1/actors", "/v1//o"):
            self.refused(404, "not_found", "not_found", self.ask("GET", path))
        for method, path, allowed in (("POST", "/v1/o", {"PUT"}), ("GET", "/v1/o", {"PUT"}),
                                      ("PATCH", "/v1/names/a", {"PUT", "DELETE"}),
                                      ("PUT", "/v1/names", {"GET", "HEAD"})):
            got = self.ask(method, path)
            self.refused(405, "method_not_allowed", "method", got)
            self.assertLessEqual(allowed, {m.strip() for m in got.headers["Allow"].split(",")})

    def test_strict_arguments(self):
        for path in ("/v1/names?limit=0", "/v1/names?limit=1001", "/v1/names?limit=ten",
                     "/v1/names?surprise=1", "/v1/names?limit=1&limit=2", "/v1/names?prefix=%zz"):
            self.refused(400, "bad_request", "bad_request", self.ask("GET", path))
        cid = support.b3(b"")
        for body in (b"", b"[]", b"{", b'{"cid":"x"}', b'{"cid":1}',
                     json.dumps({"cid": cid, "surprise": 1}).encode(),
                     f'{{"cid":"{cid}","cid":"{cid}"}}'.encode(), b"\xff", b"[" * 5_000):
            self.refused(400, "bad_request", "bad_request", self.ask("PUT", "/v1/names/a", body))
        self.refused(415, "unsupported_media_type", "media_type",
                     self.ask("PUT", "/v1/names/a", b"x", {"Content-Type": "text/plain"}))


class Framing(ObjectsCase):
    """Requests that two servers could read in two ways, and heads and bodies beyond the caps."""

    AMBIGUOUS = {
        "length and coding": ["Content-Length: 3", "Transfer-Encoding: chunked"],
        "coding and length": ["Transfer-Encoding: chunked", "Content-Length: 3"],
        "two lengths": ["Content-Length: 3", "Content-Length: 3"],
        "list of lengths": ["Content-Length: 3, 3"],
        "signed length": ["Content-Length: +3"],
        "negative length": ["Content-Length: -3"],
        "hex length": ["Content-Length: 0x3"],
        "leading zero": ["Content-Length: 03"],
        "huge length": ["Content-Length: 99999999999999999999"],
        "empty length": ["Content-Length: "],
        "unknown coding": ["Transfer-Encoding: gzip"],
        "stacked codings": ["Transfer-Encoding: gzip, chunked"],
        "chunked twice": ["Transfer-Encoding: chunked, chunked"],
        "two codings": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        "identity": ["Transfer-Encoding: identity"],
        "chunked with a tail": ["Transfer-Encoding: chunked;x=1"],
        "folded line": ["X-A: b", " c"],
        "blank before colon": ["Content-Length : 3"],
        "no colon": ["nonsense"],
        "empty name": [": x"],
        "control in value": ["X-A: a\x01b"],
        "bare CR": ["X-A: a\rb"],
        "bare LF": ["X-A: a\nContent-Length: 3"],
        "two hosts": ["Host: other"],
    }

    def refused_and_closed(self, raw, status, reason):
        answer = self.check(raw.answer())
        self.assertEqual((answer.status, answer.json()["reason"]), (status, reason), answer)
        self.assertTrue(raw.closed())

    def test_ambiguous_forms(self):
        before = self.ron.metric("rejected_total", {"reason": "bad_request"})
        for what, fields in self.AMBIGUOUS.items():
            with self.subTest(what), RawHttp(self.ron) as raw:
                raw.request("PUT /v1/o HTTP/1.1", *fields, body=b"abc")
                self.refused_and_closed(raw, 400, "bad_request")
        counted = self.ron.metric("rejected_total", {"reason": "bad_request"}) - before
        self.assertEqual(counted, len(self.AMBIGUOUS))

    def test_bad_request_lines(self):
        for line in ("GET /v1/names", "GET  /v1/names HTTP/1.1", "GET /v1/names HTTP/2.0",
                     "GET /v1/names HTTP/1.2", "BREW /v1/names HTTP/1.1", "get /v1/names HTTP/1.1",
                     "GET v1/names HTTP/1.1", "GET http://other/v1/names HTTP/1.1",
                     "GET /v1/na mes HTTP/1.1", "GET /v1/n\x7fames HTTP/1.1"):
            with self.subTest(line), RawHttp(self.ron) as raw:
                raw.request(line)
                self.refused_and_closed(raw, 400, "bad_request")
        for line in ("CONNECT h:1 HTTP/1.1", "TRACE / HTTP/1.1"):
            with self.subTest(line), RawHttp(self.ron) as raw:
                raw.request(line)
                self.assertEqual(self.check(raw.answer()).status, 405)
        for head in (b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n",
                     b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0\0\0\0\r\n\r\n"):
            with self.subTest(head), RawHttp(self.ron) as raw:
                raw.send(head)
                self.refused_and_closed(raw, 400, "bad_request")
        with RawHttp(self.ron) as raw:
            raw.request("PUT /v1/o HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")
            self.refused_and_closed(raw, 400, "bad_request")

    def test_forms_that_are_fine(self):
        with RawHttp(self.ron) as raw:
            raw.request(f"GET http://{raw.host}/healthz HTTP/1.1", "X-Empty:")
            self.assertEqual(raw.answer().status, 200)
            raw.request("GET /healthz HTTP/1.1", "Connection: close")
            self.assertEqual(raw.answer().headers["Connection"], "close")
            self.assertTrue(raw.closed())
        with RawHttp(self.ron) as raw:
            raw.request("GET /healthz HTTP/1.0")
            self.assertEqual(raw.answer().status, 200)
            self.assertTrue(raw.closed())

    def test_bad_chunks(self):
        token = f"Authorization: Bearer {self.token}"
        for body in (b"zz\r\nabc\r\n0\r\n\r\n", b"3\r\nabcX\r\n0\r\n\r\n", b"-1\r\n", b"3\nabc\r\n0\r\n\r\n",
                     b"ffffffffffffffff1\r\n", b"0x3\r\nabc\r\n0\r\n\r\n",
                     b"3\r\nabc\r\n0\r\nbad trailer\r\n\r\n"):
            with self.subTest(body), RawHttp(self.ron) as raw:
                raw.request("PUT /v1/o HTTP/1.1", token, "Transfer-Encoding: chunked", body=body)
                self.refused_and_closed(raw, 400, "bad_request")

    def test_large_heads(self):
        for what, fields in (("one field", ["X-A: " + "a" * 9_000]),
                             ("many bytes", [f"X-{i}: " + "a" * 90 for i in range(90)]),
                             ("many fields", [f"X-{i}: a" for i in range(101)])):
            with self.subTest(what), RawHttp(self.ron) as raw:
                raw.request("GET /healthz HTTP/1.1", *fields)
                self.refused_and_closed(raw, 431, "headers")
        with self.subTest("target"), RawHttp(self.ron) as raw:
            raw.request(f"GET /v1/names?prefix={'a' * 5_000} HTTP/1.1")
            self.refused_and_closed(raw, 431, "headers")
        with self.subTest("below"), RawHttp(self.ron) as raw:
            raw.request("GET /healthz HTTP/1.1", "X-A: " + "a" * 7_900)
            self.assertEqual(raw.answer().status, 200)

    def test_json_body_cap(self):
        big = b'{"payload":"' + b"A" * (1 << 20) + b'"}'
        with RawHttp(self.ron) as raw:  # refused by its declared length, before a byte of it
            raw.request("POST /v1/mailbox/t HTTP/1.1", f"Authorization: Bearer {self.token}",
                        f"Content-Length: {len(big)}")
            answer = self.check(raw.answer())
            self.assertEqual((answer.status, answer.json()["reason"]), (413, "body_cap"))
        with RawHttp(self.ron) as raw:
            raw.request("POST /v1/mailbox/t HTTP/1.1", f"Authorization: Bearer {self.token}",
                        "Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(big), big))
            self.assertEqual(self.check(raw.answer()).json()["reason"], "body_cap")
        fits = b'{"payload":"' + b"A" * ((1 << 20) - 64) + b'"}'
        self.assertEqual(self.ask("POST", "/v1/mailbox/big", fits).status, 202)

    def test_compressed_bodies(self):
        body = json.dumps({"payload": "aGVsbG8=", "attrs": {"a": "b"}}).encode()
        for coding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
            got = self.ask("POST", "/v1/mailbox/packed", packed, {"Content-Encoding": coding})
            self.assertEqual(got.status, 202, got)
            cut = self.ask("POST", "/v1/mailbox/packed", packed[:-4], {"Content-Encoding": coding})
            self.refused(400, "bad_request", "bad_request", cut)
        for coding in ("br", "gzip, gzip", "gzip, deflate", "compress"):
            self.refused(415, "unsupported_media_type", "coding",
                         self.ask("POST", "/v1/mailbox/t", b"x", {"Content-Encoding": coding}))

    def test_bombs(self):
        for coding, packed in (("gzip", gzip.compress(b" " * (50 << 20))),
                               ("deflate", zlib.compress(b" " * (50 << 20)))):
            before = rss_kib(self.ron)
            got = self.ask("POST", "/v1/mailbox/t", packed, {"Content-Encoding": coding})
            self.assertEqual(got.status, 413, got)
            self.assertIn(got.json()["reason"], ("ratio_cap", "decompress_cap", "body_cap"))
            self.assertLess(rss_kib(self.ron) - before, 16 << 10)

    def test_expect(self):
        token = f"Authorization: Bearer {self.token}"
        with RawHttp(self.ron) as raw:
            raw.request("PUT /v1/o HTTP/1.1", token, "Content-Length: 5", "Expect: 100-continue")
            self.assertEqual(raw.answer().status, 100)
            raw.send(b"hello")
            self.assertEqual(self.check(raw.answer()).json()["cid"], support.b3(b"hello"))
        with RawHttp(self.ron) as raw:  # no 100 for what is refused anyway
            raw.request("PUT /v1/o HTTP/1.1", "Content-Length: 5", "Expect: 100-continue")
            self.assertEqual(self.check(raw.answer()).status, 401)
        with RawHttp(self.ron) as raw:
            raw.request("POST /v1/mailbox/t HTTP/1.1", token, "Content-Length: 2000000",
                        "Expect: 100-continue")
            self.assertEqual(self.check(raw.answer()).status, 413)
        with RawHttp(self.ron) as raw:
            raw.request("PUT /v1/o HTTP/1.1", token, "Content-Length: 5", "Expect: something")
            self.assertEqual(self.check(raw.answer()).status, 417)

    def test_early_errors_are_readable(self):
        """A refused upload: the answer arrives although the body is not read."""
        for size in (1 << 16, 8 << 20):
            with self.subTest(size), RawHttp(self.ron) as raw:
                raw.request("PUT /v1/o HTTP/1.1", f"Content-Length: {size}")
                raw.send(bytes(min(size, 1 << 17)))
                self.assertEqual(self.check(raw.answer()).status, 401)


def rss_kib(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


if __name__ == "__main__":
    support.main()
