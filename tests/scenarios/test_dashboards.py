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
    """{(dashboard, number, panel, query): expression} with the variables filled in as Grafana would."""
    filled = {}
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                text = target["expr"].replace("$__rate_interval", "15s").replace("$job", "penstock")
                filled[name, panel["id"], panel["title"], target["refId"]] = re.sub(r"\$\w+", ".*", text)
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
            # No row of it is empty, or has a hole at its right end.
            for y in range(max(y for _, y in taken) + 1):
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
                for link in panel["fieldConfig"]["defaults"].get("links", ()):
                    uid = re.match(r"/d/([\w-]+)\?", link["url"]).group(1)
                    self.assertTrue((FOLDER / f"{uid}.json").exists(), link["url"])
        self.assertEqual(len(uids), 4)

    def test_ask_for_series_of_the_gateway(self):
        known = set(re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs/reference/metrics.md").read_text()))
        for where, text in expressions().items():
            for name in re.findall(r"\b(?:penstock|process)_\w+", re.sub(r'"[^"]*"', "", text)):
                self.assertIn(re.sub(r"_(bucket|count|sum)$", "", name), known, where)

    def test_ask_by_labels_and_values_that_the_series_have(self):
        """Else a sum by a label that nobody has is one line, and a value that never comes is a flat 0."""
        page = (ROOT / "docs/reference/metrics.md").read_text()
        known = {name: {label: set(values.split(", ")) if values else None
                        for label, values in re.findall(r"`(\w+)`(?: = ([^;|]*\w))?", labels)}
                 for name, labels in re.findall(r"(?m)^\| `(\w+)` \| \w+ \| (.*?) \|", page)}
        of_prometheus = {"job", "instance", "le"}
        for name, dashboard in dashboards().items():
            for target in (target for panel in dashboard["panels"] for target in panel.get("targets", ())):
                where, asked, have = (name, target["expr"]), set(), set(of_prometheus)
                for series, matchers in re.findall(r"\b((?:penstock|process)_\w+)\{([^}]*)\}", target["expr"]):
                    labels = known[series if series in known else re.sub(r"_(bucket|count|sum)$", "", series)]
                    have |= set(labels)
                    for label, value in re.findall(r'(\w+)[=!~]+"([^"$]*)"', matchers):
                        self.assertIn(label, of_prometheus | set(labels), where)
                        if labels.get(label):
                            self.assertTrue(all(any(re.fullmatch(one, each) for each in labels[label])
                                                for one in value.split("|")), (label, value, where))
                for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", target["expr"]):
                    asked |= set(group.split(", "))
                asked |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                self.assertLessEqual(asked, have, where)
