"""A relay that makes a network bad: between a client and a server on loopback, over TCP or UDP.

    from chaos import Impairments, Relay

    with Relay(("127.0.0.1", port), Impairments(delay=0.05, loss=0.02), seed=7) as relay:
        talk_to(relay.address)
        relay.blackhole(2)                     # nothing passes for two seconds
        relay.impairments.loss = 0             # from the next chunk or datagram on
        print(relay.tally)

`scripts/chaos-proxy --help` explains the impairments; it is the same relay as a program.

The relay is one thread with one event loop. Every direction of every connection (with UDP: of every client
address) draws from a random generator of its own, seeded with (seed, number of the connection, direction), so a
decision depends on what went before it in that direction and on nothing else. With TCP the unit of a decision
is a segment of 1448 bytes counted from the first byte, whatever sizes the reads have.
"""
import asyncio
import collections
import random
import threading
import time

from chaos_fate import Impairments
from chaos_tcp import Tcp
from chaos_udp import Udp


def shown(address):
    return ("[%s]:%d" if ":" in address[0] else "%s:%d") % address


class Relay:
    """A relay in a thread of its own. `address` is where clients connect, `tally` what it did.

    `impairments` may be changed at any time and holds from the next segment or datagram on.
    """

    def __init__(self, target, impairments=None, *, udp=False, listen=("127.0.0.1", 0), seed=None):
        self.target, self.listen, self.udp = target, listen, udp
        self.impairments = impairments or Impairments()
        self.impairments.check(udp)
        self.seed = random.randrange(1 << 32) if seed is None else seed
        self.tally, self.hole_until = collections.Counter(), 0.0
        self.carrier = Udp(self) if udp else Tcp(self)
        self.address = self.carrier.socket.getsockname()[:2]
        self.over = threading.Event()  # set when the relay has ended; `failure` says why if nobody asked
        self._loop, self._thread, self.failure = None, None, None

    def count(self, what, n=1):
        self.tally[what] += n

    def start(self):
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        started.wait()
        return self

    def _run(self, started):
        async def whole_life():
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            carrier = self._loop.create_task(self.carrier.run())
            started.set()
            end = self._loop.create_task(self._end.wait())
            await asyncio.wait((carrier, end), return_when=asyncio.FIRST_COMPLETED)
            if carrier.done():
                self.failure = carrier.exception()
            carrier.cancel()
            self.carrier.close()
        try:
            asyncio.run(whole_life())
        finally:
            self.over.set()

    def _do(self, function):
        """Runs a function in the relay's thread and waits for it."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (function(), done.set()))
        if not done.wait(10):
            raise TimeoutError("the relay does not react")

    def blackhole(self, seconds):
        """Nothing passes from now on for so long: UDP is swallowed, TCP waits."""
        self.hole_until = time.monotonic() + seconds

    def reset(self):
        """Ends every TCP connection with a reset, now."""
        self._do(self.carrier.reset)

    def rebind(self):
        """UDP: every client comes from another port, now."""
        self._do(self.carrier.rebind)

    def close(self):
        if self._thread and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
