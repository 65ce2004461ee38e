#!/usr/bin/env python3
"""The comparison of runs, with made-up ones: what counts as worse, and the exit status."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

COMPARE = os.path.abspath(sys.argv.pop(1))


def figure(ratio, low, high):
    return {"p50_us": 1.0, "ratio": ratio, "ratio_quartiles": [low, high], "cpu_us": 1.0}


class CompareTest(unittest.TestCase):

    def compare(self, base, new):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name, run in (("base.json", base), ("new.json", new)):
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(run if isinstance(run, str) else json.dumps(run))
            result = subprocess.run([COMPARE] + paths, capture_output=True, text=True, check=False)
        return result.returncode, result.stdout, result.stderr

    def test_the_same_run_is_not_worse(self):
        run = {"machine": {"cpu": "x"}, "stub": figure(1.2, 1.1, 1.3), "memory": {"kib": 100}}
        status, out, _ = self.compare(run, run)
        self.assertEqual(status, 0, out)
        self.assertIn("nothing got worse", out)
        self.assertNotIn("not the same machine", out)

    def test_a_change_within_the_quartiles_is_noise(self):
        status, out, _ = self.compare({"stub": figure(1.2, 1.0, 1.5)}, {"stub": figure(1.6, 1.4, 1.8)})
        self.assertEqual(status, 0, out)

    def test_a_change_beyond_the_quartiles_is_worse(self):
        status, out, _ = self.compare({"stub": figure(1.2, 1.1, 1.3), "grpc": figure(7, 6, 8)},
                                      {"stub": figure(1.6, 1.4, 1.8), "grpc": figure(7, 6, 8)})
        self.assertEqual(status, 1, out)
        self.assertRegex(out, r"stub ratio .*\+33.3% WORSE")
        self.assertIn("1 got worse", out)

    def test_a_small_change_of_a_quiet_figure_is_not_worse(self):
        status, out, _ = self.compare({"stub": figure(1.2, 1.199, 1.201)}, {"stub": figure(1.23, 1.229, 1.231)})
        self.assertEqual(status, 0, out)

    def test_what_got_better_is_said(self):
        status, out, _ = self.compare({"stub": figure(1.6, 1.4, 1.8)}, {"stub": figure(1.2, 1.1, 1.3)})
        self.assertEqual(status, 0, out)
        self.assertRegex(out, r"stub ratio .* better")

    def test_memory_may_grow_by_a_tenth(self):
        self.assertEqual(self.compare({"m": {"kib": 100}}, {"m": {"kib": 109}})[0], 0)
        self.assertEqual(self.compare({"m": {"kib": 100}}, {"m": {"kib": 111}})[0], 1)

    def test_a_figure_that_is_gone_is_worse(self):
        status, out, _ = self.compare({"stub": figure(1, 1, 1)}, {})
        self.assertEqual(status, 1, out)
        self.assertRegex(out, r"stub ratio .* gone")

    def test_a_new_figure_is_not_worse(self):
        status, out, _ = self.compare({}, {"stub": figure(1, 1, 1)})
        self.assertEqual(status, 0, out)
        self.assertRegex(out, r"stub ratio .* new")

    def test_workers_without_an_answer_are_worse(self):
        whole = {"workers_1000": {"workers": 1000, "answered": 1000, "per_s": 500, "kib": 100}}
        broken = {"workers_1000": {"workers": 1000, "answered": 999, "per_s": 500, "kib": 100}}
        self.assertEqual(self.compare(whole, whole)[0], 0)
        self.assertEqual(self.compare(whole, broken)[0], 1)

    def test_points_of_growth_are_compared(self):
        base = {"growth_channels": {"points": [{"n": 10, **figure(1, 0.9, 1.1)}, {"n": 100, **figure(1, 0.9, 1.1)}]}}
        new = {"growth_channels": {"points": [{"n": 10, **figure(1, 0.9, 1.1)}, {"n": 100, **figure(2, 1.9, 2.1)}]}}
        status, out, _ = self.compare(base, new)
        self.assertEqual(status, 1, out)
        self.assertRegex(out, r"growth_channels\[100\] ratio .* WORSE")

    def test_another_machine_is_said(self):
        out = self.compare({"machine": {"cpu": "x"}}, {"machine": {"cpu": "y"}})[1]
        self.assertIn("not the same machine or build: cpu: x / y", out)

    def test_what_is_no_run_cannot_be_compared(self):
        status, _, errors = self.compare({}, "not JSON")
        self.assertEqual(status, 2)
        self.assertIn("new.json", errors)


if __name__ == "__main__":
    unittest.main()
