"""Servers in turns: ours and its peers, each on core 1, loaded from core 0, alternating in one run.

Used by tls-small, tls-stream and tls-handshake. Prints progress on stderr and one JSON line for each
clause of a goal on stdout. A ratio above 1 is better than the peer.
"""
import contextlib
import getpass
import hashlib
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

import h2o

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/blackbox"))
import support  # noqa: E402
BIN = os.path.join(ROOT, "build/release/bin")
SERVER_CORE, CLIENT_CORE = ("1", "0") if (os.cpu_count() or 1) > 1 else ("0", "0")
READY_SECONDS = 15
# Both sides of every pair speak this, or the run fails: left alone, h2load gets AES-256 from nghttpd.
CIPHER, GROUP = "TLS_AES_128_GCM_SHA256", "X25519"
# nghttpd knows no other group than P-256. It matters where handshakes are counted, and that is not by h2load.
GROUPS = f"{GROUP}:P-256"


def say(text):
    print(text, file=sys.stderr, flush=True)


def build(*targets):
    """Builds our programs if they are not up to date."""
    subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "build/release", "--target", *targets], cwd=ROOT, check=True,
                   stdout=sys.stderr)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    """A folder with a certificate and files to serve; servers die with it."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="ron-bench-"))
        self.cert, self.key = self.path("server.crt"), self.path("server.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days", "30",
                        "-keyout", self.key, "-out", self.cert], check=True, capture_output=True)
        der = subprocess.run(["openssl", "x509", "-in", self.cert, "-outform", "der"], check=True,
                             capture_output=True).stdout
        self.pin = hashlib.sha256(der).hexdigest()
        os.mkdir(self.path("www"))
        os.chmod(self.folder, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.stack.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def serve_file(self, name, size):
        with open(self.path("www/" + name), "wb") as file:
            file.write(random.Random(size).randbytes(size))
        return self.path("www/" + name)

    def spawn(self, command, core=SERVER_CORE, **options):
        process = subprocess.Popen(["taskset", "-c", core, *command], cwd=self.folder, **options)
        self.stack.callback(end, process)
        return process


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Server:
    """A server and the processor time it has used."""

    def __init__(self, name, process, port):
        self.name, self.process, self.port = name, process, port
        support.wait_until(self.listens, READY_SECONDS, f"{name} listening")

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def cpu(self):
        """Seconds of all its threads, to the nanosecond."""
        total = 0
        folder = f"/proc/{self.process.pid}/task"
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def ours(world, *arguments):
    process = world.spawn([os.path.join(BIN, "tls_echo_server"), "--listen=127.0.0.1:0",
                           f"--cert={world.cert}", f"--key={world.key}", *arguments],
                          stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline())
    return Server("ours", process, int(ready["listen"].rpartition(":")[2]))


NGINX = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 15000; }}
http {{
  access_log off; sendfile on; tcp_nodelay on; open_file_cache max=10;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000; http2_chunk_size 64k; output_buffers 4 256k;
  server {{
    listen 127.0.0.1:{port} ssl backlog=1024; http2 on; root {folder}/www;
    ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; ssl_buffer_size 16k;
    ssl_session_tickets on; http2_max_concurrent_streams 256;
  }}
}}
"""


