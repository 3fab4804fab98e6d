"""storage.rf and storage.repair-rate of a node that runs: more copies, fewer, another rate."""
# ctest: TIMEOUT 400 LABELS blackbox
import random
import signal
import time

import support
from replication_case import ReplicationCase
from support import wait_until


class Reload(ReplicationCase):
    def reload(self, node, changes, outcome="taken"):
        """Replaces words of the configuration of a running node, and tells it."""
        with open(node.files[-1], encoding="utf-8") as file:
            text = file.read()
        for before, after in changes.items():
            self.assertEqual(text.count(before), 1, text)
            text = text.replace(before, after)
        with open(node.files[-1], "w", encoding="utf-8") as file:
            file.write(text)
        count = node.metric("reloads_total", {"outcome": outcome})
        node.signal(signal.SIGHUP)
        wait_until(lambda: node.metric("reloads_total", {"outcome": outcome}) == count + 1,
                   what="the reload")

    def shows(self, node, metric, value):
        """Scrapes in quick succession show the same state."""
        wait_until(lambda: node.metric(metric) == value, what=f"{metric} {value}")

    def copies_by_reload(self, profile):
        nodes = self.group(1, profile=profile)
        first, *others = [node.start() for node in nodes]
        stored = {self.put(first, body): body for body in self.bodies(40, 2)}
        self.assertEqual(first.metric("rf_target"), 1)
        self.assertEqual(sum(node.metric("storage_objects") for node in others), 0)
        for copies in (2, 3):  # what is there gets them, too, and what comes while they go
            self.reload(first, {f"rf = {copies - 1}": f"rf = {copies}"})
            self.shows(first, "rf_target", copies)
            more = self.bodies(5, copies + 100)
            stored |= {self.put(first, body): body for body in more}
            wait_until(lambda: first.metric("rf_observed") == copies
                       and sum(node.metric("storage_objects") for node in others)
                       == len(stored) * (copies - 1), 60, f"{copies} copies")
        for cid, body in stored.items():
            for node in others:
                self.assertTrue(self.has(node, cid, body))
        self.reload(first, {"rf = 3": "rf = 1"})
        self.shows(first, "rf_target", 1)
        self.shows(first, "rf_observed", 1)
        alone = self.put(first, b"for nobody else " + profile.encode())
        self.settled(first)
        self.assertEqual([self.has(node, alone) for node in others], [False, False])
        self.assertEqual([node.metric("storage_objects") for node in others], [len(stored)] * 2,
                         "nothing is taken back")
        self.reload(first, {"rf = 1": "rf = 2"})
        stored[alone] = b"for nobody else " + profile.encode()
        wait_until(lambda: first.metric("rf_observed") == 2
                   and any(self.has(node, alone) for node in others), 60, "the copy")
        self.reload(first, {"rf = 2": "rf = 4"}, "refused")
        self.assertEqual(first.metric("rf_target"), 2)
        self.assertIn("storage.peers", first.stderr())
        for node in nodes:
            node.stop()

    def test_copies_by_reload(self):
        self.copies_by_reload("macronode")

    def test_copies_by_reload_in_ram(self):
        self.copies_by_reload("micronode")

    def test_the_rate_by_reload(self):
        first, second = [node.start() for node in self.group(2, n=2, rate="1MiB/s")]
        body = random.Random(6).randbytes(200 << 20)
        cid = self.put(first, body)
        wait_until(lambda: first.metric("replication_bytes_total") > 0
                   or first.metric("replication_pending") == 1, 20, "the begin")
        began = time.monotonic()
        self.reload(first, {"repair-rate = 1MiB/s": "repair-rate = 0MiB/s"})
        self.shows(first, "replication_rate_bytes", 0)
        self.settled(first, 100)
        took = time.monotonic() - began
        self.assertLess(took, 100, "200 MiB at 1 MiB/s would be 200 s")
        self.assertTrue(self.has(second, cid, body))
        for node in (first, second):
            node.stop()


if __name__ == "__main__":
    support.main()
