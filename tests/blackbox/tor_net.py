"""A private Tor network on loopback: directory authorities, relays, one client. Nothing leaves this machine.

    from tor_net import TorNet

    with TorNet() as net:                     # some ten seconds; returns when the client has bootstrapped
        talk_through(net.socks)               # ("127.0.0.1", port), with ExtendedErrors
        publish_with(net.control)             # its cookie file is named by PROTOCOLINFO
        net.kill_client(); net.start_client() # same ports

`scripts/tor-private-net` is the same as a program. Needs Debian's package `tor` (./dev exec -g peers).
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from support import die_with_us, wait_until

AUTHORITIES, RELAYS = 3, 2
START_SECONDS = 180
PASSWORD = b"of keys that live as long as the folder\n"

# Votes within seconds at first; each later one costs the machine, but brings in who came late.
VOTES = """\
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 20
V3AuthVoteDelay 4
V3AuthDistDelay 4
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
TestingDirAuthVoteExit *
TestingDirAuthVoteHSDir *
TestingDirAuthVoteGuard *
TestingMinExitFlagThreshold 0
MinUptimeHidServDirectoryV2 0
"""
RELAY = """\
SocksPort 0
ExitRelay 1
ExitPolicy accept *:*
ExitPolicyRejectPrivate 0
"""


class TorFailed(Exception):
    """A daemon ended or did not get ready; the text has the end of its log."""


def free_ports(count):
    """Ports that were free a moment ago; all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


class Control:
    """A connection to a daemon's control port, let in by its cookie."""

    def __init__(self, address, cookie, seconds):
        self.sock = socket.create_connection(address, seconds)
        self.stream = self.sock.makefile("rb")
        self.ask("AUTHENTICATE " + cookie.hex())

    def ask(self, command):
        """The lines of the answer."""
        self.sock.sendall(command.encode() + b"\r\n")
        lines = []
        while True:
            line, data = self.line()
            if line.startswith("650"):
                continue
            if not line.startswith("250"):
                raise TorFailed(f"{command.split()[0]}: {line}")
            lines += [line[4:], *data]
            if line[3] == " ":
                return lines

    def line(self):
        """A line of an answer or event, and the lines of data behind it, if it announces some."""
        line, data = self.read(), []
        if line[3:4] == "+":
            while (more := self.read()) != ".":
                data.append(more)
        return line, data

    def read(self):
        line = self.stream.readline()
        if not line:
            raise TorFailed("the daemon closed its control port")
        return line.decode().rstrip("\r\n")

    def wait_for(self, what, seconds):
        """Reads events until a line contains `what`, and gives it back."""
        deadline = time.monotonic() + seconds
        while True:
            self.sock.settimeout(max(0.01, deadline - time.monotonic()))
            line, _ = self.line()
            if what in line:
                return line

    def close(self):
        self.stream.close()
        self.sock.close()


