#!/usr/bin/env python3
"""Writes docs/performance.md and its plots from a run of the benchmark.

    ./bazelw run -c opt //bench -- --json --peers --growth > run.json
    ./bazelw run //docs:performance -- run.json

The run itself is kept beside the plots, so that the page can be made again, and is by a test.
"""

import json
import os
import sys

import plot
from promises import PROMISES

# Name in the run, and what a reader calls it.
CALLS = [
    ("raw_seqpacket", "bare seqpacket"), ("raw_seqpacket_apart", "bare seqpacket, two CPUs"),
    ("stub_unary_adaptive", "stub, polling, two CPUs"), ("stub_unary", "stub"),
    ("stub_callback", "callback stub"), ("sdbus_unary", "sd-bus"), ("nvlist_unary", "nvlist"),
    ("capnp_unary", "Cap'n Proto RPC"), ("grpc_unary", "stock gRPC"), ("grpc_unary_apart", "stock gRPC, two CPUs"),
    ("stream_message", "stream on the wire"),
]
FILES = [
    ("openat_direct", "open()"),
    ("raw_descriptor", "bare message and descriptor"), ("descriptor_by_stub", "by stub"),
    ("raw_notified_openat", "bare notification"), ("transparent_openat", "open() in a worker"),
]
STARTS = [
    ("service_open_spare", "service process, a spare one"), ("service_open", "service process"),
    ("worker_start_spare", "worker, from a spare one"),
    ("worker_start", "worker, forked"), ("worker_exec", "worker, executed"), ("minijail_start", "minijail0"),
    ("bubblewrap_start", "bubblewrap"), ("bubblewrap_exec", "bubblewrap, same program"), ("nsjail_start", "nsjail"),
    ("firejail_start", "firejail"),
]
CHANNELS = [
    ("raw_epoll_channels_100", "bare epoll, 100"), ("channels_100", "channels, 100"),
    ("capnp_channels_100", "Cap'n Proto RPC, 100"), ("grpc_channels_100", "stock gRPC, 100"),
    ("raw_epoll_channels_1000", "bare epoll, 1000"), ("channels_1000", "channels, 1000"),
    ("capnp_channels_1000", "Cap'n Proto RPC, 1000"), ("grpc_channels_1000", "stock gRPC, 1000"),
]
MESSAGES = [
    ("message_1m", "1 MiB"), ("grpc_message_1m", "1 MiB, stock gRPC"), ("message_64m", "64 MiB"),
    ("grpc_message_64m", "64 MiB, stock gRPC"),
]
OTHERS = ("raw_", "grpc_", "capnp_", "sdbus_", "nvlist_", "minijail_", "bubblewrap_", "nsjail_", "firejail_", "openat")
BARS = [
    ("calls", "A small call and its answer", "multiples of a bare seqpacket round trip", CALLS, "ratio", 1, True),
    ("files", "Opening a small file", "multiples of a bare seqpacket round trip", FILES, "ratio", 1, False),
    ("channels", "Many channels to one service process", "calls in a second", CHANNELS, "per_s", 1, True),
    ("messages", "Large messages, echoed", "MiB of payload in a second, one way", MESSAGES, "per_s", 1 / 2**20, False),
    ("starts", "From asking for it to its first answer or byte", "ms", STARTS, "p50_us", 1e-3, True),
]
GROWTH = [
    ("growth_channels", "channels to one service process", "p50 of a call, µs", "KiB, that process alone"),
    ("growth_limits_entries", "names in the limits of a channel", "p50 of a call, µs", "KiB, the service process alone"),
    ("growth_limits_check", "names in limits", "p50 of the check alone, µs", None),
    ("growth_directory_depth", "directories on the way to a file", "p50 of opening it, µs", None),
    ("growth_workers", "workers alive", "one more worker, µs", "KiB, broker and zygote together"),
]


def bar_plots(run):
    for name, title, axis, names, key, factor, log in BARS:
        rows = [(label, run[figure][key] * factor, not figure.startswith(OTHERS))
                for figure, label in names if figure in run]
        if rows:
            yield name, title, plot.bars(title, axis, rows, log)


