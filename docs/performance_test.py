#!/usr/bin/env python3
"""The page about performance: that it is the one of its run, and what it says of a small made-up run."""

import os
import sys
import unittest
import xml.dom.minidom

DOCS = os.path.dirname(os.path.abspath(sys.argv.pop(1)))
sys.path.insert(0, DOCS)

import json  # noqa: E402

import performance  # noqa: E402


def figure(ratio, **more):
    return {"p50_us": 10 * ratio, "p99_us": 20 * ratio, "ratio": ratio, "ratio_quartiles": [ratio, ratio],
            "cpu_us": 1.0, **more}


RUN = {
    "machine": {"cpu": "A & B", "kernel": "Linux 6"},
    "raw_seqpacket": figure(1),
    "stub_unary": figure(1.2),
    "stub_callback": figure(2.5),
    "grpc_unary": figure(6),
    "channels_100": figure(0.5, per_s=100000.0, per_s_quartiles=[1, 2]),
    "growth_channels": {"points": [{"n": 1, "p50_us": 10.0, "kib": 100}, {"n": 1000, "p50_us": 20.0, "kib": 900}]},
}


class PerformanceTest(unittest.TestCase):

    def test_the_page_in_the_tree_is_that_of_the_run_in_the_tree(self):
        with open(os.path.join(DOCS, "performance", "run.json"), encoding="utf-8") as file:
            files = performance.page(json.load(file))
        for path, content in files.items():
            with open(os.path.join(DOCS, path), encoding="utf-8") as file:
                self.assertEqual(file.read(), content, f"{path}: ./bazelw run //docs:performance -- RUN.json")
        plots = {path for path in files if path.endswith(".svg")}
        in_tree = {"performance/" + name for name in os.listdir(os.path.join(DOCS, "performance")) if name.endswith(".svg")}
        self.assertEqual(plots, in_tree)

    def test_the_same_run_gives_the_same_bytes(self):
        self.assertEqual(performance.page(RUN), performance.page(json.loads(json.dumps(RUN))))

    def test_what_is_reached_missed_and_not_measured_is_said(self):
        page = performance.page(RUN)["performance.md"]
        self.assertIn("| Unary call by stub, both ends waiting | ≤ 1.25 raw round trips | 1.2 | reached |", page)
        self.assertIn("| Call by the callback stub | ≤ 2 raw round trips | 2.5 | **missed** |", page)
        self.assertIn("| Unary call, against stock gRPC | ≥ 6 times | 5 | **missed** |", page)
        self.assertIn("| Unary call, against Cap'n Proto RPC | ≥ 1 times | – | not measured |", page)

    def test_the_machine_is_named(self):
        self.assertIn("| cpu | A & B |", performance.page(RUN)["performance.md"])

    def test_plots_are_xml_with_labelled_axes(self):
        files = performance.page(RUN)
        self.assertIn("performance/growth_channels_time.svg", files)
        for path, content in files.items():
            if path.endswith(".svg"):
                xml.dom.minidom.parseString(content)
        self.assertIn(">p50 of a call, µs, logarithmic<", files["performance/growth_channels_time.svg"])
        self.assertIn(">channels to one service process, logarithmic<", files["performance/growth_channels_time.svg"])
        self.assertIn("multiples of a bare seqpacket round trip, logarithmic", files["performance/calls.svg"])

    def test_a_plot_without_figures_is_left_out(self):
        self.assertNotIn("performance/starts.svg", performance.page(RUN))

    def test_every_plot_is_in_the_page(self):
        files = performance.page(RUN)
        for path in files:
            if path.endswith(".svg"):
                self.assertIn(f"]({path})", files["performance.md"])


if __name__ == "__main__":
    unittest.main()
