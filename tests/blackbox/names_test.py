"""Names, manifests, providers and views over HTTP."""
# ctest: TIMEOUT 180 LABELS blackbox
import unicodedata
from urllib.parse import quote

import support
from support import NO_RATES, NodeTest, together

CID_A, CID_B = "b3:" + "a" * 64, "b3:" + "b" * 64


class NamesCase(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.ron = support.Node(NO_RATES).start()
        cls.addClassCleanup(cls.ron.close)
        cls.token = cls.ron.operator_token()

    def ask(self, method, path, body=None, headers=None):
        return self.ron.http(method, path, body, headers, token=self.token)

    def put(self, name, cid=CID_A, headers=None, **more):
        return self.ask("PUT", "/v1/names/" + quote(name), {"cid": cid} | more, headers)

    def resolve(self, name):
        return self.ask("GET", "/v1/resolve/name:" + quote(name))

    def refused(self, status, code, answer):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.json()["code"], code)
        return answer


class Names(NamesCase):
    def test_life_of_a_name(self):
        self.refused(404, "not_found", self.resolve("life/a"))
        made = self.put("life/a")
        first = made.json()["version"]
        self.assertEqual((made.status, made.json()),
                         (201, {"name": "life/a", "version": first, "cid": CID_A}))
        self.assertEqual(made.headers["ETag"], f'"{first}"')
        moved = self.put("life/a", CID_B)
        version = moved.json()["version"]
        self.assertEqual((moved.status, version), (200, first + 1))
        for source in ("store", "cache"):
            got = self.resolve("life/a").json()
            self.assertEqual(got, {"key": "name:life/a", "cid": CID_B, "version": version,
                                   "manifest": None, "providers": [], "source": source, "hops": 0,
                                   "etag": f'"{version}"'})
        self.assertEqual(self.ask("GET", f"/v1/resolve/name:life/a?version={version}").status, 200)
        self.refused(404, "not_found", self.ask("GET", f"/v1/resolve/name:life/a?version={first}"))
        gone = self.ask("DELETE", "/v1/names/life/a")
        self.assertEqual((gone.status, gone.body), (204, b""))
        self.refused(404, "not_found", self.resolve("life/a"))
        self.refused(404, "not_found", self.ask("DELETE", "/v1/names/life/a"))

    def test_versions_never_come_back(self):
        """A reader that kept "version 1" must not take another record for it."""
        self.put("again/a")
        last = self.put("again/a", CID_B).json()["version"]
        self.ask("DELETE", "/v1/names/again/a")
        self.assertGreater(self.put("again/a").json()["version"], last)

    def test_a_write_is_seen_at_once(self):
        for i in range(100):
            cid = f"b3:{i:064x}"
            self.assertIn(self.put("fresh/a", cid).status, (200, 201))
            self.assertEqual(self.resolve("fresh/a").json()["cid"], cid)

    def test_if_match(self):
        new = {"If-None-Match": "*"}
        self.refused(412, "precondition_failed", self.put("if/a", headers={"If-Match": '"1"'}))
        made = self.put("if/a", headers=new)
        here = {"If-Match": made.headers["ETag"]}
        self.assertEqual(made.status, 201)
        self.refused(412, "precondition_failed", self.put("if/a", headers=new))
        moved = self.put("if/a", CID_B, headers=here)
        self.assertEqual(moved.json()["version"], made.json()["version"] + 1)
        self.refused(412, "precondition_failed", self.put("if/a", headers=here))
        self.assertEqual(self.resolve("if/a").json()["cid"], CID_B)
        gone = self.ask("DELETE", "/v1/names/if/a", headers=here)
        self.refused(412, "precondition_failed", gone)
        gone = self.ask("DELETE", "/v1/names/if/a", headers={"If-Match": moved.headers["ETag"]})
        self.assertEqual(gone.status, 204)
        for bad in ({"If-Match": "x"}, {"If-Match": '"0"'}, {"If-None-Match": '"1"'}, here | new):
            self.refused(400, "bad_request", self.put("if/b", headers=bad))

    def test_one_of_many_wins(self):
        answers = together([lambda i=i: self.put("race/a", f"b3:{i:064x}", {"If-None-Match": "*"})
                            for i in range(16)])
        statuses = sorted(a.status for a in answers)
        self.assertEqual(statuses, [201] + [412] * 15)
        winner = next(a for a in answers if a.status == 201)
        self.assertEqual(self.resolve("race/a").json()["cid"], winner.json()["cid"])

    def test_list_with_prefix_and_cursor(self):
        names = [f"list/{i:03}" for i in range(25)] + ["list/sub/x", "listing/y"]
        for name in names:
            self.put(name)
        seen, path = [], "/v1/names?prefix=list/&limit=10"
        cursor = ""
        while cursor is not None:
            page = self.ask("GET", path + (f"&cursor={quote(cursor, safe='')}" if cursor else ""))
            self.assertEqual(set(page.json()), {"items", "next_cursor"})
            self.assertLessEqual(len(page.json()["items"]), 10)
            seen += page.json()["items"]
            cursor = page.json()["next_cursor"]
        self.assertEqual([item["name"] for item in seen], sorted(n for n in names if n[4] == "/"))
        self.assertEqual(set(seen[0]), {"name", "version", "cid"})
        everything = self.ask("GET", "/v1/names?prefix=list&limit=1000").json()["items"]
        self.assertEqual([item["name"] for item in everything], sorted(names))
        self.assertEqual(self.ask("GET", "/v1/names?prefix=nobody").json(),
                         {"items": [], "next_cursor": None})
        for bad in ("limit=0", "limit=1001", "limit=-1", "prefix=%00", "prefix=" + "a" * 300):
            self.refused(400, "bad_request", self.ask("GET", "/v1/names?" + bad))

    def test_ttl(self):
        self.assertEqual(self.put("ttl/a", ttl_s=3600).status, 201)
        for bad in (0, -1, 10**9, "1", 1.5, None):
            self.refused(400, "bad_request", self.put("ttl/b", ttl_s=bad))


