"""ronctl from the outside: what it prints, and what it says when something is wrong."""
# ctest: TIMEOUT 180 LABELS blackbox
import base64
import hashlib
import json
import os
import random
import resource
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

import cbor
import oap
import support
from support import NO_RATES, NodeTest, program

OK, FAILED, USAGE, NOT_FOUND, REFUSED, UNAVAILABLE = range(6)


class RonctlCase(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.topic = self.id().rpartition(".")[2]

    def path(self, name, content=None):
        path = os.path.join(self.folder, name)
        if content is not None:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        return path

    def environment(self, node):
        return support.clean_environment({
            "RONCTL_NODE": node.ready["endpoints"]["oap_tls"],
            "RONCTL_ADMIN": node.ready["endpoints"]["admin"]})

    def ronctl(self, *words, expect=OK, node=None, stdin=b"", **options):
        options = {"stdout": subprocess.PIPE} | options
        done = subprocess.run([program("ronctl"), *words], input=stdin, stderr=subprocess.PIPE,
                              cwd=self.folder, env=self.environment(node or self.ron), timeout=60,
                              **options)
        self.assertEqual(done.returncode, expect, done)
        done.stderr = done.stderr.decode()
        return done

    def json(self, *words, **options):
        return json.loads(self.ronctl(*words, "-o", "json", **options).stdout)

    def complaint(self, done, *words):
        """Exactly one line on stderr, with these words in it, and nothing on stdout."""
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("ronctl: ") and done.stderr.endswith("\n"))
        for word in words:
            self.assertIn(word, done.stderr)