def nginx(world):
    port = free_port()
    with open(world.path("nginx.conf"), "w", encoding="ascii") as file:
        file.write(NGINX.format(folder=world.folder, port=port, cert=world.cert, key=world.key))
    process = world.spawn(["nginx", "-p", world.folder, "-c", world.path("nginx.conf")],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Server("nginx h2", process, port)


def nghttpd(world):
    port = free_port()
    process = world.spawn(["nghttpd", "-a", "127.0.0.1", "-n1", "-d", world.path("www"), str(port),
                           world.key, world.cert], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    return Server("nghttpd", process, port)


H2O = """\
listen: {{host: 127.0.0.1, port: {port}, ssl: {{certificate-file: {cert}, key-file: {key}}}}}
user: {user}
num-threads: 1
max-connections: 15000
http2-max-concurrent-requests-per-connection: 256
hosts: {{default: {{paths: {{/: {{file.dir: {folder}/www}}}}}}}}
error-log: {folder}/h2o.log
"""


def h2o_server(world):
    program, environment = h2o.find()
    port = free_port()
    with open(world.path("h2o.conf"), "w", encoding="ascii") as file:
        file.write(H2O.format(folder=world.folder, port=port, cert=world.cert, key=world.key,
                              user=getpass.getuser()))
    process = world.spawn([program, "-c", world.path("h2o.conf")], env=environment,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Server("h2o", process, port)


def h2_servers(world):
    """The HTTP/2 servers there are, and what to say of those that are missing."""
    found, missing = [], []
    for name, make in (("h2o", h2o_server), ("nghttpd", nghttpd), ("nginx", nginx)):
        try:
            found.append(make(world))
        except (OSError, RuntimeError, TimeoutError) as error:
            say(f"{name}: {error}")
            missing.append(name)
    if not found:
        raise RuntimeError("no HTTP/2 server runs here: ./dev bench peer installs them")
    note = "the best of " + ", ".join(server.name for server in found)
    return found, note + (f"; {', '.join(missing)} cannot run here" if missing else "")


def client(world, server, *arguments, group=GROUP, port=None):
    """One run of our client on the other core: its JSON line plus the server's processor time. `port`: of what stands
    in front of the server."""
    before = server.cpu()
    done = subprocess.run(["taskset", "-c", CLIENT_CORE, os.path.join(BIN, "tls_echo_client"),
                           f"--target=127.0.0.1:{port or server.port}", f"--pin={world.pin}",
                           "--warmup-ms=0", *arguments], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tls_echo_client: {done.stdout} {done.stderr}")
    result = json.loads(done.stdout)
    if (result["cipher"], result["group"]) != (CIPHER, group):
        raise RuntimeError(f"{server.name} speaks {result['cipher']} and {result['group']}")
    result["server_cpu"] = server.cpu() - before
    return result


def h2load(server, path, seconds, conns, streams, *more):
    """One run of h2load in the same words as `client`."""
    before = server.cpu()
    done = subprocess.run(["taskset", "-c", CLIENT_CORE, "h2load", "-t1", f"-c{conns}", f"-m{streams}",
                           f"-D{seconds}", f"--tls13-ciphers={CIPHER}", f"--groups={GROUPS}", *more,
                           f"https://127.0.0.1:{server.port}/{path}"],
                          capture_output=True, text=True, timeout=120, check=False)
    rate = re.search(r"finished in ([\d.]+)s, ([\d.]+) req/s, ([\d.]+)([KMG]?)B/s", done.stdout)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    data = re.search(r"\((\d+)\) data", done.stdout)
    if not rate or not counts or int(counts[2]) == 0 or int(counts[3]):
        raise RuntimeError(f"h2load against {server.name}: {done.stdout} {done.stderr}")
    if f"Cipher: {CIPHER}" not in done.stdout:
        raise RuntimeError(f"{server.name} does not speak {CIPHER}: {done.stdout}")
    took = float(rate[1])
    return {"operations": int(counts[2]), "per_second": float(rate[2]), "server_cpu": server.cpu() - before,
            "gbit_per_second": int(data[1]) * 8e-9 / took, "bytes_in": int(data[1])}


def h2load_times(world, server, path, seconds, conns):
    """Percentiles in microseconds with one request in flight on each connection.

    At a given rate they would be worth nothing: `--rps` sends bursts each 10 ms or so.
    """
    log = world.path("h2load.log")
    with contextlib.suppress(FileNotFoundError):
        os.remove(log)
    result = h2load(server, path, seconds, conns, 1, f"--log-file={log}")
    with open(log, encoding="ascii") as file:
        times = sorted(int(line.split("\t")[2]) for line in file)
    at = lambda q: float(times[min(len(times) - 1, int(q * len(times)))])
    return result | {"p50_us": at(0.5), "p99_us": at(0.99)}


def check_bytes(world, server, name):
    """Fetches a file once, by a client that is not h2load, and compares every byte. Not timed."""
    done = subprocess.run(["nghttp", f"https://127.0.0.1:{server.port}/{name}"], capture_output=True,
                          timeout=60, check=True)
    with open(world.path("www/" + name), "rb") as file:
        if done.stdout != file.read():
            raise RuntimeError(f"{server.name} sends other bytes of {name}")


def middle(values):
    return statistics.median(values)


class Clause:
    """One comparison: `figure(result)` of ours against the best peer; less may be better."""

    def __init__(self, case, unit, goal, figure, less=False):
        self.case, self.unit, self.goal, self.figure, self.less = case, unit, goal, figure, less

    def ratio(self, mine, theirs):
        return theirs / mine if self.less else mine / theirs


def cpu_us(result):
    return result["server_cpu"] * 1e6 / result["operations"]


def compare(bench, pairs, clauses, run_ours, runs, note=None):
    """Runs ours and each of `runs` (name -> function) in turns; prints a line for each clause."""
    mine, theirs = [], {name: [] for name in runs}
    for i in range(pairs):
        mine.append(run_ours())
        for name, run in runs.items():
            theirs[name].append(run())
        say(f"{bench}: {clauses[0].case}, pair {i + 1} of {pairs}: ours "
            f"{clauses[0].figure(mine[-1]):.5g}, "
            + ", ".join(f"{name} {clauses[0].figure(all_[-1]):.5g}" for name, all_ in theirs.items())
            + f" {clauses[0].unit}")
    for clause in clauses:
        of = lambda all_, c=clause: [c.figure(r) for r in all_]
        best = (min if clause.less else max)(theirs, key=lambda name: middle(of(theirs[name])))
        ratios = [clause.ratio(a, b) for a, b in zip(of(mine), of(theirs[best]))]
        cpu = {side: middle([cpu_us(r) for r in all_]) if "server_cpu" in all_[0] else None
               for side, all_ in (("ours", mine), ("theirs", theirs[best]))}
        line = {"bench": bench, "case": clause.case, "unit": clause.unit, "ours": middle(of(mine)),
                "peer": best, "theirs": middle(of(theirs[best])), "ratio": round(middle(ratios), 4),
                "goal": f">= {clause.goal:.4g}x", "met": middle(ratios) >= clause.goal, "pairs": pairs,
                "spread": [round(min(ratios), 4), round(max(ratios), 4)], "cpu_ours": cpu["ours"],
                "cpu_theirs": cpu["theirs"]}
        if note:
            line["note"] = note
        print(json.dumps(line), flush=True)


def arguments(usage, seconds=1):
    """PAIRS, SECONDS and CASE of the command line; `seconds` if it does not say."""
    words = sys.argv[1:]
    if len(words) > 3 or (words and not words[0].isdigit()):
        say(usage)
        sys.exit(2)
    return (int(words[0]) if words else 9, int(words[1]) if len(words) > 1 else seconds,
            words[2] if len(words) > 2 else "")
