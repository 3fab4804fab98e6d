"""The service levels of a requirement document, measured: what the programs of bench/slo have in common.

A part is an executable file bench/slo/NAME (`./dev bench slo NAME`):

    import slo

    def latency(report):
        ...
        report.row("public GET", "p95", "ms", value, 80, ref="Ref-A")

    slo.main("index", __doc__, {"latency": latency, "budgets": budgets})

Every row is one JSON line on stdout: {"slo", "row", "figure", "unit", "ref", "value", "floor", "met", "note"?};
`floor` says "<= 12" or ">= 15000", `met` is computed. Progress and a table of all rows go to stderr. Exit code 0
when all was measured, met or not; 1 when something could not be.
"""
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/blackbox"))
import support  # noqa: E402

# Half of the processors serve, the others make the load (with one processor both use it).
COUNT = os.cpu_count() or 1
CLIENT_CORES = list(range(max(1, COUNT // 2)))
SERVER_CORES = list(range(COUNT // 2, COUNT))


def say(text):
    print(text, file=sys.stderr, flush=True)


def pinned(cores, command):
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


def build(*targets):
    """Builds our programs if they are not up to date."""
    subprocess.run(["cmake", "--preset", "release"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "build/release", "--target", *targets], cwd=ROOT, check=True,
                   stdout=sys.stderr)


def node(config="", **options):
    """A ron-node with all roles in RAM on the serving processors, not started yet; rates for strangers lifted."""
    shards = f"[node]\nshards = {len(SERVER_CORES)}\n"
    return support.Node(support.NO_RATES + shards + config,
                        command=pinned(SERVER_CORES, [support.program("ron-node")]), **options)


def load(program, *arguments, seconds=1, timeout=60, meanwhile=lambda: None):
    """One run of a load program on the other processors: its JSON line; operations that failed are in it.
    `meanwhile` is called while it runs."""
    command = [support.program(program), *arguments, f"--seconds={seconds}"]
    with subprocess.Popen(pinned(CLIENT_CORES, command), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as process:
        try:
            meanwhile()
            out, err = process.communicate(timeout=seconds + timeout)
        finally:
            process.kill()
    try:
        return json.loads(out)
    except json.JSONDecodeError:
        raise RuntimeError(f"{' '.join(command)}: exit {process.returncode}: {out} {err}") from None


def let_pass(seconds):
    """Lets time pass: what happens meanwhile is what is measured."""
    end = time.monotonic() + seconds
    support.wait_until(lambda: time.monotonic() >= end, seconds + 5)


class Report:
    """The rows of a part."""

    def __init__(self, part):
        self.part, self.rows, self.failed = part, [], []

    def row(self, row, figure, unit, value, *, most=None, least=None, ref="", note=""):
        """One figure against its floor: `most` or `least` of it."""
        line = {"slo": self.part, "row": row, "figure": figure, "unit": unit, "ref": ref, "value": round(value, 4),
                "floor": f"<= {most:g}" if most is not None else f">= {least:g}",
                "met": bool(value <= most if most is not None else value >= least)}
        if note:
            line["note"] = note
        self.rows.append(line)
        print(json.dumps(line), flush=True)

    def table(self):
        shown = [(r["row"], r["figure"], r["ref"], f"{r['value']:,.4g}" if r["value"] < 1000 else f"{r['value']:,.0f}",
                  r["floor"], r["unit"], "met" if r["met"] else "NOT MET") for r in self.rows]
        widths = [max(len(line[i]) for line in shown) for i in range(7)] if shown else []
        for line in shown:
            say("  ".join(word.rjust(width) if i == 3 else word.ljust(width)
                          for i, (word, width) in enumerate(zip(line, widths, strict=True))).rstrip())
        met = sum(row["met"] for row in self.rows)
        say(f"\n{self.part}: {met} of {len(self.rows)} met"
            + (f"; could not be measured: {', '.join(self.failed)}" if self.failed else ""))


def main(part, usage, groups):
    """Runs the groups (name -> function of a Report) whose name has the regular expression on the command line."""
    words = sys.argv[1:]
    if len(words) > 1 or (words and words[0].startswith("-")):
        say(usage)
        sys.exit(0 if words == ["--help"] else 2)
    chosen = [name for name in groups if not words or re.search(words[0], name)]
    if not chosen:
        say(f"{part}: there are {', '.join(groups)}")
        sys.exit(2)
    report = Report(part)
    for number, name in enumerate(chosen, 1):
        say(f"{part}: {name} ({number} of {len(chosen)})")
        try:
            groups[name](report)
        except (RuntimeError, OSError, TimeoutError, subprocess.SubprocessError, support.NodeFailed) as error:
            say(f"{part}: {name}: {error}")
            report.failed.append(name)
    report.table()
    sys.exit(1 if report.failed else 0)