class Use(RonctlCase):
    def test_put_and_get(self):
        dice = random.Random(1)
        for size in (0, 1, 5_000_000):
            body = dice.randbytes(size)
            source, cid = self.path("source", body), support.b3(body)
            self.assertEqual(self.json("put", source),
                             [{"path": source, "cid": cid, "size": size, "existed": False}])
            self.assertEqual(self.json("put", source)[0]["existed"], True)
            self.assertIn(cid, self.ronctl("put", source).stdout.decode())
            self.ronctl("get", cid, "-o", self.path("copy"))
            with open(self.path("copy"), "rb") as copy:
                self.assertTrue(copy.read() == body)
            self.assertTrue(self.ronctl("get", cid, "-o", "-").stdout == body)
        self.assertEqual(self.ronctl("get", cid, "-o", "-", "--range", "10-19").stdout, body[10:20])
        self.assertTrue(self.ronctl("get", cid, "-o", "-", "--range", "4999990-").stdout
                        == body[-10:])
        self.assertEqual(sorted(os.listdir(self.folder)), ["copy", "source"], "nothing is left over")

    def test_names(self):
        cid, other = self.json("put", self.path("a", b"one"))[0]["cid"], "b3:" + "0" * 64
        made = self.json("publish", "ctl/a", cid)
        self.assertEqual((made["name"], made["cid"]), ("ctl/a", cid))
        self.ronctl("publish", "--if-new", "ctl/a", other, expect=FAILED)
        moved = self.json("publish", "--if-version", str(made["version"]), "ctl/a", other)
        self.ronctl("publish", "--if-version", str(made["version"]), "ctl/a", cid, expect=FAILED)
        self.assertEqual(moved["version"], made["version"] + 1)
        self.assertEqual(self.json("resolve", "ctl/a")["cid"], other)
        self.json("publish", "ctl/a", cid)
        self.assertIn("ctl/a", [i["name"] for i in self.json("names", "ctl/")["items"]])
        self.assertIn("ctl/a", self.ronctl("names", "ctl/").stdout.decode())
        view = self.json("view", "object/ctl/a")
        self.assertEqual((view["data"]["cid"], view["partial"]), (cid, False))
        self.ronctl("get", "ctl/a")
        with open(self.path("a"), "rb") as got:
            self.assertEqual(got.read(), b"one")

    def test_mail(self):
        sent = self.json("mb", "send", self.topic, "hello")
        again = [self.json("mb", "send", "--once", "k", self.topic, stdin=b"from stdin")
                 for _ in range(2)]
        self.assertEqual([m["duplicate"] for m in again], [False, True])
        got = self.json("mb", "recv", self.topic)["messages"]
        self.assertEqual([m["message_id"] for m in got],
                         [sent["message_id"], again[0]["message_id"]])
        done = self.json("mb", "ack", self.topic, *[m["receipt"] for m in got])
        self.assertEqual([r["status"] for r in done["results"]], ["ok", "ok"])
        self.ronctl("mb", "ack", self.topic, got[0]["receipt"], expect=FAILED)
        self.assertEqual(self.json("mb", "recv", self.topic), {"messages": []})

    def test_each_line_is_a_message(self):
        lines = [f"line {i}" + "x" * (i % 7) for i in range(250)] + ["", "the last, without an end"]
        name = self.path("lines", "\n".join(lines).encode())
        words = ("mb", "send", "--each-line", "--once", "k", "--ttl", "600", self.topic)
        self.assertEqual(self.json(*words, name), {"messages": 252, "duplicates": 0, "batches": 3})
        again = self.json(*words, "-", stdin="\n".join(lines).encode())
        self.assertEqual(again, {"messages": 252, "duplicates": 252, "batches": 3})
        got = []
        while some := self.json("mb", "recv", "--max", "100", self.topic)["messages"]:
            got += [base64.b64decode(m["payload"]).decode() for m in some]
        self.assertEqual(got, lines)
        big = ["y" * 20_000] * 5  # by their bytes
        self.assertEqual(self.json("mb", "send", "--each-line", self.topic,
                                   stdin="\n".join(big).encode()),
                         {"messages": 5, "duplicates": 0, "batches": 3})
        failed = self.ronctl("mb", "send", "--each-line", self.topic, expect=FAILED,
                             stdin=b"short\n" * 150 + b"z" * 70_000 + b"\n")
        self.assertIn("line 151 has more than", failed.stderr)
        self.assertIn("100 messages were accepted before", failed.stderr)
        missing = self.ronctl("mb", "send", "--each-line", self.topic, "nowhere", expect=FAILED)
        self.assertIn("nowhere: No such file", missing.stderr)

    def test_dead_letters(self):
        sent = self.json("mb", "send", "--delay", "1", "--ttl", "600", self.topic, "poison")
        self.assertEqual(self.json("mb", "stats", self.topic)["waiting"], 1)
        self.assertEqual([m["message_id"] for m in self.json("mb", "peek", self.topic)["items"]],
                         [sent["message_id"]])
        for _ in range(5):
            message, = self.json("mb", "recv", "--wait", "30", "--visibility", "600000",
                                 self.topic)["messages"]
            self.json("mb", "nack", self.topic, message["receipt"])
        self.assertEqual(self.json("mb", "recv", self.topic), {"messages": []})
        self.assertIn(sent["message_id"], self.ronctl("mb", "dlq", self.topic).stdout.decode())
        self.assertEqual(self.json("mb", "stats", self.topic)["dead"], 1)
        self.assertEqual(self.json("mb", "redrive", self.topic), {"messages": 1})
        self.assertEqual(self.json("mb", "dlq", self.topic)["items"], [])
        again, = self.json("mb", "recv", "--wait", "30", self.topic)["messages"]
        self.assertEqual((again["message_id"], again["attempt"]), (sent["message_id"], 1))

    def test_long_poll(self):
        poll = subprocess.Popen([program("ronctl"), "mb", "recv", "--wait", "30", "-o", "json",
                                 self.topic], stdout=subprocess.PIPE,
                                env=self.environment(self.ron))
        support.wait_until(lambda: self.ron.metric("oap_streams") >= 1, what="the poll")
        self.json("mb", "send", self.topic, "wake up")
        out, _ = poll.communicate(timeout=20)
        self.assertEqual(len(json.loads(out)["messages"]), 1)

    def watch(self, *words):
        """A `mb watch` of this topic; its output is read by line."""
        process = subprocess.Popen([program("ronctl"), "mb", "watch", *words, self.topic],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=self.environment(self.ron))
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_watch(self):
        first = self.json("mb", "send", "--key", "k", self.topic, "hello")["message_id"]
        process = self.watch("--ack", "--max", "2")
        time, message, receipt, attempt, text = process.stdout.readline().rstrip("\n").split("\t")
        self.assertEqual((message, attempt, text), (first, "1", "k: hello"))
        self.assertRegex(time, r"^\d\d:\d\d:\d\d$")
        self.assertIn(".", receipt)
        self.json("mb", "send", self.topic, stdin=b"\x1b[2J not for a terminal")
        self.assertTrue(process.stdout.readline().endswith("\t(23 bytes)\n"))
        self.assertEqual(process.wait(20), OK)
        stats = self.json("mb", "stats", self.topic)
        self.assertEqual((stats["waiting"], stats["in_flight"]), (0, 0))

    def test_watch_gives_back_when_it_is_killed(self):
        self.json("mb", "send", self.topic, "hello")
        process = self.watch("-o", "json", "--visibility", "43200000")
        self.assertEqual(json.loads(process.stdout.readline())["attempt"], 1)
        process.kill()
        support.wait_until(lambda: self.json("mb", "stats", self.topic)["waiting"] == 1,
                           what="the message to come back")

    def test_watch_a_feed(self):
        sent = [self.json("mb", "send", self.topic, str(i))["message_id"] for i in range(3)]
        watchers = [self.watch("--feed", "--after", start, "--max", "4", "-o", "json")
                    for start in ("0", "0")]
        for process in watchers:
            self.assertEqual([json.loads(process.stdout.readline())["message_id"] for _ in sent], sent)
        self.json("mb", "send", self.topic, "3")
        for process in watchers:
            self.assertEqual(json.loads(process.stdout.readline())["payload"], "Mw==")
            self.assertEqual(process.wait(20), OK)
        self.assertEqual(self.json("mb", "stats", self.topic)["waiting"], 4)

    def test_watch_says_what_is_wrong(self):
        self.complaint(self.ronctl("mb", "watch", "--feed", "--ack", self.topic, expect=FAILED), "--ack")
        self.complaint(self.ronctl("mb", "watch", "--after", "0", self.topic, expect=FAILED), "--feed")
        self.complaint(self.ronctl("mb", "watch", "--max", "0", self.topic, expect=FAILED), "--max")

    def test_look_around(self):
        pinged = self.json("ping", "--count", "3")
        self.assertEqual(pinged["count"], 3)
        self.assertIn("TLSv1.3", pinged["tls"])
        types = {a["type"] for a in self.json("actors")["items"]}
        self.assertLessEqual({"index", "storage", "mailbox"}, types)
        only = {a["type"] for a in self.json("actors", "--type", "index")["items"]}
        self.assertEqual(only, {"index"})
        self.assertEqual(self.ronctl("doctor").stdout.decode().count("ok    "), 4)
        token = self.json("token")
        self.assertEqual(token["cert_sha256"], self.ron.ready["cert_sha256"])
        self.assertEqual(self.ron.http("PUT", "/v1/o", b"t", token=token["token"]).status, 201)
        for words in (("--help",), ("put", "--help"), ("--version",)):
            self.assertNotEqual(self.ronctl(*words).stdout, b"")

    def test_explicit_trust(self):
        """As for another machine: certificate and capability by hand, no operator socket."""
        cap = self.path("cap", self.json("token")["token"].encode())
        pin = self.ron.ready["cert_sha256"]
        where = ("--admin", "127.0.0.1:1", "--cap", cap, "--pin", pin)
        self.assertEqual(len(self.json("put", *where, self.path("x", b"pinned"))), 1)
        wrong = "0" * 64
        done = self.ronctl("ping", "--pin", wrong, expect=REFUSED)
        self.complaint(done, "certificate")
        done = self.ronctl("publish", "--pin", pin, "x/y", "b3:" + wrong, expect=REFUSED)
        self.complaint(done, "--cap")


