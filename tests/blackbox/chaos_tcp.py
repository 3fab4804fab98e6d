"""The TCP half of the relay that makes networks bad (chaos.py)."""
import asyncio
import collections
import itertools
import socket
import struct

import chaos_fate
from chaos_fate import DOWN, READ_BYTES, UP, Direction, family_of


class Reset(Exception):
    """The connection is to end with a reset."""


class Stream:
    """One direction of a TCP connection: reads, holds, writes."""

    def __init__(self, direction, source, sink):
        self.direction, self.relay = direction, direction.relay
        self.source, self.sink = source, sink
        self.queue, self.bytes = collections.deque(), 0
        self.changed = asyncio.Event()

    def limit(self):
        """Bytes after which the direction ends, and whether by a reset."""
        plan = self.relay.impairments
        if not self.direction.suffers():
            return None, False
        if plan.reset_after is not None:
            return plan.reset_after, True
        return plan.half_close_after, False

    async def receive(self):
        loop, passed = asyncio.get_running_loop(), 0
        while True:
            plan = self.relay.impairments
            while self.bytes >= plan.queue:
                self.changed.clear()
                await self.changed.wait()
            # Small pieces make a slow line smooth: ten of them a second at least.
            wanted = max(1, min(READ_BYTES, int(plan.throttle / 10))) if plan.throttle else READ_BYTES
            data = bytearray(await loop.sock_recv(self.source, wanted))
            now = loop.time()
            if self.direction.start is None:
                self.direction.start = now
            limit, by_reset = self.limit()
            if limit is not None and data:
                del data[max(0, limit - passed):]
                passed += len(data)
            if data:
                lost = self.direction.damage(data)
                if lost:  # retransmitted one after the other; what comes behind waits
                    now += lost * plan.retransmit
                self.push(self.direction.due(now, len(data)), data)
            ended = limit is not None and passed >= limit
            if ended or not data:
                self.push(self.direction.due(now, 0), Reset() if ended and by_reset else None)
                if ended and not by_reset:
                    self.relay.count("half_closed")
                    while await loop.sock_recv(self.source, READ_BYTES):
                        pass  # the sender may go on; nobody hears it
                return

    def push(self, due, data):
        self.queue.append((due, data))
        self.bytes += len(data) if isinstance(data, bytearray) else 0
        self.changed.set()

    async def send(self):
        loop = asyncio.get_running_loop()
        while True:
            while not self.queue:
                self.changed.clear()
                await self.changed.wait()
            due, data = self.queue[0]
            while (until := max(due, self.direction.swallowed_until(loop.time()))) > loop.time():
                await asyncio.sleep(until - loop.time())
            if isinstance(data, Reset):
                raise data
            if data is None:
                self.sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(self.sink, data)
            self.queue.popleft()
            self.bytes -= len(data)
            self.relay.count(f"bytes_{self.direction.way}", len(data))
            self.changed.set()


def hard_close(*ends):
    """Closes with a reset instead of an end of the stream."""
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()


class Tcp:
    """Accepts, dials the target for each, moves both directions."""

    def __init__(self, relay):
        self.relay, self.tasks = relay, set()
        self.socket = socket.create_server(relay.listen, family=family_of(relay.listen), backlog=1024)
        self.socket.setblocking(False)

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in itertools.count():
            client, _ = await loop.sock_accept(self.socket)
            if len(self.tasks) >= chaos_fate.FLOWS_MAX:
                self.relay.count("refused")
                hard_close(client)
                continue
            task = loop.create_task(self.serve(client, number))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def serve(self, client, number):
        loop = asyncio.get_running_loop()
        server = socket.socket(family_of(self.relay.target), socket.SOCK_STREAM)
        self.relay.count("connections")
        orderly = False
        try:
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(server, self.relay.target)
            streams = [Stream(Direction(self.relay, number, UP), client, server),
                       Stream(Direction(self.relay, number, DOWN), server, client)]
            async with asyncio.TaskGroup() as group:
                for stream in streams:
                    group.create_task(stream.receive())
                    group.create_task(stream.send())
            orderly = True
        except* (Reset, OSError):  # ours, or that of an end; nobody listens at the target
            self.relay.count("resets")
        finally:
            if not orderly:
                hard_close(client, server)
            client.close()
            server.close()

    def reset(self):
        for task in self.tasks:
            task.cancel()
        self.relay.count("resets", len(self.tasks))

    def close(self):
        self.reset()
        self.socket.close()
