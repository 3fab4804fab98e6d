"""Tests of scripts/perf_gate: each rule lets pass what it should and stops what it should, waivers included."""
import contextlib
import datetime
import importlib.machinery
import importlib.util
import io
import json
import os
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
loader = importlib.machinery.SourceFileLoader("perf_gate", os.path.join(ROOT, "scripts", "perf_gate"))
gate = importlib.util.module_from_spec(importlib.util.spec_from_loader("perf_gate", loader))
loader.exec_module(gate)

TODAY = datetime.date(2026, 11, 21)
WAIVER = {"metric": "part.a_p95_ms", "owner": "core team", "reason": "new check", "analysis": "docs/perf/a.md",
          "granted": "2026-11-01", "expires": "2026-12-31"}


def base(**metrics):
    return {"name": "part", "ref": "Ref-A", **metrics}


def report(ref="Ref-A", **metrics):
    """Three runs; a metric is one number for all runs or one for each."""
    runs = [{k: v[i] if isinstance(v, list) else v for k, v in metrics.items()} for i in range(3)]
    return {"ref": ref, "runs": runs}


def waivers(*entries, today=TODAY):
    return gate.Waivers(list(entries), today)


def failures(baseline, measured, *facets, **options):
    return gate.judge(baseline, measured, facets, **options)[1]


class Thresholds(unittest.TestCase):
    def check(self, metric, old, good, bad, **more):
        self.assertEqual(failures(base(**{metric: old}), report(**{metric: good}), **more), [], (metric, good))
        self.assertEqual(len(failures(base(**{metric: old}), report(**{metric: bad}), **more)), 1, (metric, bad))

    def test_each_kind_at_its_edge(self):
        self.check("tls_small_p95_ms", 10, 11, 11.01)
        self.check("a_p99_us", 100, 110, 110.1)
        self.check("tls_stream_64k_gbps", 10, 9, 8.99)
        self.check("echo_per_s", 1000, 900, 899)
        self.check("echo_ratio", 2, 1.8, 1.79)
        self.check("cpu_pct_at_target", 60, 69, 69.1)
        self.check("echo_cpu_us", 10, 11.5, 11.6)
        self.check("mem_gib", 1, 1.15, 1.16)
        self.check("idle_rss_kib", 100, 115, 115.5)
        self.check("get_allocations", 2, 2.3, 2.31)
        self.check("decode_instructions", 100, 105, 105.1)

    def test_bounds_hold_whatever_the_baseline_was(self):
        self.check("hello_pq_overhead_pct", 9, 5, 5.1)
        self.check("ts_parity_pct", 50, 20, 20.5)
        self.check("a_pq_overhead_pct", -3, -1, 6)

    def test_shed_is_in_points_unless_the_quota_changed(self):
        self.check("writes_shed_pct", 1, 1.5, 1.6)
        changed = {**report(writes_shed_pct=9), "quota_config": "v2"}
        self.assertEqual(failures(base(writes_shed_pct=1, quota_config="v1"), changed), [])

    def test_an_allocation_where_there_was_none_fails(self):
        self.check("decode_allocations", 0, 0, 0.001)

    def test_better_is_never_worse(self):
        for metric, new in [("a_p95_ms", 0.1), ("a_gbps", 1e9), ("a_instructions", 1), ("a_allocations", 0)]:
            table, wrong = gate.judge(base(**{metric: 10}), report(**{metric: new}))
            self.assertEqual(wrong, [])
            self.assertIn("better: record it", table[0])


class Runs(unittest.TestCase):
    def test_median_of_three(self):
        self.assertEqual(failures(base(a_p95_ms=10), report(a_p95_ms=[10, 500, 10.5])), [])
        self.assertEqual(len(failures(base(a_p95_ms=10), report(a_p95_ms=[1, 12, 500]))), 1)

    def test_two_runs_are_not_enough(self):
        with self.assertRaises(gate.Unjudgeable):
            gate.judge(base(a_p95_ms=10), {"ref": "Ref-A", "runs": [{"a_p95_ms": 1}] * 2})

    def test_holes_and_words_in_a_report(self):
        for value in ["10", None, True, float("nan")]:
            with self.assertRaises(gate.Unjudgeable):
                gate.judge(base(a_p95_ms=10), report(a_p95_ms=[10, 10, value]))

    def test_what_was_not_measured_fails(self):
        self.assertEqual(len(failures(base(a_p95_ms=10, b_p95_ms=1), report(a_p95_ms=10))), 1)

    def test_what_is_new_is_shown(self):
        table, wrong = gate.judge(base(a_p95_ms=10), report(a_p95_ms=10, b_p95_ms=1))
        self.assertEqual((wrong, len(table)), ([], 2))

    def test_another_machine_is_not_compared(self):
        with self.assertRaises(gate.Unjudgeable):
            gate.judge(base(a_p95_ms=10), report("Ref-B", a_p95_ms=10))


