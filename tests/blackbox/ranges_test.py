"""Random ranges of an object on disk equal the same bytes of the file it was put from. Prints its seed.

RON_RANGES ranges (10,000 with TEST_FULL=1, of a 1 GiB object), SEED replays a run.
"""
# ctest: TIMEOUT 1200 LABELS blackbox
import os
import random
import subprocess
import time

import oap
import support
from support import NO_RATES, NodeTest, program

FULL = bool(os.environ.get("TEST_FULL"))
RANGES = int(os.environ.get("RON_RANGES") or (10_000 if FULL else 150))
MANY = RANGES >= 1_000
SIZE = (1 << 30) if MANY else (48 << 20) + 12_345  # the smaller one ends inside a group
GROUP = 65_536
RONCTL_EVERY = 50  # a process each
BLOCK = 1 << 20
CONFIG = NO_RATES + """\
[node]
profile = macronode
roles = ["omnigate", "index", "storage", "mailbox"]
[oap]
max-streams = 8192 ; of both sides: twice as many may begin in a second, each range is one
[storage]
quota = 8GiB
"""


def make_source(path, dice):
    with open(path, "wb") as file:
        for at in range(0, SIZE, BLOCK):
            file.write(dice.randbytes(min(BLOCK, SIZE - at)))


def some_range(dice):
    """(first, last): short, group-sized, long, at the borders of groups, at the end."""
    length = dice.choice((1, 2, 100, 4_096, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP + 7))
    length = min(dice.choice((length, dice.randrange(1, 4 * GROUP))), SIZE)
    first = dice.randrange(SIZE - length + 1)
    place = dice.randrange(8)
    if place == 0:
        first = min(first // GROUP * GROUP, SIZE - length)
    elif place == 1:
        first = SIZE - length
    return first, first + length - 1


class Ranges(NodeTest):
    def test_equal_the_source(self):
        seed = int(os.environ.get("SEED", "0")) or int.from_bytes(os.urandom(4), "big")
        print(f"SEED={seed} RANGES={RANGES} SIZE={SIZE}", flush=True)
        dice = random.Random(seed)
        node = self.new_node(CONFIG)
        node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
        node.start()
        self.source = os.path.join(node.folder, "source")
        make_source(self.source, dice)
        self.environment = support.clean_environment(
            {"RONCTL_NODE": node.ready["endpoints"]["oap_tls"],
             "RONCTL_ADMIN": node.ready["endpoints"]["admin"]})
        began = time.monotonic()
        put = subprocess.run([program("ronctl"), "put", self.source], env=self.environment,
                             capture_output=True, text=True, timeout=600)
        self.assertEqual(put.returncode, 0, put)
        cid = next(word for word in put.stdout.split() if word.startswith("b3:"))
        expected = subprocess.run(["b3sum", "--no-names", self.source], capture_output=True,
                                  text=True, check=True).stdout.strip()
        self.assertEqual(cid, "b3:" + expected)
        print(f"put in {time.monotonic() - began:.1f} s", flush=True)
        wanted = [some_range(dice) for _ in range(RANGES)]
        self.fd = os.open(self.source, os.O_RDONLY)
        self.addCleanup(os.close, self.fd)
        for name, read in (("HTTP", self.by_http), ("OAP", self.by_oap),
                           ("ronctl", self.by_ronctl)):
            began = time.monotonic()
            n, bytes_ = read(node, cid, wanted)
            print(f"{name}: {n} ranges, {bytes_} bytes equal to the source in "
                  f"{time.monotonic() - began:.1f} s", flush=True)
        self.assertEqual(node.metric("integrity_fail_total"), 0)
        node.stop()

    def check(self, where, first, last, got):
        """The same bytes as `dd` would give."""
        source = os.pread(self.fd, last - first + 1, first)
        self.assertTrue(source == got, f"{where}: bytes {first}-{last} differ, {len(got)} came")
        return len(got)

    def by_http(self, node, cid, wanted):
        connection = node.connection(timeout=30)
        headers = {"Authorization": "Bearer " + node.operator_token()}
        total = 0
        for first, last in wanted:
            connection.request("GET", "/v1/o/" + cid,
                               headers=headers | {"Range": f"bytes={first}-{last}"})
            answer = support.Answer(connection.getresponse())
            self.assertEqual(answer.status, 206, answer)
            self.assertEqual(answer.headers["Content-Range"], f"bytes {first}-{last}/{SIZE}")
            total += self.check("HTTP", first, last, answer.body)
        connection.close()
        return len(wanted), total

    def by_oap(self, node, cid, wanted):
        total = 0
        with oap.OapClient(node, node.operator_token(), timeout=30, max_streams=8_192) as client:
            for first, last in wanted:
                status, contents = client.call("o.get", {"cid": cid, "range": [first, last]},
                                               reply_objects=True)
                self.assertEqual(status, 206, contents[:1])
                total += self.check("OAP", first, last, b"".join(contents[1:]))
        return len(wanted), total

    def by_ronctl(self, _node, cid, wanted):
        total = 0
        some = wanted[::RONCTL_EVERY]
        for first, last in some:
            done = subprocess.run([program("ronctl"), "get", cid, "-o", "-", "--range",
                                   f"{first}-{last}"], env=self.environment, capture_output=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            total += self.check("ronctl", first, last, done.stdout)
        return len(some), total


if __name__ == "__main__":
    support.main()
