"""Compressed frames (COMP): only where the node offers them, and never more than it allows."""
import cbor
import oap
import support
from oap import OapClient, OapError
from support import NO_RATES, NodeTest

BLOCK = 65_536


def zstd_frame(blocks):
    """A zstd frame of stored and of run-length blocks: bytes stay as they are, (byte, n) is n times that byte."""
    out = b"\x28\xb5\x2f\xfd\x00" + bytes([(17 - 10) << 3])  # a window of 128 KiB, no length said
    for i, block in enumerate(blocks):
        run = isinstance(block, tuple)
        head = (block[1] if run else len(block)) << 3 | run << 1 | (i + 1 == len(blocks))
        out += head.to_bytes(3, "little") + (block[0] if run else block)
    return out


class Compression(NodeTest):
    def node_with(self, text):
        node = support.Node(NO_RATES + text).start()
        self.addCleanup(node.close)
        return node

    def client(self, node, **says):
        client = OapClient(node, node.operator_token(), **says)
        self.addCleanup(client.sock.close)
        return client

    def put(self, client, frames, body):
        """Uploads `body` as frames of (bytes on the wire, raw_len)."""
        corr = client.open("o.put", {}, end=False, objects=True)
        cid = bytes.fromhex(support.b3(body)[3:])
        for seq, (content, raw_len) in enumerate(frames, 1):
            client.send(oap.data(corr, seq, content, obj=cid if seq == 1 else None, raw_len=raw_len))
        client.send(oap.data(corr, len(frames), end=True))
        status, contents = client.answer(corr)
        return status, cbor.loads(b"".join(contents))

    def test_off_unless_asked_for(self):
        node = self.node_with("")
        client = self.client(node, features=["x1", "zstd"])
        self.assertNotIn("zstd", client.hello["features"])
        corr = client.open("echo", end=False)
        client.send(oap.data(corr, 1, zstd_frame([b"abc"]), raw_len=3))
        with self.assertRaises(OapError) as failed:
            client.of(corr)
        self.assertTrue(failed.exception.error.connection)
        self.assertEqual((failed.exception.status, failed.exception.reason), (400, 8))

    def test_an_object_in_compressed_frames(self):
        node = self.node_with("[oap]\ncompression = true\n")
        client = self.client(node, features=["x1", "zstd"])
        self.assertIn("zstd", client.hello["features"])
        text, run = bytes(range(256)) * 100, b"z" * 100_000
        mixed = zstd_frame([text, (b"z", len(run))])
        body = text + run + b"plain" + text
        frames = [(mixed, len(text + run)), (b"plain", 0), (zstd_frame([text]), len(text))]
        status, answer = self.put(client, frames, body)
        self.assertEqual((status, answer), (201, {"cid": support.b3(body), "size": len(body)}))
        self.assertTrue(node.get("/v1/o/" + support.b3(body)).body == body)

    def test_a_bomb_ends_its_stream_and_leaves_nothing(self):
        node = self.node_with("[oap]\ncompression = true\n")
        client = self.client(node, features=["x1", "zstd"])
        self.assertEqual(client.call("ping"), (200, []))
        bomb = zstd_frame([(b"\0", BLOCK)] * 128)
        body = bytes(128 * BLOCK)
        wrong = zstd_frame([b"abc"])
        for content, raw_len in ((bomb, len(body)), (bomb, 1), (wrong, 2), (wrong, 4),
                                 (wrong + b"x", 3), (wrong[:-1], 3), (b"junk", 9)):
            with self.subTest(content=content[:12], raw_len=raw_len):
                with self.assertRaises(OapError) as failed:
                    self.put(client, [(content, raw_len)], body)
                self.assertFalse(failed.exception.error.connection)
                self.assertEqual((failed.exception.status, failed.exception.reason), (413, 21))
                self.assertEqual(client.call("ping"), (200, []), "the connection lives")
        self.assertEqual(node.metric("oap_rejects_total", {"reason": "frame_oversize"}), 7)
        self.assertEqual(node.get("/v1/o/" + support.b3(body)).status, 404)


if __name__ == "__main__":
    support.main()
