"""What config/ gives a monitoring system speaks of metrics and labels that a node has."""
# ctest: TIMEOUT 60 LABELS blackbox
import glob
import json
import os
import re

import support
from support import NodeTest

# Of PromQL, not of a node.
WORDS = {"histogram_quantile", "label_values", "group_left", "instance", "humanizeDuration"}
LABELS = re.compile(r'(\w+)(\{[^{}]*\})')


def metrics_in(expression):
    """Names of metrics in an expression: what has an underscore, and is not a word of the language or in quotes."""
    bare = re.sub(r'\{[^{}]*\}|\[[^\]]*\]|"[^"]*"', "", expression)
    bare = re.sub(r"\b(by|on|group_left|without) *\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", bare)) - WORDS


def matched(expression):
    """(metric, label, values) of every matcher with the values written out."""
    for metric, matchers in LABELS.findall(expression):
        for label, values in re.findall(r'(\w+)=~?"([a-z0-9_|]+)"', matchers):
            yield metric, label, values.split("|")


class Monitoring(NodeTest):
    def setUp(self):
        super().setUp()
        # With the parts that have metrics of their own; the daemon of tor is not there and is not needed.
        node = self.node("[tor]\nonion = true\ncontrol = 127.0.0.1:1\n")
        self.series = node.metrics()
        # And with a disk.
        self.series |= self.node("[node]\namnesia = false\ndata-dir = data\n").metrics()
        self.names = {name.partition("{")[0] for name in self.series}

    def check(self, where, expression):
        names = metrics_in(expression)
        self.assertTrue(names, f"{where}: no metric in {expression}")
        self.assertLessEqual(names, self.names, f"{where}: {expression}")
        grouped = {label for some in re.findall(r"\bby \(([^)]*)\)", expression) for label in some.split(", ")}
        for label in grouped - {"instance", "le", "limit"}:
            there = any(name.partition("{")[0] in names and f'{label}="' in name for name in self.series)
            self.assertTrue(there, f"{where}: {' and '.join(names)} has no label {label}")
        for metric, label, values in matched(expression):
            for value in values:
                there = any(name.startswith(metric + "{") and f'{label}="{value}"' in name for name in self.series)
                self.assertTrue(there, f"{where}: no series of {metric} has {label}={value}")

    def test_alert_rules(self):
        files = glob.glob(support.source("config/rules/*.yml"))
        self.assertGreaterEqual(len(files), 2)
        for path in files:
            with open(path, encoding="utf-8") as lines:
                rules = re.findall(r"^ +expr: (.+)$", lines.read(), re.M)
            self.assertGreaterEqual(len(rules), 10, path)
            for rule in rules:
                self.check(os.path.basename(path), rule)

    def test_dashboards(self):
        files = glob.glob(support.source("config/dashboards/*.json"))
        self.assertTrue(files)
        for path in files:
            with open(path, encoding="utf-8") as file:
                board = json.load(file)
            panels = board["panels"]
            self.assertEqual(len({panel["id"] for panel in panels}), len(panels), "ids are unique")
            taken = set()
            for panel in panels:
                at = panel["gridPos"]
                cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                self.assertFalse(cells & taken, f"{panel['title']} lies on another panel")
                taken |= cells
                for target in panel.get("targets", []):
                    self.check(panel["title"], target["expr"])


if __name__ == "__main__":
    support.main()
