"""Tests of scripts/coverage: a file below its threshold is named, one above it is not."""
import importlib.machinery
import importlib.util
import os
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
loader = importlib.machinery.SourceFileLoader("coverage", os.path.join(ROOT, "scripts", "coverage"))
coverage = importlib.util.module_from_spec(importlib.util.spec_from_loader("coverage", loader))
loader.exec_module(coverage)


class Judge(unittest.TestCase):
    def test_above_and_at_the_threshold(self):
        table, wrong = coverage.judge({"a.cpp": 95}, {"a.cpp": (95, 100), "b.hpp": (0, 10)})
        self.assertEqual(wrong, [])
        self.assertEqual(len(table), 2, "files without a threshold are shown")

    def test_below(self):
        table, wrong = coverage.judge({"a.cpp": 95}, {"a.cpp": (949, 1000)})
        self.assertEqual(len(wrong), 1)
        self.assertIn("TOO LOW", table[0])

    def test_a_file_that_was_not_measured(self):
        self.assertIn("nothing measured", coverage.judge({"gone.cpp": 95}, {})[1][0])

    def test_a_threshold_out_of_range(self):
        self.assertTrue(coverage.judge({"a.cpp": 101}, {"a.cpp": (1, 1)})[1])


class Parts(unittest.TestCase):
    def test_files_exist_and_thresholds_are_what_was_promised(self):
        for name, part in coverage.read_parts().items():
            self.assertTrue(part["programs"], name)
            for path, least in part["least_percent"].items():
                self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
                self.assertGreaterEqual(least, 95 if name == "oap" else 0, path)


if __name__ == "__main__":
    unittest.main()
