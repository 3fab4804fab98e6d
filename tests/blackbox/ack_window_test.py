"""The node says degraded while many streams starve for windows, and ready when they do not."""
# ctest: TIMEOUT 240 LABELS blackbox
import json
import subprocess
import sys
import unittest

import support


class AckWindow(unittest.TestCase):
    def test_readiness_flips_before_anything_ends(self):
        """A short run of the load program; it checks itself and says what it saw."""
        done = subprocess.run(
            [sys.executable, "-B", support.source("bench/load/ack_window_stress"), "--short",
             "--streams", "60", "--connections", "6"], capture_output=True, text=True, timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 1)
        said = json.loads(lines[0])
        print(lines[0])
        self.assertTrue(said["ok"] and said["parity"])
        for mode in ("amnesia", "persistent"):
            run = said[mode]
            self.assertEqual((run["answered"], run["errors"]), (60, 0))
            self.assertLess(run["peak_rss_bytes"], 512 << 20)


if __name__ == "__main__":
    support.main()