class Spelling(NamesCase):
    def test_illegal_names(self):
        nfd = unicodedata.normalize("NFD", "a/é")
        self.assertIn(self.put("/a").status, (400, 404))
        for name in (nfd, "a//b", "a/", "a/./b", "a/../b", "..", "a/b\0", "a/\n", "a/\u202eb",
                     "a b/c", "a_b/c", "-a/b", "a-/b", "a" * 64 + "/b", "a/" + "b" * 254,
                     "a/\ufdd0", "xn--zzzzzz-/a", "a..b/c", ".a/b"):
            with self.subTest(name):
                self.refused(400, "bad_request", self.put(name))
                self.assertIn(self.resolve(name).status, (400, 404))
        not_utf8 = self.ask("PUT", "/v1/names/a/%ff", {"cid": CID_A})
        self.refused(400, "bad_request", not_utf8)
        self.assertIn(self.ask("PUT", "/v1/names/", {"cid": CID_A}).status, (400, 404))

    def test_first_part_is_a_host(self):
        """Its spelling is mapped: all of these are one name."""
        made = self.put("Bücher.Example/Über")
        self.assertEqual((made.status, made.json()["name"]),
                         (201, "xn--bcher-kva.example/Über"))
        for name in ("bücher.example/Über", "BÜCHER.EXAMPLE/Über", "xn--bcher-kva.example/Über",
                     "bu\u0308cher.example/Über"):
            got = self.resolve(name)
            self.assertEqual(got.status, 200, name)
            self.assertEqual(got.json()["cid"], CID_A)
        self.refused(404, "not_found", self.resolve("bücher.example/über"))

    def test_percent_encoding(self):
        for name in ("p/ä ö", "p/100%", "p/a?b#c", "p/a+b", "p/a:b@c", "p/日本語/ファイル", "p/a%2Fb"):
            self.assertEqual(self.put(name).json()["name"], name)
            self.assertEqual(self.resolve(name).json()["key"], "name:" + name)
        # A slash in a segment and a slash between segments would be one name: refused or kept apart.
        slash = self.ask("PUT", "/v1/names/p/x%2Fy", {"cid": CID_B})
        self.assertIn(slash.status, (201, 400))
        if slash.status == 201:
            self.assertEqual(slash.json()["name"], "p/x/y")
        for bad in ("/v1/names/a/%zz", "/v1/names/a/%4", "/v1/names/a/%"):
            self.refused(400, "bad_request", self.ask("PUT", bad, {"cid": CID_A}))

    def test_bodies(self):
        for body in ({}, {"cid": "b3:1"}, {"cid": CID_A, "name": "x"}, {"cid": None}, [],
                     {"cid": CID_A, "manifest": 1}):
            self.refused(400, "bad_request", self.ask("PUT", "/v1/names/body/a", body))


