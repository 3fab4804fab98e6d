"""What sslscan finds on the TLS listeners: 1.3 and nothing else."""
# ctest: TIMEOUT 180 LABELS blackbox full
import subprocess

import support
from support import NodeTest


class Scan(NodeTest):
    def test_13_and_nothing_else(self):
        node = self.node()
        for endpoint in ("https", "oap_tls"):
            host, port = node.address(endpoint)
            done = subprocess.run(["sslscan", "--no-colour", f"{host}:{port}"], capture_output=True,
                                  text=True, timeout=120, check=True)
            state = dict(line.split()[:2] for line in done.stdout.splitlines()
                         if line.startswith(("SSLv", "TLSv")) and len(line.split()) == 2)
            self.assertEqual(state.pop("TLSv1.3"), "enabled", done.stdout)
            self.assertEqual(set(state.values()), {"disabled"}, done.stdout)
            self.assertNotIn("vulnerable to heartbleed\n",
                             done.stdout.replace("not vulnerable to heartbleed\n", ""))


if __name__ == "__main__":
    support.main()
