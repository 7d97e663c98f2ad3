#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
What numarena_stats_print() wrote, checked and flattened.

    printed.py json|prometheus < printed

Prints a line "name value" a number, so that others need not read the formats.  Exits 1
with a line on stderr if the text is not what its format allows.
"""
import json
import math
import re
import sys


def fail(what):
    sys.exit("printed.py: " + what)


def flatten_json(path, value):
    if isinstance(value, dict):
        for name, inner in value.items():
            flatten_json(path + [name], inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            flatten_json(path + [str(i)], inner)
    else:
        print(".".join(path), value)


def no_duplicates(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        fail("a name twice in one object: %s" % names)
    return dict(pairs)


NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABELS = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


class Prometheus:
    """https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4"""

    def __init__(self):
        self.helped, self.types, self.seen, self.buckets = set(), {}, set(), {}
        self.family, self.done = None, set()

    def comment(self, line):
        _, kind, name, rest = line.split(" ", 3)
        if not NAME.fullmatch(name) or not name.startswith("numarena_"):
            fail("a bad name: " + line)
        if kind == "HELP":
            if name in self.helped or not rest:
                fail("HELP twice, or empty: " + line)
            self.helped.add(name)
            return
        if kind != "TYPE" or rest not in ("counter", "gauge", "histogram"):
            fail("a bad comment: " + line)
        if name in self.types or name not in self.helped:
            fail("TYPE twice, or before HELP: " + line)
        if (rest == "counter") != name.endswith("_total"):
            fail("a counter ends in _total, and nothing else does: " + line)
        self.types[name] = rest
        self.done.add(self.family)
        self.family = name

    def labels(self, text):
        found, at = [], 0
        while at < len(text):
            match = LABELS.match(text, at)
            if not match:
                fail("bad labels: " + text)
            found.append(match.groups())
            at = match.end()
        return found

    def sample(self, line):
        match = re.fullmatch(r"([^{ ]+)(?:\{(.*)\})? ([^ ]+)", line)
        if not match:
            fail("no sample: " + line)
        name, labels, value = match.groups()
        labels = self.labels(labels or "")
        base = name
        if base not in self.types:
            base = re.sub("_(bucket|sum|count)$", "", name)
        if base != self.family:
            fail("a sample outside its family: " + line)
        if (name, tuple(labels)) in self.seen:
            fail("a series twice: " + line)
        self.seen.add((name, tuple(labels)))
        number = float(value)
        if math.isnan(number) or number < 0:
            fail("a bad value: " + line)
        if self.types[base] == "histogram":
            self.histogram(name, dict(labels), number, line)
        print(name + "".join("." + v for _, v in labels), value)

    def histogram(self, name, labels, number, line):
        le = labels.pop("le", None)
        key = tuple(labels.items())
        if name.endswith("_bucket"):
            bound, count = self.buckets.get(key, (-1.0, 0.0))
            if float(le) <= bound or number < count:
                fail("buckets do not grow: " + line)
            self.buckets[key] = (float(le), number)
        elif name.endswith("_count"):
            if self.buckets[key] != (math.inf, number):
                fail("count is not the last bucket: " + line)

    def check(self, text):
        if not text.endswith("\n"):
            fail("the last line has no end")
        for line in text.splitlines():
            if line.startswith("#"):
                self.comment(line)
            else:
                self.sample(line)
        if self.helped != set(self.types):
            fail("HELP without TYPE")


def main():
    text = sys.stdin.buffer.read().decode("utf-8")
    if sys.argv[1] == "json":
        flatten_json([], json.loads(text, object_pairs_hook=no_duplicates))
    else:
        Prometheus().check(text)


main()
