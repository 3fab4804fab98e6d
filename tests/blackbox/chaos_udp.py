"""The UDP half of the relay that makes networks bad (chaos.py)."""
import asyncio
import collections
import heapq
import itertools
import socket
import time

import chaos_fate
from chaos_fate import DOWN, READ_BYTES, UP, Direction, family_of

DATAGRAMS_A_TURN = 64   # received before others have their turn
IDLE_SECONDS = 120      # a client address that is silent for so long is forgotten
BUFFER_BYTES = 4 << 20  # of each socket, in the kernel


class Client:
    """A client address of the UDP relay and the socket that speaks to the target for it."""

    def __init__(self, relay, number, address, now):
        self.relay, self.number, self.address, self.socket = relay, number, address, None
        self.up, self.down = Direction(relay, number, UP), Direction(relay, number, DOWN)
        self.held = {UP: 0, DOWN: 0}  # bytes on the way
        self.used = now
        self.bind(now)

    def bind(self, now):
        """A new socket: the target sees the client come from another port."""
        self.close()
        self.socket = socket.socket(family_of(self.relay.target), socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        enlarge(self.socket)
        self.socket.connect(self.relay.target)
        self.bound = now
        asyncio.get_running_loop().add_reader(self.socket, self.relay.carrier.answer, self)

    def close(self):
        if self.socket:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.socket.close()


class Udp:
    """One socket for all clients, one towards the target for each, one heap of what is on the way."""

    def __init__(self, relay):
        self.relay, self.clients, self.numbers = relay, collections.OrderedDict(), itertools.count()
        self.socket = socket.socket(family_of(relay.listen), socket.SOCK_DGRAM)
        self.socket.bind(relay.listen)
        self.socket.setblocking(False)
        enlarge(self.socket)
        self.heap, self.order, self.timer = [], itertools.count(), None

    async def run(self):
        asyncio.get_running_loop().add_reader(self.socket, self.ask)
        await asyncio.Event().wait()

    def client_of(self, address, now):
        client = self.clients.get(address)
        if client is None:
            for old in list(itertools.takewhile(lambda c: now - c.used > IDLE_SECONDS, self.clients.values())):
                self.clients.pop(old.address).close()
            if len(self.clients) >= chaos_fate.FLOWS_MAX:
                self.relay.count("refused")
                return None
            client = self.clients[address] = Client(self.relay, next(self.numbers), address, now)
            self.relay.count("connections")
        client.used = now
        self.clients.move_to_end(address)
        return client

    def ask(self):
        now = time.monotonic()
        for data, address in received(self.socket):
            if client := self.client_of(address, now):
                rebind = self.relay.impairments.rebind
                if rebind and client.up.suffers() and now - client.bound >= rebind:
                    client.bind(now)
                    self.relay.count("rebound")
                self.take(client, client.up, bytearray(data), now)

    def answer(self, client):
        now = time.monotonic()
        for data, _ in received(client.socket):
            client.used = now
            self.take(client, client.down, bytearray(data), now)

    def take(self, client, direction, data, now):
        """Decides about one datagram and sends it, now or later."""
        plan, count = self.relay.impairments, self.relay.count
        if direction.start is None:
            direction.start = now
        if direction.swallowed_until(now):
            return count("swallowed")
        copies, late = 1, 0
        if direction.suffers():
            if direction.hit(plan.loss):
                return count("lost")
            if direction.hit(plan.corrupt) and data:
                direction.flip(data, 0, len(data))
            if direction.hit(plan.duplicate):
                copies = 2
                count("duplicated")
            if direction.hit(plan.reorder):
                late = plan.reorder_by
                count("reordered")
        for _ in range(copies):
            if client.held[direction.way] + len(data) > plan.queue:
                count("overflowed")
                continue
            due = direction.due(now, len(data)) + late
            client.held[direction.way] += len(data)
            heapq.heappush(self.heap, (due, next(self.order), client, direction.way, data))
        self.release()

    def release(self):
        """Sends what is due and sets the timer for the rest."""
        now = time.monotonic()
        while self.heap and self.heap[0][0] <= now:
            _, _, client, way, data = heapq.heappop(self.heap)
            client.held[way] -= len(data)
            try:
                if way == UP:
                    client.socket.send(data)
                else:
                    self.socket.sendto(data, client.address)
                self.relay.count(f"bytes_{way}", len(data))
            except OSError:  # a full socket, nobody there, or the client forgotten: gone, as on a real line
                self.relay.count("unsent")
        if self.timer:
            self.timer.cancel()
        self.timer = asyncio.get_running_loop().call_at(self.heap[0][0], self.release) if self.heap else None

    def rebind(self):
        now = time.monotonic()
        for client in self.clients.values():
            client.bind(now)
        self.relay.count("rebound", len(self.clients))

    def close(self):
        for client in self.clients.values():
            client.close()
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


def enlarge(udp):
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        udp.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)


def received(udp):
    """The datagrams that are there, some at a time."""
    for _ in range(DATAGRAMS_A_TURN):
        try:
            yield udp.recvfrom(READ_BYTES)
        except ConnectionRefusedError:  # nobody listens at the target (any more): what UDP does not say
            continue
        except OSError:
            return