class Shared(unittest.TestCase):
    slow = report("Ref-Dev", a_p95_ms=99, a_gbps=1, a_cpu_us=99, a_instructions=10, a_ratio=1, a_allocations=1)
    baseline = {"name": "part", "ref": "Ref-Dev", "a_p95_ms": 1, "a_gbps": 9, "a_cpu_us": 1, "a_instructions": 10,
                "a_ratio": 1, "a_allocations": 1}

    def test_times_are_reported_only(self):
        self.assertEqual(failures(self.baseline, self.slow), [])
        self.assertEqual(len(failures(self.baseline, self.slow, absolute=True)), 3)
        self.assertEqual(len(failures({**self.baseline, "shared": False}, self.slow)), 3)

    def test_counts_and_ratios_gate(self):
        worse = report("Ref-Dev", a_p95_ms=1, a_gbps=9, a_cpu_us=1, a_instructions=11, a_ratio=0.8, a_allocations=2)
        self.assertEqual(len(failures(self.baseline, worse)), 3)


class Waived(unittest.TestCase):
    slow = report(a_p95_ms=20)

    def test_a_good_one_excuses_its_metric_alone(self):
        self.assertEqual(failures(base(a_p95_ms=10), self.slow, waivers=waivers(WAIVER)), [])
        other = waivers({**WAIVER, "metric": "part.b_p95_ms"})
        self.assertEqual(len(failures(base(a_p95_ms=10), self.slow, waivers=other)), 1)
        everything = waivers({**WAIVER, "metric": "part.*"})
        self.assertEqual(failures(base(a_p95_ms=10), self.slow, waivers=everything), [])

    def test_an_expired_one_fails_whatever_the_figures_are(self):
        late = waivers(WAIVER, today=datetime.date(2027, 1, 1))
        self.assertEqual(len(failures(base(a_p95_ms=10), report(a_p95_ms=10), waivers=late)), 1)
        self.assertEqual(failures(base(a_p95_ms=10), self.slow, waivers=waivers(WAIVER, today=datetime.date(2026, 12, 31))),
                         [], "the last day counts")

    def test_incomplete_ones_fail(self):
        for key in ("metric", "owner", "reason", "analysis", "granted", "expires"):
            for value in (None, "", 7):
                entry = {**WAIVER, key: value}
                self.assertEqual(len(waivers(entry).faults), 1, (key, value))
            self.assertEqual(len(waivers({k: v for k, v in WAIVER.items() if k != key}).faults), 1, key)
        for change in ({"analysis": "see me"}, {"expires": "soon"}, {"expires": "2027-03-01"}, {"granted": "2026-11-22"},
                       {"expires": "2026-10-01"}, {"allows": "all"}):
            self.assertEqual(len(waivers({**WAIVER, **change}).faults), 1, change)
        self.assertEqual(len(waivers("no").faults), 1)

    def test_no_waiver_excuses_a_broken_slo(self):
        baseline = base(media_range_p95_ms=10, slo={"media_range_p95_ms": {"at_most": 15}})
        excused = waivers({**WAIVER, "metric": "part.*"})
        self.assertEqual(len(failures(baseline, report(media_range_p95_ms=20), "media", waivers=excused)), 1)


class Widened(unittest.TestCase):
    allows = {**WAIVER, "metric": "part.*", "allows": "widen"}

    def test_only_with_a_waiver(self):
        measured = report(a_p95_ms=11.4)
        self.assertEqual(failures(base(a_p95_ms=10), measured, widen=5, waivers=waivers(self.allows)), [])
        without = failures(base(a_p95_ms=10), measured, widen=5)
        self.assertEqual(len(without), 2, "the missing waiver, and the metric at its usual limit")
        self.assertEqual(len(failures(base(a_p95_ms=10), report(a_p95_ms=10), widen=5)), 1)

    def test_a_waiver_to_widen_excuses_nothing(self):
        self.assertEqual(len(failures(base(a_p95_ms=10), report(a_p95_ms=20), waivers=waivers(self.allows))), 1)
        self.assertEqual(len(failures(base(a_p95_ms=10), report(a_p95_ms=11.6), widen=5, waivers=waivers(self.allows))), 1)

    def test_no_more_than_five_and_bounds_stay(self):
        with self.assertRaises(gate.Unjudgeable):
            gate.judge(base(a_p95_ms=10), report(a_p95_ms=10), widen=6, waivers=waivers(self.allows))
        stays = failures(base(a_pq_overhead_pct=1), report(a_pq_overhead_pct=7), widen=5, waivers=waivers(self.allows))
        self.assertEqual(len(stays), 1)


