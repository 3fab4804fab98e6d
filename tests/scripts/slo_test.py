"""Tests of bench/slo/slo.py: rows are judged by their figures, and what could not be measured is said."""
import contextlib
import io
import json
import os
import sys
import unittest
from unittest import mock

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench", "slo"))
import slo  # noqa: E402


def run(groups, *words):
    """(exit code, rows, what was said) of a part's program."""
    out, err, code = io.StringIO(), io.StringIO(), None
    with (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
          mock.patch.object(sys, "argv", ["x", *words])):
        try:
            slo.main("part", "how to use it", groups)
        except SystemExit as end:
            code = end.code
    return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


def fast(report):
    report.row("answer", "p95", "ms", 12.0, most=12, ref="Ref-A")
    report.row("answer", "p95", "ms", 12.1, most=12, ref="Ref-B")
    report.row("answers", "rate", "1/s", 15_000, least=15_000)
    report.row("answers", "rate", "1/s", 14_999, least=15_000, note="why")


def broken(report):
    report.row("first", "p95", "ms", 1, most=2)
    raise RuntimeError("the wire is cut")


class Rows(unittest.TestCase):
    def test_are_met_by_their_figures(self):
        code, rows, said = run({"fast": fast})
        self.assertEqual([row["met"] for row in rows], [True, False, True, False])
        self.assertEqual(rows[1], {"slo": "part", "row": "answer", "figure": "p95", "unit": "ms", "ref": "Ref-B",
                                   "value": 12.1, "floor": "<= 12", "met": False})
        self.assertEqual((rows[3]["floor"], rows[3]["note"]), (">= 15000", "why"))
        self.assertIn("part: 2 of 4 met", said)
        self.assertIn("NOT MET", said)
        self.assertEqual(code, 0, "not met is a result")

    def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(self):
        code, rows, said = run({"broken": broken, "fast": fast})
        self.assertEqual((code, len(rows)), (1, 5))
        self.assertIn("part: broken: the wire is cut", said)
        self.assertIn("could not be measured: broken", said)

    def test_a_mistake_of_ours_is_not_hidden(self):
        def wrong(_):
            raise KeyError("typo")
        with self.assertRaises(KeyError):
            run({"wrong": wrong})


class Words(unittest.TestCase):
    def test_choose_groups(self):
        self.assertEqual(len(run({"broken": broken, "fast": fast}, "^f")[1]), 4)

    def test_that_choose_nothing(self):
        code, rows, said = run({"broken": broken, "fast": fast}, "slow")
        self.assertEqual((code, rows), (2, []))
        self.assertIn("broken, fast", said)

    def test_help(self):
        code, _, said = run({"fast": fast}, "--help")
        self.assertEqual((code, said), (0, "how to use it\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
