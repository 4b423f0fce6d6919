"""Grafana's dashboards: what the script makes, and laid out so that all of it is seen.

That their expressions have results is for scenarios.stack; that Grafana takes them, clients.dashboards."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "deploy/grafana/dashboards"


def dashboards():
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def expressions():
    """{(dashboard, panel): expression} with the variables filled in as Grafana would."""
    filled = {}
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                text = target["expr"].replace("$__rate_interval", "15s").replace("$job", "penstock")
                filled[name, panel["title"], target["refId"]] = re.sub(r"\$\w+", ".*", text)
    return filled


class Dashboards(unittest.TestCase):
    maxDiff = None

    def test_are_what_the_script_makes(self):
        done = subprocess.run([sys.executable, ROOT / "scripts/dashboards.py", "--check"], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_are_laid_out_without_overlap(self):
        for name, dashboard in dashboards().items():
            taken = {}
            for panel in dashboard["panels"]:
                at = panel["gridPos"]
                self.assertLessEqual(at["x"] + at["w"], 24, (name, panel["title"]))
                for x in range(at["x"], at["x"] + at["w"]):
                    for y in range(at["y"], at["y"] + at["h"]):
                        self.assertNotIn((x, y), taken, (name, panel["title"], taken.get((x, y))))
                        taken[x, y] = panel["title"]
            # No row of it has a hole at its right end.
            for y in {y for _, y in taken}:
                width = sum(1 for x in range(24) if (x, y) in taken)
                self.assertEqual(width, 24, (name, y, {taken[x, y] for x in range(24) if (x, y) in taken}))

    def test_tell_what_a_bad_value_means_and_where_to_read_on(self):
        uids = set()
        for name, dashboard in dashboards().items():
            self.assertEqual(dashboard["uid"], name)
            uids.add(dashboard["uid"])
            self.assertEqual(dashboard["templating"]["list"][0]["name"], "datasource")
            for panel in dashboard["panels"]:
                if panel["type"] == "row":
                    continue
                self.assertRegex(panel["description"], r"\.$", (name, panel["title"]))
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                for link in panel.get("links", ()):
                    self.assertTrue((ROOT / link["url"]).exists(), link["url"])
        self.assertEqual(len(uids), 4)

    def test_ask_for_series_of_the_gateway(self):
        known = set(re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text()))
        for where, text in expressions().items():
            for name in re.findall(r"\b(?:penstock|process)_\w+", re.sub(r'"[^"]*"', "", text)):
                self.assertIn(re.sub(r"_(bucket|count|sum)$", "", name), known, where)
