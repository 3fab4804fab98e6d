"""Durations, sizes, rates and shares on the command lines of our scripts: types for argparse."""
import argparse
import re

SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def measure(text, units, what):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
    if not found or found[2] not in units:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {what}")
    return float(found[1]) * units[found[2]]


def duration(text):
    return measure(text, SECONDS, "a duration such as 50ms, 2s, 1min")


def size(text):
    return int(measure(text, BYTES, "a size such as 512, 64KiB, 1MiB"))


def rate(text):
    return measure(text.removesuffix("/s"), BYTES, "a rate such as 64KiB/s")


def share(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a share such as 2% or 0.02")
    return float(found[1]) / (100 if found[2] else 1)