class Tree(RonctlCase):
    def test_there_and_back(self):
        dice = random.Random(2)
        files = {f"{folder}/file {i}.bin": dice.randbytes(dice.choice((0, 10, 1_000, 100_000)))
                 for folder in ("a", "a/b", "c d", "ä") for i in range(30)}
        for name, content in files.items():
            self.path("tree/" + name, content)
        stored = self.json("put", "--publish", "tree/one", self.path("tree"))
        self.assertEqual({os.path.relpath(s["path"], self.path("tree")): s["cid"] for s in stored},
                         {name: support.b3(content) for name, content in files.items()})
        self.ronctl("get", "--tree", "tree/one", "-o", self.path("back"))
        back = {}
        for folder, _, names in os.walk(self.path("back")):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    back[os.path.relpath(path, self.path("back"))] = file.read()
        self.assertEqual(set(back), set(files))
        self.assertTrue(back == files)
        done = self.ronctl("get", "--tree", "tree/none", expect=NOT_FOUND)
        self.complaint(done, "tree/none")


class Trouble(RonctlCase):
    def test_usage(self):
        for words in ((), ("fly",), ("put",), ("get",), ("ping", "--surprise"), ("mb", "fly"),
                      ("ping", "-o", "xml"), ("ping", "--node", "nowhere"), ("publish", "a"),
                      ("ping", "--timeout", "0"), ("ping", "--node")):
            done = self.ronctl(*words, expect=USAGE)
            if words:
                self.complaint(done, "")

    def test_not_found(self):
        for words in (("get", "b3:" + "0" * 64), ("get", "nobody/x"), ("resolve", "nobody/x"),
                      ("view", "object/nobody/x"), ("put", "/nowhere/at/all")):
            self.complaint(self.ronctl(*words, expect=NOT_FOUND), words[-1])
        self.assertEqual(os.listdir(self.folder), [])

    def test_bad_values(self):
        cid = self.json("put", self.path("x", b"x"))[0]["cid"]
        for words in (("get", "b3:12"), ("publish", "a//b", cid), ("publish", "a/b", "b3:12"),
                      ("get", cid, "--range", "9-1"), ("get", cid, "--range", "x"),
                      ("view", "object"), ("names", "--limit", "0"), ("put", "--jobs", "99", "x")):
            self.complaint(self.ronctl(*words, expect=FAILED), "")

    def test_nobody_there(self):
        free = socket.socket()
        self.addCleanup(free.close)
        free.bind(("127.0.0.1", 0))  # and never listens
        where = "127.0.0.1:%d" % free.getsockname()[1]
        self.complaint(self.ronctl("ping", "--node", where, expect=UNAVAILABLE), where, "doctor")
        self.complaint(self.ronctl("ping", "--admin", where, expect=UNAVAILABLE), "admin", "doctor")
        self.complaint(self.ronctl("actors", "--admin", where, expect=UNAVAILABLE), where)
        done = self.ronctl("doctor", "--node", where, "--admin", where, expect=UNAVAILABLE)
        self.assertGreaterEqual(done.stdout.decode().count("FAIL  "), 3)
        self.assertGreaterEqual(done.stdout.decode().count("-> "), 3)
        # Somebody is there who speaks another language.
        http = self.ron.ready["endpoints"]["http"]
        self.complaint(self.ronctl("ping", "--node", http, expect=UNAVAILABLE), http)
        self.complaint(self.ronctl("ping", "--node", self.ron.ready["endpoints"]["https"],
                                   expect=UNAVAILABLE), "")

    def test_silent_node(self):
        node = self.node(NO_RATES)
        pin, cap = node.ready["cert_sha256"], self.path("cap", node.operator_token().encode())
        node.signal(signal.SIGSTOP)
        done = self.ronctl("ping", "--pin", pin, "--cap", cap, "--timeout", "300",
                           expect=UNAVAILABLE, node=node)
        self.complaint(done, "doctor")
        node.signal(signal.SIGCONT)
        self.ronctl("ping", node=node)

    def test_node_dies_during_a_get(self):
        node = self.node(NO_RATES)
        body = random.Random(4).randbytes(32 << 20)
        self.path("big", body)
        cid = self.json("put", "big", node=node)[0]["cid"]
        for target in ("-", self.path("out")):
            with self.subTest(target):
                if not node.running():
                    node.start()
                    self.json("put", "big", node=node)
                get = subprocess.Popen([program("ronctl"), "get", cid, "-o", target],
                                       env=self.environment(node), cwd=self.folder,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                if target == "-":
                    got = get.stdout.read(1 << 20)
                else:
                    part = f"{target}.part-{get.pid}"
                    support.wait_until(lambda: os.path.exists(part) or get.poll() is not None,
                                       what="the download to begin")
                    node.signal(signal.SIGSTOP)
                    got = b""
                node.kill()
                rest, errors = get.communicate(timeout=30)
                if target != "-" and get.returncode == 0:
                    continue  # it was faster than the kill
                self.assertEqual(get.returncode, UNAVAILABLE, errors)
                self.assertEqual(errors.count(b"\n"), 1, errors)
                self.assertIn(b"doctor", errors)
                self.assertTrue(body.startswith(got + rest) and len(got + rest) < len(body))
                self.assertEqual([f for f in os.listdir(self.folder) if f.startswith("out")], [])

    def test_disk_full(self):
        cid = self.json("put", self.path("x", b"x" * 3_000_000))[0]["cid"]
        with open("/dev/full", "wb") as full:
            done = self.ronctl("get", cid, "-o", "-", expect=FAILED, stdout=full)
        self.complaint(done, "No space left", "make room")

        def little_room():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        kept = self.path("copy", b"the old one")
        done = self.ronctl("get", cid, "-o", kept, expect=FAILED, preexec_fn=little_room,
                           restore_signals=False)
        self.complaint(done, "writing")
        with open(kept, "rb") as copy:
            self.assertEqual(copy.read(), b"the old one")
        self.assertEqual(sorted(os.listdir(self.folder)), ["copy", "x"], "no part is left")

    def test_special_files_are_written_to_and_not_replaced(self):
        cid = self.json("put", self.path("x", b"through a pipe"))[0]["cid"]
        pipe, got = self.path("pipe"), []
        os.mkfifo(pipe)

        def read():
            with open(pipe, "rb") as end:
                got.append(end.read())
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self.ronctl("get", cid, "-o", pipe)
        self.assertFalse(os.path.isfile(pipe), "a pipe (or /dev/null) became a file")
        reader.join(10)
        self.assertEqual(got, [b"through a pipe"])

    def test_unreadable_output(self):
        cid = self.json("put", self.path("x", b"x"))[0]["cid"]
        self.complaint(self.ronctl("get", cid, "-o", self.path("no/such/folder"), expect=FAILED),
                       "no/such/folder")
        os.mkdir(self.path("folder"))
        self.complaint(self.ronctl("get", cid, "-o", self.path("folder"), expect=FAILED), "folder")
        self.assertEqual(sorted(os.listdir(self.folder)), ["folder", "x"])

    def test_no_secret_in_arguments(self):
        """The capability comes from a file or a variable, never from the command line."""
        self.complaint(self.ronctl("ping", "--token", "x", expect=USAGE), "--token")


class Liar(RonctlCase):
    """A node that gives other bytes than the id says."""

    def serve(self, sock, context, content, cid):
        plain, _ = sock.accept()
        with context.wrap_socket(plain, server_side=True) as tls:
            tls.settimeout(10)
            tls.sendall(oap.frame(oap.RESP, 200, 0, body=oap.hello()[oap.HEADER.size:]))
            buffer = bytearray()
            while True:
                part = tls.recv(65536)
                if not part:
                    return
                buffer += part
                for f in oap.split_raw(buffer):
                    _, _, flags, _, app, _, _, corr = oap.HEADER.unpack_from(f)
                    if app == 1 and flags & oap.START:
                        head = cbor.dumps({"cid": cid, "size": len(content)})
                        obj = bytes.fromhex(cid[3:])
                        for seq, (piece, options) in enumerate(
                                ((head, {}), (content, {"obj": obj, "total": len(content)})), 1):
                            tls.sendall(oap.data(corr, seq, piece, flags=oap.RESP, **options))
                        tls.sendall(oap.data(corr, 2, end=True, flags=oap.RESP))

    def test_wrong_bytes_are_refused(self):
        pem = self.path("liar.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj",
                        "/CN=liar", "-keyout", pem, "-out", pem + ".crt"], check=True,
                       capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem + ".crt", pem)
        context.set_alpn_protocols(["oap/1"])
        with open(pem + ".crt", encoding="ascii") as crt:
            pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(crt.read())).hexdigest()
        cid = support.b3(b"the truth")
        for content, outcome in ((b"the truth", OK), (b"a lie....", FAILED)):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(20)
                server = threading.Thread(target=self.serve,
                                          args=(listener, context, content, cid), daemon=True)
                server.start()
                done = self.ronctl("get", cid, "-o", self.path("out"), "--pin", pin, "--node",
                                   "127.0.0.1:%d" % listener.getsockname()[1], expect=outcome)
                server.join(10)
            self.assertEqual(os.path.exists(self.path("out")), outcome == OK)
            if outcome == OK:
                os.unlink(self.path("out"))
            else:
                self.complaint(done, cid)


if __name__ == "__main__":
    support.main()