class Facets(unittest.TestCase):
    baseline = base(media_range_p95_ms=10, feed_fan_per_s=100,
                    slo={"media_range_p95_ms": {"at_most": 12}, "feed_fan_per_s": {"at_least": 95}})

    def test_only_the_named_one_is_bounded(self):
        within = report(media_range_p95_ms=10.9, feed_fan_per_s=91)
        self.assertEqual(failures(self.baseline, within), [])
        self.assertEqual(failures(self.baseline, within, "media"), [])
        self.assertEqual(len(failures(self.baseline, within, "feed")), 1)
        self.assertEqual(len(failures(base(a_p95_ms=1), report(a_p95_ms=1), "media")), 1, "no SLO to hold it against")


class Schema(unittest.TestCase):
    def bad(self, **baseline):
        with self.assertRaises(gate.Unjudgeable):
            gate.check_baseline(baseline, "test")

    def test_the_example_of_the_transport_document(self):
        example = {"ref": "Ref-A", "tls_small_p95_ms": 12.0, "tls_small_p99_ms": 25.0, "tls_stream_64k_gbps": 2.0,
                   "quic_stream_64k_gbps": 2.2, "cpu_pct_at_target": 70.0, "mem_gib": 1.2}
        gate.check_baseline(example, "test")
        gate.check_baseline({"name": "ron-transport", **example}, "test")
        for key in example:
            self.bad(name="ron-transport", **{k: v for k, v in example.items() if k != key})
        self.bad(**{**example, "cpu_pct_at_target": 101})

    def test_what_it_refuses(self):
        self.bad(ref="Ref-C", a_p95_ms=1)
        self.bad(ref="Ref-A")
        self.bad(a_p95_ms=1)
        self.bad(ref="Ref-A", a_p95_ms="1")
        self.bad(ref="Ref-A", a_p95_ms=True)
        self.bad(ref="Ref-A", a_p95_ms=-1)
        self.bad(ref="Ref-A", a_p95_seconds=1)
        self.bad(ref="Ref-A", name="Not A Name", a_p95_ms=1)
        self.bad(ref="Ref-A", a_p95_ms=1, slo={"x": {"about": 1}})
        self.bad(ref="Ref-A", a_p95_ms=1, slo={"x": {}})
        self.bad(ref="Ref-A", a_p95_ms=1, recorded="today")

    def test_a_schema_word_that_is_not_implemented_is_said(self):
        with self.assertRaises(gate.Unjudgeable):
            gate.schema_faults(1, {"multipleOf": 2})

    def test_every_metric_the_schema_allows_has_a_rule(self):
        schema = gate.read_json(os.path.join(gate.FOLDER, "perf-baseline.schema.json"))
        for name in set(schema["properties"]) - gate.ABOUT:
            self.assertTrue(gate.rule_of(name), name)

    def test_all_baselines_and_waivers_of_the_repository(self):
        for name in sorted(os.listdir(gate.FOLDER)):
            path = os.path.join(gate.FOLDER, name)
            if name == "waivers.json":
                self.assertEqual(gate.Waivers(gate.read_json(path), datetime.date.today()).faults, [])
            elif not name.endswith("schema.json"):
                gate.check_baseline(gate.read_json(path), path)


class Commands(unittest.TestCase):
    def run_gate(self, *arguments):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = gate.main([str(a) for a in arguments])
        return code, out.getvalue()

    def test_record_then_check(self):
        with tempfile.TemporaryDirectory() as folder:
            path = {name: os.path.join(folder, name) for name in ("a.json", "r.json", "w.json")}

            def write(name, value):
                with open(path[name], "w", encoding="utf-8") as f:
                    json.dump(value, f)

            write("r.json", report(x_instructions=[3, 1, 2]))
            write("w.json", [])
            self.assertEqual(self.run_gate("record", path["r.json"], path["a.json"])[0], 0)
            self.assertEqual(gate.read_json(path["a.json"])["x_instructions"], 2)
            check = ("check", path["a.json"], path["r.json"], "--waivers", path["w.json"])
            self.assertEqual(self.run_gate(*check)[0], 0)
            write("r.json", report(x_instructions=3))
            code, out = self.run_gate(*check)
            self.assertEqual(code, 1)
            self.assertIn("FAILED x_instructions: 2 -> 3", out)
            write("w.json", [{**WAIVER, "metric": "a.x_instructions"}])
            self.assertEqual(self.run_gate(*check, "--today", "2026-12-01")[0], 0)
            self.assertEqual(self.run_gate(*check, "--today", "2027-02-01")[0], 1)
            write("r.json", {"runs": []})
            self.assertEqual(self.run_gate(*check)[0], 2)
            self.assertEqual(self.run_gate("check", "nowhere", path["r.json"])[0], 2)

    def test_rules_are_printed(self):
        self.assertEqual(len(self.run_gate("--rules")[1].splitlines()), len(gate.RULES))


if __name__ == "__main__":
    unittest.main()
