"""OAP/1 over QUIC against the example client and server of ngtcp2 1.11 (HTTP/3), in turns.

Each turn is a client of its own on core 0 against a server on core 1: ours moves for about a second,
theirs fetches as many bytes or files as take about a second. Both ask with a short request and get the
payload as the answer, with the same certificate, on one connection, with equally many streams open.
What is compared: payload over wall time from the client's start of transfer to its end; processor time
is the server's. Congestion control is each side's own choice: BBR here, CUBIC there.
"""
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BIN = os.path.join(ROOT, "build/release/bin")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ron-peers/ngtcp2")
PACKAGES = ["ngtcp2-client", "ngtcp2-server", "libngtcp2-16", "libngtcp2-crypto-gnutls8",
            "libnghttp3-9", "libev4t64"]
TICK = os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, file=sys.stderr, flush=True)


def install_peer():
    """The two programs and the libraries they were built with, unpacked beside the root's own."""
    if not os.path.exists(os.path.join(CACHE, "done")):
        os.makedirs(CACHE, exist_ok=True)
        say("quic: fetching the ngtcp2 examples")
        for package in PACKAGES:
            # The root has a newer libngtcp2; the examples want the one of their own release.
            subprocess.run(["apt-get", "download", "-qq", "-t", "trixie", package], cwd=CACHE, check=True,
                           stdout=sys.stderr)
        for name in os.listdir(CACHE):
            if name.endswith(".deb"):
                subprocess.run(["dpkg", "-x", name, "."], cwd=CACHE, check=True)
        open(os.path.join(CACHE, "done"), "w", encoding="utf-8").close()
    found = {}
    for folder, _, names in os.walk(os.path.join(CACHE, "usr")):
        for name in names:
            if name in ("gtlsclient", "gtlsserver", "ngtcp2-client", "ngtcp2-server"):
                found[name.replace("gtls", "ngtcp2-")] = os.path.join(folder, name)
    libraries = []
    for folder, _, names in os.walk(os.path.join(CACHE, "usr/lib")):
        if any(".so." in name for name in names):
            libraries.append(folder)
    environment = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries))
    return found["ngtcp2-client"], found["ngtcp2-server"], environment