class Daemon:
    """One tor process in a folder of its own."""

    def __init__(self, net, name, config):
        self.net, self.name, self.config, self.process = net, name, config, None
        self.folder = os.path.join(net.folder, name)
        os.makedirs(os.path.join(self.folder, "keys"), mode=0o700, exist_ok=True)
        os.chmod(self.folder, 0o700)
        self.port_file = os.path.join(self.folder, "control")
        self.cookie_file = os.path.join(self.folder, "control_auth_cookie")

    def start(self):
        rc = os.path.join(self.folder, "torrc")
        with open(rc, "w", encoding="utf-8") as file:
            file.write(f"DataDirectory {self.folder}\nNickname {self.name}\nTestingTorNetwork 1\n"
                       "AssumeReachable 1\nPathsNeededToBuildCircuits 0.67\nContactInfo nobody\n"
                       f"RunAsDaemon 0\nLog notice file {self.folder}/log\nCookieAuthentication 1\n"
                       f"ControlPortWriteToFile {self.port_file}\n" + "".join(self.net.directory) + self.config)
        for left in (self.port_file, self.cookie_file):  # by a life before
            if os.path.exists(left):
                os.unlink(left)
        self.process = subprocess.Popen(["tor", "--defaults-torrc", "/nonexistent", "--ignore-missing-torrc", "-f", rc],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=die_with_us)

    def control(self, seconds=30):
        """A Control, as soon as the daemon has opened its port."""
        def port_and_cookie():
            if self.process.poll() is not None:
                raise TorFailed(f"{self.name}: exit {self.process.returncode}\n{self.log()}")
            try:
                with open(self.port_file, encoding="ascii") as port, open(self.cookie_file, "rb") as cookie:
                    return port.read().strip().rpartition(":")[2], cookie.read()
            except FileNotFoundError:
                return None
        port, cookie = wait_until(port_and_cookie, seconds, f"the control port of {self.name}")
        return Control(("127.0.0.1", int(port)), cookie, seconds)

    def log(self, last=20):
        try:
            with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-last:])
        except FileNotFoundError:
            return ""

    def kill(self):
        """SIGKILL; nobody is told."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class TorNet:
    """`say` is called with a line of progress now and then."""

    def __init__(self, folder=None, say=lambda text: None):
        if not shutil.which("tor-gencert"):
            raise TorFailed("no tor here; ./dev exec -g peers has it")
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="tor-net-")
        self.folder, self.say = folder or self._temporary.name, say
        os.chmod(self.folder, 0o700)
        self.directory, self.daemons = [], []
        ports = free_ports(2 * AUTHORITIES + RELAYS + 2)
        self.socks, self.control = (("127.0.0.1", port) for port in ports[-2:])
        for n in range(AUTHORITIES):
            self.add_authority(f"a{n}", ports[2 * n], ports[2 * n + 1])
        for n in range(RELAYS):
            self.daemons.append(Daemon(self, f"r{n}", f"{RELAY}Address 127.0.0.1\nControlPort auto\n"
                                                      f"ORPort 127.0.0.1:{ports[2 * AUTHORITIES + n]}\n"))
        self.client = Daemon(self, "client", f"SocksPort 127.0.0.1:{self.socks[1]} ExtendedErrors\n"
                                             f"ControlPort 127.0.0.1:{self.control[1]}\n")
        self.daemons.append(self.client)

    def add_authority(self, name, or_port, dir_port):
        daemon = Daemon(self, name, f"{VOTES}{RELAY}Address 127.0.0.1\nControlPort auto\n"
                                    f"ORPort 127.0.0.1:{or_port}\nDirPort 127.0.0.1:{dir_port}\n")
        keys = os.path.join(daemon.folder, "keys")
        subprocess.run(["tor-gencert", "--create-identity-key", "-m", "12", "-a", f"127.0.0.1:{dir_port}",
                        "-i", f"{keys}/authority_identity_key", "-s", f"{keys}/authority_signing_key",
                        "-c", f"{keys}/authority_certificate", "--passphrase-fd", "0"],
                       input=PASSWORD, capture_output=True, check=True)
        with open(f"{keys}/authority_certificate", encoding="ascii") as file:
            identity = next(line.split()[1] for line in file if line.startswith("fingerprint "))
        listed = subprocess.run(["tor", "--defaults-torrc", "/nonexistent", "--ignore-missing-torrc",
                                 "-f", "/nonexistent", "--quiet", "--list-fingerprint", "--Nickname", name,
                                 "--DataDirectory", daemon.folder, "--ORPort", str(or_port), "--ContactInfo", "nobody",
                                 "--DirAuthority", f"x orport=1 no-v2 v3ident={identity} 127.0.0.1:1 {identity}"],
                                capture_output=True, text=True, check=True)
        fingerprint = "".join(listed.stdout.split()[1:])
        self.directory.append(f"DirAuthority {name} orport={or_port} no-v2 v3ident={identity} "
                              f"127.0.0.1:{dir_port} {fingerprint}\n")
        self.daemons.append(daemon)

    def start(self, seconds=START_SECONDS):
        for daemon in self.daemons:
            if daemon is not self.client:
                daemon.start()
        self.await_consensus(seconds)
        self.client.start()
        self.await_client(seconds)
        return self

    def await_consensus(self, seconds):
        """Waits for a consensus with every relay in it. Whoever begins with an earlier one looks for descriptors
        where they are not, and long waits before it looks again."""
        deadline = time.monotonic() + seconds
        control = self.daemons[0].control()
        try:
            control.ask("SETEVENTS NEWCONSENSUS")
            while (there := sum(line.startswith("s ") and " HSDir" in line
                                for line in control.ask("GETINFO ns/all"))) < AUTHORITIES + RELAYS:
                self.say(f"{there} of {AUTHORITIES + RELAYS} relays in the consensus")
                control.wait_for("NEWCONSENSUS", deadline - time.monotonic())
        except (TimeoutError, TorFailed) as error:
            raise TorFailed(f"no consensus with all relays: {error}\n{self.daemons[0].log()}") from None
        finally:
            control.close()

    def await_client(self, seconds=START_SECONDS):
        """Waits until the client has found the network."""
        control = self.client.control()
        try:
            control.ask("SETEVENTS STATUS_CLIENT")
            phase = control.ask("GETINFO status/bootstrap-phase")[0]
            deadline = time.monotonic() + seconds
            while "PROGRESS=100" not in phase:
                self.say(phase.partition("PROGRESS=")[2].replace("TAG=", "% "))
                phase = control.wait_for("BOOTSTRAP PROGRESS=", deadline - time.monotonic())
        except (TimeoutError, TorFailed) as error:
            raise TorFailed(f"the client did not bootstrap: {error}\n{self.client.log()}") from None
        finally:
            control.close()

    def publish(self, ports, seconds=120):
        """The address of a new onion service, port -> target, as soon as clients can find it.

        It lives as long as the client's daemon."""
        control = self.client.control()
        try:
            control.ask("SETEVENTS HS_DESC")
            answer = control.ask("ADD_ONION NEW:ED25519-V3 Flags=DiscardPK,Detach "
                                 + " ".join(f"Port={port},{target}" for port, target in ports.items()))
            service = answer[0].partition("=")[2]
            control.wait_for(f"UPLOADED {service}", seconds)
            return f"{service}.onion"
        except TimeoutError as error:
            raise TorFailed(f"the descriptor was not uploaded: {error}\n{self.client.log()}") from None
        finally:
            control.close()

    def kill_client(self):
        self.client.kill()

    def start_client(self):
        """The same client once more, on the same ports."""
        self.client.start()
        self.await_client()

    def close(self):
        for daemon in self.daemons:
            daemon.kill()
        if self._temporary:
            self._temporary.cleanup()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()