def growth_plots(run):
    for name, x_label, time_label, memory_label in GROWTH:
        points = run.get(name, {}).get("points", [])
        for suffix, key, y_label in (("time", "p50_us", time_label), ("memory", "kib", memory_label)):
            values = [(point["n"], point[key]) for point in points if point.get(key)]
            if y_label and len(values) > 1:
                title = y_label.split(",")[0] + ", by " + x_label
                if suffix == "memory":
                    title = "Memory, by " + x_label
                yield f"{name}_{suffix}", title, plot.line(title, x_label, y_label, values)


def promise_rows(run):
    for promise in PROMISES:
        measured = promise.measured(run)
        sign = "≥" if promise.least else "≤"
        bound = f"{sign} {plot.number(promise.bound)} {promise.unit}"
        if measured is None:
            yield f"| {promise.what} | {bound} | – | not measured |"
        else:
            verdict = "reached" if promise.holds(measured) else "**missed**"
            yield f"| {promise.what} | {bound} | {plot.number(measured)} | {verdict} |"


def figure_rows(run):
    for name, figure in sorted(run.items()):
        if "ratio" not in figure:
            continue
        low, high = figure["ratio_quartiles"]
        cell = lambda key: plot.number(figure[key]) if key in figure else ""
        yield (f"| `{name}` | {cell('p50_us')} | {cell('p99_us')} | {cell('per_s')} | {plot.number(figure['ratio'])} | "
               f"{plot.number(low)} to {plot.number(high)} | {cell('cpu_us')} |")


def page(run):
    """Gives the files: a dict of path, relative to docs/, and text."""
    machine = run.get("machine", {})
    files = {}
    lines = [
        "# Performance",
        "",
        "Written by `./bazelw run //docs:performance -- RUN.json` from [a run of the benchmark](performance/run.json):",
        "",
        "    ./bazelw run -c opt //bench -- --json --peers --growth > run.json",
        "",
        "All variants run in each of several rounds. A ratio is of the time of a call to that of a bare blocking round trip",
        "of 32 bytes on a seqpacket socket in the same round: it carries from machine to machine, as far as anything does;",
        "microseconds do not. Quartiles are over the rounds. CPU time is of callers and servers together. What each figure",
        "is stands in the headers of `bench/`.",
        "",
        "| | |",
        "| --- | --- |",
    ]
    lines += [f"| {fact} | {machine[fact]} |" for fact in sorted(machine)]
    lines += ["", "## To reach, and measured", "", "| figure | to reach | measured | |", "| --- | --- | --- | --- |"]
    lines += promise_rows(run)
    lines += [
        "",
        "Not measured is what this run did not have: a peer that is not installed on the machine (Debian has neither",
        "minijail, nsjail nor a libnv for nvlists), or something that is not built. What the system calls alone take for",
        "the two openings of a file stands below as `raw_descriptor` and `raw_notified_openat`.",
        "",
    ]
    for name, title, svg in bar_plots(run):
        files[f"performance/{name}.svg"] = svg
        lines += [f"![{title}](performance/{name}.svg)", ""]
    growth = list(growth_plots(run))
    if growth:
        lines += ["## How it grows", ""]
    for name, title, svg in growth:
        files[f"performance/{name}.svg"] = svg
        lines += [f"![{title}](performance/{name}.svg)", ""]
    lines += ["## All figures", "", "| figure | p50 µs | p99 µs | per second | ratio | quartiles | CPU µs |",
              "| --- | --- | --- | --- | --- | --- | --- |"]
    lines += figure_rows(run)
    files["performance.md"] = "\n".join(lines) + "\n"
    return files


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(os.path.join(os.environ.get("BUILD_WORKING_DIRECTORY", ""), arguments[1]), encoding="utf-8") as file:
        text = file.read()
    docs = os.path.join(os.environ["BUILD_WORKSPACE_DIRECTORY"], "docs")
    folder = os.path.join(docs, "performance")
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        if old.endswith(".svg"):
            os.remove(os.path.join(folder, old))
    files = page(json.loads(text))
    files["performance/run.json"] = text
    for path, content in files.items():
        with open(os.path.join(docs, path), "w", encoding="utf-8") as file:
            file.write(content)
    print(f"wrote {len(files)} files below {docs}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