class Manifests(NamesCase):
    MANIFEST = {"version": 1, "size": 5, "content_type": "text/plain", "title": "Größe",
                "tags": ["a", "b"], "created_at_ms": 1_700_000_000_000}

    def test_put_and_get(self):
        path = "/v1/manifests/" + CID_A
        self.refused(404, "not_found", self.ask("GET", path))
        whole = self.MANIFEST | {"cid": CID_A}
        put = self.ask("PUT", path, self.MANIFEST)
        self.assertIn(put.status, (200, 201), put)
        self.assertEqual(self.ask("GET", path).json(), whole)
        by_id = self.ask("GET", "/v1/resolve/" + CID_A).json()
        self.assertEqual((by_id["cid"], by_id["manifest"], by_id["version"]), (CID_A, whole, None))

    def test_manifest_with_a_name(self):
        cid = "b3:" + "c" * 64
        self.assertEqual(self.put("with/manifest", cid, manifest=self.MANIFEST).status, 201)
        self.assertEqual(self.resolve("with/manifest").json()["manifest"],
                         self.MANIFEST | {"cid": cid})
        self.assertEqual(self.ask("GET", "/v1/manifests/" + cid).status, 200)

    def test_bad_manifests(self):
        for change in ({"version": 2}, {"size": -1}, {"content_type": "nonsense"},
                       {"content_type": "a/b\r\nX: y"}, {"cid": CID_B}, {"surprise": 1},
                       {"tags": "a"}, {"title": 5}, {"created_at_ms": "now"}):
            answer = self.ask("PUT", "/v1/manifests/" + CID_A, self.MANIFEST | change)
            self.refused(400, "bad_request", answer)
        without = {k: v for k, v in self.MANIFEST.items() if k != "content_type"}
        self.refused(400, "bad_request", self.ask("PUT", "/v1/manifests/" + CID_A, without))

    def test_providers(self):
        got = self.ask("GET", "/v1/providers/" + CID_B + "?limit=32")
        self.assertEqual(got.json(), {"cid": CID_B, "providers": [], "truncated": False})
        for bad in ("?limit=0", "?limit=33", "?limit=x"):
            self.refused(400, "bad_request", self.ask("GET", "/v1/providers/" + CID_B + bad))
        self.refused(400, "bad_request", self.ask("GET", "/v1/providers/b3:1"))

    def test_resolve_by_id(self):
        self.refused(404, "not_found", self.ask("GET", "/v1/resolve/b3:" + "d" * 64))
        self.refused(400, "bad_request", self.ask("GET", "/v1/resolve/b3:12"))


class Views(NamesCase):
    def test_object_view(self):
        body = b"what the view shows"
        cid = support.b3(body)
        self.ask("PUT", "/v1/o", body)
        self.put("view/a", cid, manifest=Manifests.MANIFEST | {"size": len(body)})
        self.ask("POST", "/v1/mailbox/" + cid, {"payload": "aGk="})
        got = self.ask("GET", "/v1/view/object/view/a")
        self.assertEqual(got.status, 200, got)
        view = got.json()
        self.assertLessEqual({"view", "version", "data", "parts", "partial", "warnings"}, set(view))
        self.assertEqual((view["view"], view["partial"], view["warnings"]), ("object", False, []))
        self.assertEqual(view["parts"], {"index": "ok", "storage": "ok", "mailbox": "ok"})
        self.assertEqual((view["data"]["cid"], view["data"]["name"]), (cid, "view/a"))
        self.assertEqual(view["data"]["object"]["size"], len(body))
        self.assertEqual(len(view["data"]["messages"]), 1)
        etag = got.headers["ETag"]
        self.assertEqual(etag, '"' + support.b3(got.body) + '"')
        same = self.ask("GET", "/v1/view/object/view/a", headers={"If-None-Match": etag})
        self.assertEqual((same.status, same.body, same.headers["ETag"]), (304, b"", etag))
        self.ask("POST", "/v1/mailbox/" + cid, {"payload": "aGk="})
        changed = self.ask("GET", "/v1/view/object/view/a", headers={"If-None-Match": etag})
        self.assertEqual(changed.status, 200)
        self.assertNotEqual(changed.headers["ETag"], etag)
        self.assertEqual(self.ask("GET", "/v1/view/object/" + cid).json()["data"]["cid"], cid)

    def test_partial_view(self):
        self.put("partial/a", "b3:" + "e" * 64)  # a name whose object is not here
        got = self.ask("GET", "/v1/view/object/partial/a")
        view = got.json()
        self.assertEqual((got.status, view["partial"]), (200, True))
        self.assertEqual(view["parts"], {"index": "ok", "storage": "missing", "mailbox": "ok"})
        self.assertTrue(view["warnings"])
        self.assertIsNone(got.headers["ETag"])
        self.assertEqual(got.headers["Cache-Control"], "no-store")

    def test_nothing_to_show(self):
        for path in ("object/nobody/x", "object/b3:" + "f" * 64, "surprise/view/a"):
            self.refused(404, "not_found", self.ask("GET", "/v1/view/" + path))
        self.refused(400, "bad_request", self.ask("GET", "/v1/view/object/b3:12"))


if __name__ == "__main__":
    support.main()
