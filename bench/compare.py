#!/usr/bin/env python3
"""What got worse from one run of the benchmark to another by more than their noise.

    ./bazelw run -c opt //bench:compare -- BASE.json NEW.json

Compared are ratios to the base of each run, so that a machine that was slower for a while says nothing, and memory.
A ratio got worse when its quartiles in the one run lie above those in the other, and by more than a twentieth; memory,
which has no quartiles, when it grew by more than a tenth. A figure that is gone counts as worse.

Exit status: 0, nothing got worse; 1, something did; 2, the runs cannot be compared.
"""

import json
import os
import sys

LEAST_CHANGE = 0.05
LEAST_GROWTH = 0.10


class Value:
    """A number of which less is better, with the range that it is sure of."""

    def __init__(self, middle, low, high, least_change):
        self.middle, self.low, self.high, self.least_change = middle, low, high, least_change

    def exceeds(self, other):
        return self.low > other.high and self.middle > other.middle * (1 + self.least_change)


def values_of(figure):
    """The values in one figure, by what to call them."""
    values = {}
    if "ratio_quartiles" in figure:
        values["ratio"] = Value(figure["ratio"], *figure["ratio_quartiles"], LEAST_CHANGE)
    if "kib" in figure:
        values["KiB"] = Value(figure["kib"], figure["kib"], figure["kib"], LEAST_GROWTH)
    if "answered" in figure:
        silent = figure["workers"] - figure["answered"]
        values["silent"] = Value(silent, silent, silent, 0)
    return values


def values_of_run(run):
    values = {}
    for name, figure in run.items():
        if name == "machine":
            continue
        parts = {name: figure}
        for point in figure.get("points", []):
            parts[f"{name}[{point['n']}]"] = point
        for part, content in parts.items():
            for kind, value in values_of(content).items():
                values[f"{part} {kind}"] = value
    return values


def judge(base, new):
    if new is None:
        return "gone"
    if new.exceeds(base):
        return "WORSE"
    return "better" if base.exceeds(new) else ""


def compare(base, new):
    """Gives the table's lines and how many figures got worse."""
    old_values, new_values = values_of_run(base), values_of_run(new)
    lines = [f"{'':38} {'base':>12} {'new':>12} {'change':>8}"]
    worse = 0
    for name, old in sorted(old_values.items()):
        now = new_values.get(name)
        verdict = judge(old, now)
        worse += verdict in ("WORSE", "gone")
        shown = f"{now.middle:12.3f}" if now else f"{'-':>12}"
        change = f"{now.middle / old.middle - 1:+8.1%}" if now and old.middle else f"{'':8}"
        lines.append(f"{name:38} {old.middle:12.3f} {shown} {change} {verdict}".rstrip())
    for name in sorted(new_values.keys() - old_values.keys()):
        lines.append(f"{name:38} {'-':>12} {new_values[name].middle:12.3f} {'':8} new")
    return lines, worse


def machines_differ(base, new):
    old, now = base.get("machine", {}), new.get("machine", {})
    return [f"{fact}: {old.get(fact)} / {now.get(fact)}" for fact in sorted(old | now)
            if fact not in ("rounds", "load before") and old.get(fact) != now.get(fact)]


def main(arguments):
    if len(arguments) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    runs = []
    for path in arguments[1:]:
        try:
            # As `bazel run` is called from there.
            with open(os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", ""), path), encoding="utf-8") as file:
                runs.append(json.load(file))
        except (OSError, ValueError) as error:
            print(f"compare: {path}: {error}", file=sys.stderr)
            return 2
    for difference in machines_differ(*runs):
        print(f"not the same machine or build: {difference}")
    lines, worse = compare(*runs)
    print("\n".join(lines))
    print(f"{worse} got worse" if worse else "nothing got worse")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