def make_certificate(folder):
    key, cert = os.path.join(folder, "key.pem"), os.path.join(folder, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-days", "2"],
                   check=True, stderr=subprocess.DEVNULL)
    return cert, key


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Ours:
    def __init__(self, streams, payload, datagram, cert, key):
        self.server = subprocess.Popen(
            ["taskset", "-c", "1", os.path.join(BIN, "quic_echo_server"), "--datagram", str(datagram),
             "--cert", cert, "--key", key], stdout=subprocess.PIPE, text=True)
        ready = json.loads(self.server.stdout.readline())
        self.command = ["taskset", "-c", "0", os.path.join(BIN, "quic_echo_client"), "--target", ready["listen"],
                        "--pin", ready["cert_sha256"], "--mode", "request", "--streams", str(streams),
                        "--payload", str(payload), "--seconds", "1", "--warmup-ms", "300",
                        "--datagram", str(datagram)]

    def turn(self):
        before = cpu_of(self.server.pid)
        said = json.loads(subprocess.run(self.command, stdout=subprocess.PIPE, check=True).stdout)
        used = cpu_of(self.server.pid) - before
        whole = said["seconds"] + 0.3  # the server also worked during the warm-up
        return said["operations"], said["bytes_in"], said["seconds"], used * said["seconds"] / whole

    def fairness(self):
        """Jain's index of what the streams of one connection got, each sending all it can."""
        words = [w if w != "request" else "echo" for w in self.command]
        return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)["fairness"]

    def close(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.communicate()


class Theirs:
    def __init__(self, streams, payload, requests, folder, cert, key):
        client, server, self.environment = install_peer()
        htdocs = os.path.join(folder, "htdocs")
        os.mkdir(htdocs)
        with open(os.path.join(htdocs, "file"), "wb") as file:
            file.write(b"x" * payload)
        self.payload, self.requests, self.port = payload, requests, 40000 + os.getpid() % 20000
        self.server = subprocess.Popen(
            ["taskset", "-c", "1", server, "-q", "-d", htdocs, f"--max-streams-bidi={streams}", "127.0.0.1",
             str(self.port), key, cert],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.command = ["taskset", "-c", "0", client, "-q", "--exit-on-all-streams-close", "127.0.0.1", str(self.port),
                        f"https://localhost:{self.port}/file"]
        self._await_port()
        self._check_answer(folder)
        self.base = min(self._run(1)[0] for _ in range(3))  # start, handshake and one answer

    def _check_answer(self, folder):
        """An answer is the whole payload, not an error page."""
        self._run(1, f"--download={folder}")
        with open(os.path.join(folder, "file"), "rb") as file:
            if file.read() != b"x" * self.payload:
                raise RuntimeError("the peer's server answers something else")

    def _await_port(self):
        """The server says nothing when it is ready: its socket shows it."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.server.poll() is None:
            with open("/proc/net/udp", encoding="utf-8") as sockets:
                if f":{self.port:04X} " in sockets.read():
                    return
        raise RuntimeError("the peer's server does not start")

    def _run(self, requests, *words):
        before, began = cpu_of(self.server.pid), time.monotonic()
        subprocess.run([*self.command, "-n", str(requests), *words], env=self.environment, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        return time.monotonic() - began, cpu_of(self.server.pid) - before

    def turn(self):
        done = self.requests - 1  # one is in the base
        took, used = self._run(self.requests)
        if took < 0.7:  # this machine is faster than thought: the next turn takes longer
            self.requests = int(self.requests * 1.0 / took) + 1
        return done, done * self.payload, took - self.base, used

    def close(self):
        self.server.kill()
        self.server.wait()


def compare(case, unit, figure, goal, aim, ours, theirs, pairs, note):
    mine, others, ratios, cpu_mine, cpu_others = [], [], [], [], []
    ours.turn()
    theirs.turn()
    for number in range(pairs):
        ours_did, theirs_did = ours.turn(), theirs.turn()
        mine.append(figure(ours_did))
        others.append(figure(theirs_did))
        ratios.append(mine[-1] / others[-1])
        cpu_mine.append(ours_did[3] / figure((ours_did[0], ours_did[1], 1.0)))
        cpu_others.append(theirs_did[3] / figure((theirs_did[0], theirs_did[1], 1.0)))
        say(f"{case} {number + 1}/{pairs}: ours {mine[-1]:.3g}, theirs {others[-1]:.3g} {unit}, {ratios[-1]:.2f}")
    ratio = statistics.median(ratios)
    print(json.dumps({"bench": "quic", "case": case, "unit": unit, "ours": round(statistics.median(mine), 3),
                      "peer": "ngtcp2 1.11 examples", "theirs": round(statistics.median(others), 3),
                      "ratio": round(ratio, 3), "goal": goal, "met": ratio >= aim, "pairs": pairs,
                      "spread": [round(min(ratios), 3), round(max(ratios), 3)],
                      "cpu_ours": round(statistics.median(cpu_mine), 6),
                      "cpu_theirs": round(statistics.median(cpu_others), 6),
                      "note": note + "; cpu: seconds of the server per unit of work"}), flush=True)


def jain(ours):
    index = statistics.median(ours.fairness() for _ in range(3))
    print(json.dumps({"bench": "quic", "case": "fairness-64-streams", "unit": "Jain's index", "ours": round(index, 4),
                      "peer": "the goal itself", "theirs": 0.95, "ratio": round(index / 0.95, 3), "goal": ">= 0.95",
                      "met": index >= 0.95, "pairs": 3}), flush=True)


# name: unit, what is counted, goal as words and number, streams and bytes of ours, requests of theirs
CASES = {"stream": ("Gbit/s", lambda d: d[1] * 8e-9 / d[2], ">= 2x", 2.0, 8, 16 << 20, 24),
         "small": ("requests/s", lambda d: d[0] / d[2], ">= 3x", 3.0, 64, 1024, 30_000)}
# Ours probes for jumbo frames, which loopback has room for; theirs is compared on equal datagrams, too.
DATAGRAMS = {8952: "ours finds datagrams of 8,952 bytes, theirs probes up to 1,444",
             1444: "datagrams of at most 1,444 bytes on both sides"}


def main():
    what = sys.argv[1]
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    unit, figure, goal, aim, streams, payload, requests = CASES[what]
    for datagram, note in DATAGRAMS.items():
        with tempfile.TemporaryDirectory() as folder:
            cert, key = make_certificate(folder)
            ours = Ours(streams, payload, datagram, cert, key)
            theirs = Theirs(streams, payload, requests, folder, cert, key)
            try:
                compare(f"{what}-datagram-{datagram}", unit, figure, goal, aim, ours, theirs, pairs, note)
                if what == "small" and datagram == 8952:
                    jain(ours)
            finally:
                ours.close()
                theirs.close()


if __name__ == "__main__":
    main()
