"""No answer of a write leaves before the commit that contains it is on disk: the system calls say so.

Every write carries a word of its own, and its answer one, too. In the trace of the node the first
page with the word (a write to data.mdb), the end of the sync after it, the end of the write of LMDB's
head (a descriptor with O_DSYNC) and the beginning of the answer (to a socket) must come in this
order. LMDB writes with writev and pwrite64 and makes durable with fdatasync; there is no writable map.
Mail is written to a log first: there the end of the sync is what the answer must wait for.
"""
# ctest: TIMEOUT 300 LABELS blackbox full
import base64
import json
import os
import random
import re
import tempfile
import threading

import support
from support import NO_RATES, NodeTest, program, wait_until

CALLS = "openat,write,writev,sendmsg,sendto,pwrite64,pwritev,fdatasync,fsync,msync"
ROUNDS = 12
WRITERS = 3
CONFIG = NO_RATES + """\
[node]
profile = macronode
roles = ["omnigate", "index", "storage", "mailbox"]
"""
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
DESCRIPTOR = re.compile(r"^(\d+)<([^>]*)>")
LOG = re.compile(r"/log\.\d+$")


class Event:
    """The beginning or the end of a system call; `at` is its place in the trace."""

    def __init__(self, at, call, text, begins, ends):
        self.at, self.call, self.text, self.begins, self.ends = at, call, text, begins, ends
        match = DESCRIPTOR.match(text)
        self.fd, self.path = (int(match[1]), match[2]) if match else (None, "")


def events_of(trace):
    """The calls of a trace as strace -f -y writes it, begin and end apart where others came between."""
    events, open_calls = [], {}
    for at, line in enumerate(trace.splitlines()):
        if match := CALL.match(line):
            unfinished = line.endswith("<unfinished ...>")
            if unfinished:
                open_calls[match[1]] = match[3]
            events.append(Event(at, match[2], match[3], True, not unfinished))
        elif match := RESUMED.match(line):
            begun = open_calls.pop(match[1], "")
            events.append(Event(at, match[2], begun + match[3], False, True))
    return events


def heads_of(events):
    """{(path, descriptor)} that LMDB writes its heads through: opened with O_DSYNC."""
    heads = set()
    for e in events:
        if e.call == "openat" and e.ends and "O_DSYNC" in e.text:
            match = re.search(r"= (\d+)<([^>]*)>", e.text)
            if match:
                heads.add((match[2], int(match[1])))
    return heads


def first(events, after, holds):
    return next((e for e in events[after:] if holds(e)), None)


def violations(trace, writes):
    """What is wrong with the order of `writes`, (word in the page, word in the answer), in a trace."""
    events = events_of(trace)
    heads = heads_of(events)
    place = {id(e): n for n, e in enumerate(events)}
    wrong = []
    for word, answer in writes:
        page = first(events, 0, lambda e: e.call in ("pwrite64", "pwritev", "writev")
                     and e.begins and word in e.text
                     and (e.path.endswith("data.mdb") or LOG.search(e.path)))
        if page is None:
            wrong.append(f"{word}: was never written")
            continue
        sync = first(events, place[id(page)], lambda e: e.call in ("fdatasync", "fsync", "msync")
                     and e.ends and e.path == page.path)
        head = sync
        if sync and not LOG.search(page.path):
            head = first(events, place[id(sync)], lambda e: e.call == "pwrite64" and e.ends
                         and (e.path, e.fd) in heads and e.path == page.path)
        reply = first(events, 0, lambda e: e.begins and answer in e.text
                      and e.call in ("write", "writev", "sendmsg", "sendto")
                      and ("socket:" in e.path or "TCP" in e.path or "UNIX" in e.path))
        if reply is None:
            wrong.append(f"{word}: no answer was seen")
        elif head is None or reply.at < head.at:
            wrong.append(f"{word}: answered at line {reply.at + 1} of the trace, "
                         + (f"durable at line {head.at + 1}" if head else "never durable"))
    return wrong


class Writer(threading.Thread):
    """One object, one name and one message after the other; notes the words of each."""

    def __init__(self, node, token, number):
        super().__init__()
        self.node, self.number = node, number
        self.headers = {"Authorization": f"Bearer {token}"}
        self.writes, self.wrong = [], []

    def run(self):
        connection = self.node.connection(timeout=60)
        dice = random.Random(self.number)
        try:
            for i in range(ROUNDS):
                word = f"word{self.number}x{i}x{dice.randrange(10**9)}end"
                # Small ones, and one whose last group is not its first commit.
                body = word.encode() if i % 4 else b"\0" * 140_000 + word.encode()
                cid = self.ask(connection, "PUT", "/v1/o", body)["cid"]
                self.writes.append((word, cid))
                self.ask(connection, "PUT", f"/v1/names/{word}/n", json.dumps({"cid": cid}))
                self.writes.append((f"{word}/n", f"{word}/n"))
                mail = self.ask(connection, "POST", "/v1/mailbox/jobs", json.dumps(
                    {"payload": base64.b64encode(f"mail{word}".encode()).decode()}))
                self.writes.append((f"mail{word}", mail["message_id"]))
        except (OSError, AssertionError) as e:
            self.wrong.append(repr(e))
        finally:
            connection.close()

    def ask(self, connection, method, path, body):
        connection.request(method, path, body,
                           self.headers | {"Content-Type": "application/json"})
        answer = support.Answer(connection.getresponse())
        assert answer.status in (201, 202), answer
        return answer.json()


class CallOrder(NodeTest):
    def traced_writes(self):
        trace = os.path.join(self.folder(), "trace")
        strace = ["strace", "-D", "-f", "-y", "-v", "-s", "300000", "-o", trace, "-e", "trace=" + CALLS]
        node = self.new_node(CONFIG, command=strace + [program("ron-node")])
        node.arguments.append("--node.data-dir=" + os.path.join(node.folder, "data"))
        node.start(seconds=60)
        pid = node.process.pid
        writers = [Writer(node, node.operator_token(), i) for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(120)
            self.assertEqual(writer.wrong, [])
        node.stop(seconds=60)

        def ended():
            with open(trace, encoding="utf-8", errors="replace") as file:
                text = file.read()
            return text if f"{pid} +++ exited" in re.sub(" +", " ", text) else None
        return wait_until(ended, 30, "the end of the trace"), \
            [w for writer in writers for w in writer.writes]

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name

    def test_no_answer_before_its_commit_is_on_disk(self):
        trace, writes = self.traced_writes()
        self.assertEqual(len(writes), 3 * ROUNDS * WRITERS)
        self.assertEqual(violations(trace, writes), [])
        self.assertRegex(trace, r"fdatasync\(\d+<[^>]*/mailbox/log\.\d+>", "mail has a log")
        syncs = len(re.findall(r"fdatasync\(", trace))
        print(f"{len(writes)} answers after their commits, {syncs} syncs", flush=True)
        self.check_can_fail(trace, writes)

    def check_can_fail(self, trace, writes):
        """The same trace with the order broken: every write is noticed."""
        lines = trace.splitlines()
        without = [line for line in lines if "fdatasync" not in line]
        self.assertEqual(len(violations("\n".join(without), writes)), len(writes))
        # Every answer before everything else.
        early = [line for line in lines if "sendmsg(" in line or "write(" in line]
        early = [line for line in early if "data.mdb" not in line]
        late = [line for line in lines if line not in set(early)]
        self.assertEqual(len(violations("\n".join(early + late), writes)), len(writes))


if __name__ == "__main__":
    support.main()
