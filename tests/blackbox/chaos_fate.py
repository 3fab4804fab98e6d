"""What a bad network (chaos.py) does to the pieces of one direction of one connection."""
import dataclasses
import random
import socket

SEGMENT = 1448       # bytes of a TCP stream that are lost or damaged together
READ_BYTES = 65536
FLOWS_MAX = 4096     # connections or UDP clients at once; more are refused
UP, DOWN = "up", "down"  # from the client to the target, and back


@dataclasses.dataclass
class Impairments:
    """What is done to each direction. Seconds, bytes, shares 0..1; 0 or None: not done."""
    delay: float = 0              # everything arrives so much later
    jitter: float = 0             # and up to so much more; the order is kept
    loss: float = 0               # UDP: gone. TCP: held up for `retransmit`, and all behind it
    retransmit: float = 0.2
    duplicate: float = 0          # UDP
    reorder: float = 0            # UDP: overtaken by those within the next `reorder_by`
    reorder_by: float = 0.01
    corrupt: float = 0            # one bit of a segment or datagram is turned over
    throttle: float = 0           # bytes per second
    queue: int = 1 << 20          # bytes on the way; full: UDP drops, TCP does not read on
    blackhole: tuple = None       # (pass for, swallow for, again?), from the first byte of a connection
    rebind: float = 0             # UDP: so often a client's port changes, as the target sees it
    reset_after: int = None       # TCP: so many bytes pass, then both ends get a reset
    half_close_after: int = None  # TCP: so many bytes pass, then the receiver sees the end
    direction: str = "both"       # which of the two suffers: up, down, both
    first: int = None             # only the first so many connections suffer

    def check(self, udp):
        """Raises ValueError for what does not exist with this protocol or has no such value."""
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: a share is between 0 and 1 (100%)")
        for name in ("delay", "jitter", "throttle", "reorder_by", "retransmit", "rebind"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must not be negative")
        if self.queue < 65536:
            raise ValueError("queue: at least 64KiB, one datagram must fit")
        if self.direction not in (UP, DOWN, "both"):
            raise ValueError("direction: up, down or both")
        for name in ("duplicate", "reorder", "rebind"):
            if not udp and getattr(self, name):
                raise ValueError(f"{name}: there is no such thing for a TCP stream; use --udp")
        for name in ("reset_after", "half_close_after"):
            if udp and getattr(self, name) is not None:
                raise ValueError(f"{name}: UDP has no connections to end; leave out --udp")


class Direction:
    """The fate of one direction of one connection: when each piece leaves, and in what state."""

    def __init__(self, relay, number, way):
        self.relay, self.number, self.way = relay, number, way
        self.random = random.Random(f"{relay.seed}/{number}/{way}")
        self.offset = 0        # bytes of the stream decided so far
        self.start = None      # when the first byte came
        self.free_at = 0.0     # when the throttled line is free again
        self.last_due = 0.0

    def suffers(self):
        plan = self.relay.impairments
        return plan.direction in ("both", self.way) and (plan.first is None or self.number < plan.first)

    def swallowed_until(self, now):
        """The end of the black hole that is there now, or 0."""
        end = self.relay.hole_until if self.relay.hole_until > now else 0
        plan = self.relay.impairments
        if plan.blackhole and self.suffers():
            passing, swallowing, again = plan.blackhole
            since = now - self.start
            round_, at = divmod(since, passing + swallowing) if again else (0, since)
            if passing <= at < passing + swallowing:
                end = max(end, self.start + round_ * (passing + swallowing) + passing + swallowing)
        return end

    def due(self, now, size):
        """When a piece of `size` bytes that came now leaves. Never before one that came earlier."""
        plan = self.relay.impairments
        due = now
        if self.suffers():
            if plan.throttle:
                self.free_at = max(self.free_at, now) + size / plan.throttle
                due = self.free_at
            due += plan.delay + (self.random.uniform(0, plan.jitter) if plan.jitter else 0)
        self.last_due = max(self.last_due, due)
        return self.last_due

    def hit(self, share):
        return share > 0 and self.random.random() < share

    def flip(self, data, first, size):
        data[first + self.random.randrange(size)] ^= 1 << self.random.randrange(8)
        self.relay.count("corrupted")

    def damage(self, data):
        """Turns bits of a stream's chunk over; how often a segment in it was lost."""
        plan, lost, at = self.relay.impairments, 0, 0
        if not self.suffers() or not (plan.loss or plan.corrupt):
            self.offset += len(data)
            return 0
        while at < len(data):
            left = SEGMENT - self.offset % SEGMENT
            size = min(left, len(data) - at)
            if left == SEGMENT:  # a segment begins: its fate is drawn once
                lost += self.hit(plan.loss)
                if self.hit(plan.corrupt):
                    self.flip(data, at, size)
            self.offset += size
            at += size
        self.relay.count("lost", lost)
        return lost


def family_of(address):
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
