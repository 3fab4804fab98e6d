"""A micronode keeps everything in RAM: it opens no file for writing and leaves nothing behind."""
import os
import re
import shutil
import subprocess
import tempfile

import oap
import support
from support import NO_RATES, NodeTest, program, wait_until

CALLS = ("open,openat,openat2,creat,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat,link,"
         "linkat,symlink,symlinkat,mknod,mknodat,truncate,ftruncate,memfd_create")
HARMLESS = ("/dev/null", "/dev/tty", "/proc/")
MARKER = b"a marker that nobody else writes 7f3a91"


def use(node):
    """All kinds of work: objects small and large, names, views, mail, both wires, errors."""
    token = node.operator_token()
    for body in (b"", MARKER, MARKER * 40_000):
        put = node.http("PUT", "/v1/o", body, token=token)
        assert put.status == 201, put
        assert node.get(put.headers["Location"]).body == body
        assert node.get(put.headers["Location"], headers={"Range": "bytes=1-2"}).status in (206, 416)
    cid = put.json()["cid"]
    for i in range(50):
        assert node.http("PUT", f"/v1/names/amnesia/{i}", {"cid": cid}, token=token).status == 201
    assert node.get("/v1/view/object/amnesia/1").status == 200
    assert node.http("DELETE", "/v1/names/amnesia/1", token=token).status == 204
    for i in range(20):
        sent = node.http("POST", "/v1/mailbox/a", {"payload": "aGk=", "key": str(i)}, token=token)
        assert sent.status == 202
    got = node.http("POST", "/v1/mailbox/a/receive", {"max": 100}, token=token, endpoint="https")
    receipts = [m["receipt"] for m in got.json()["messages"]]
    assert len(receipts) == 20
    node.http("POST", "/v1/mailbox/a/ack", {"receipts": receipts}, token=token)
    with oap.OapClient(node, token) as client:
        assert client.call("o.get", {"cid": cid}, reply_objects=True)[0] == 200
    node.get("/metrics", endpoint="admin")
    node.get("/debug/v1/actors", endpoint="admin")
    node.get("/nothing")


def finished(trace, pid):
    """The text of a trace once it has the end of the process."""
    with open(trace, encoding="utf-8", errors="replace") as lines:
        text = lines.read()
    return text if re.search(rf"^{pid} .*\+\+\+ exited", text, re.M) else None


def writable_opens(trace):
    """The lines of a trace that change the file system or open something for writing."""
    bad = []
    for line in trace.splitlines():
        call = re.match(r"(?:\[pid +)?\d*\]? *(\w+)\((.*)\) += (-?\d+|\?)", line)
        if not call or call[3].startswith("-"):
            continue
        if call[1].startswith("open"):
            path = re.search(r'"([^"]*)"', call[2])
            if not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_TMPFILE", call[2]):
                continue
            if path and path[1].startswith(HARMLESS):
                continue
        bad.append(line)
    return bad


class Amnesia(NodeTest):
    def test_no_file_is_opened_for_writing(self):
        """By system call trace where that is permitted, in any case by what the kernel counts."""
        trace = os.path.join(tempfile.mkdtemp(), "trace")
        self.addCleanup(shutil.rmtree, os.path.dirname(trace))
        probe = subprocess.run(["strace", "-o", trace, "true"], capture_output=True)
        strace = ["strace", "-D", "-f", "-o", trace, "-e", "trace=" + CALLS]
        traced = probe.returncode == 0
        node = self.new_node(NO_RATES, command=(strace if traced else []) + [program("ron-node")])
        node.start()
        pid = node.process.pid  # with -D strace is not its parent
        before, listing = io_of(pid), sorted(os.listdir(node.folder))
        use(node)
        after = io_of(pid)
        self.assertEqual(after["write_bytes"], before["write_bytes"])
        self.assertEqual(self.writable_descriptors(pid, node), [])
        node.stop()
        self.assertEqual(sorted(os.listdir(node.folder)), listing)
        if traced:
            text = wait_until(lambda: finished(trace, pid), what="the end of the trace")
            self.assertIn("openat(", text, "the trace is empty")
            self.assertEqual(writable_opens(text), [])
        print("traced" if traced else "strace is not permitted: /proc only")

    def writable_descriptors(self, pid, node):
        """Regular files that the process has open for writing; stderr is ours."""
        found = []
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if not target.startswith("/") or target.startswith(HARMLESS):
                continue
            if target == os.path.join(node.folder, "stderr"):
                continue
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
                flags = int(re.search(r"flags:\s+(\d+)", info.read())[1], 8)
            if flags & (os.O_WRONLY | os.O_RDWR):
                found.append(target)
        return found

    def test_no_marker_in_the_log(self):
        node = self.node(NO_RATES + "[log]\nlevel = trace\n")
        use(node)
        node.stop()
        self.assertNotIn(MARKER.decode(), node.stderr(10**6))

    def test_runs_where_nothing_can_be_written(self):
        """No folder that it might want is writable: its home, temporary and working folder."""
        node = self.new_node(env={"HOME": "/proc", "TMPDIR": "/proc"}, command=[
            "sh", "-c", 'ulimit -f 0; ulimit -c 0; cd /proc; exec "$0" "$@" 2>/dev/null',
            program("ron-node")])
        node.start()
        use(node)
        node.stop()


def io_of(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as lines:
        return {key: int(value) for key, value in (line.split(": ") for line in lines)}


if __name__ == "__main__":
    support.main()
