#!/usr/bin/env python3
"""Makes Grafana's dashboards out of scripts/dashboards_of.py, so that they stay alike.

    scripts/dashboards.py           writes deploy/grafana/dashboards/*.json
    scripts/dashboards.py --check   1 where a file is not what would be written
"""

import json
import pathlib
import sys

from dashboards_of import DASHBOARDS

FOLDER = pathlib.Path(__file__).parents[1] / "deploy/grafana/dashboards"
SCHEMA = 39
WIDTH = 24
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GOOD, WORSE, BAD = "green", "orange", "red"


def thresholds(steps):
    """[(value, colour)], the first from below on."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in steps]}


def defaults(panel):
    steps = [(None, GOOD)]
    if "warn" in panel:
        # Where less is worse, all below the first is bad.
        steps = ([(None, BAD), (panel["bad"], WORSE), (panel["warn"], GOOD)] if panel["warn"] > panel["bad"]
                 else [(None, GOOD), (panel["warn"], WORSE), (panel["bad"], BAD)])
    found = {"unit": panel.get("unit", "short"), "thresholds": thresholds(steps),
             "color": {"mode": "thresholds" if "warn" in panel or panel["kind"] == "stat" else "palette-classic"},
             "mappings": [], "custom": {}}
    if "least" in panel:
        found["min"] = panel["least"]
    if "to" in panel:
        title, uid, with_it = panel["to"]
        found["links"] = [{"title": title, "url": f"/d/{uid}?var-job=$job&{with_it}${{__url_time_range}}"}]
    if "most" in panel:
        found["max"] = panel["most"]
    if panel["kind"] == "timeseries":
        found["color"] = {"mode": "palette-classic"}
        found["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 60 if panel.get("stacked") else 10,
                           "showPoints": "never", "spanNulls": False,
                           "stacking": {"group": "A", "mode": "normal" if panel.get("stacked") else "none"},
                           "thresholdsStyle": {"mode": "line" if "warn" in panel else "off"}}
    if panel["kind"] == "state-timeline":
        found["custom"] = {"fillOpacity": 80, "lineWidth": 0}
        found["color"] = {"mode": "thresholds"}
        found["thresholds"] = thresholds([(None, BAD), (1, GOOD)])
        found["mappings"] = [{"type": "value", "options": {"0": {"text": panel["words"][0], "index": 0},
                                                           "1": {"text": panel["words"][1], "index": 1}}}]
    return found


def options(panel):
    kind = panel["kind"]
    if kind == "stat":
        return {"reduceOptions": {"values": False, "calcs": ["lastNotNull"], "fields": ""}, "colorMode": "value",
                "graphMode": "area", "justifyMode": "auto", "textMode": "auto", "orientation": "auto"}
    if kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "heatmap":
        return {"calculate": False, "cellGap": 1, "yAxis": {"unit": panel["unit"], "axisPlacement": "left"},
                "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "exponent": 0.5, "steps": 64,
                          "reverse": False}, "legend": {"show": True}, "exemplars": {"color": "rgba(255,0,255,0.7)"},
                "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
                "filterValues": {"le": 1e-9}, "cellValues": {}, "rowsFrame": {"layout": "auto"}}
    if kind == "state-timeline":
        return {"showValue": "never", "rowHeight": 0.9, "mergeValues": True, "alignValue": "left",
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
                "tooltip": {"mode": "single", "sort": "none"}}
    if kind == "table":
        return {"showHeader": True, "frameIndex": 0, "cellHeight": "sm"}
    raise KeyError(kind)


def target(panel, index, expression, legend):
    found = {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expression, "legendFormat": legend,
             "editorMode": "code", "range": panel["kind"] != "table", "instant": panel["kind"] == "table",
             "exemplar": panel.get("exemplars", False)}
    if panel["kind"] == "heatmap":
        found["format"] = "heatmap"
    if panel["kind"] == "table":
        found["format"] = "table"
    return found


def panel_of(panel, number, place):
    found = {"id": number, "type": panel["kind"], "title": panel["title"], "description": panel["says"],
             "gridPos": place, "datasource": SOURCE, "fieldConfig": {"defaults": defaults(panel), "overrides": []},
             "options": options(panel),
             "targets": [target(panel, i, *one) for i, one in enumerate(panel["targets"])]}
    if "runbook" in panel:
        found["links"] = [{"title": panel["runbook"], "type": "link", "icon": "doc", "tags": [], "asDropdown": False,
                           "targetBlank": True, "includeVars": False, "keepTime": False, "tooltip": "",
                           "url": f"docs/runbooks/{panel['runbook']}.md"}]
    if panel["kind"] == "table":
        found["transformations"] = [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": {name: True for name in ("Time", "job", "instance", "__name__", "window")},
                "renameByName": {f"Value #{chr(ord('A') + i)}": legend
                                 for i, (_, legend) in enumerate(panel["targets"])}}}]
    return found


def variable(name, query, label, every=True):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2,
            "sort": 1, "multi": every, "includeAll": every, "hide": 0, "skipUrlSync": False, "regex": "", "options": [],
            **({"allValue": ".*"} if every else {})}


def variables(names):
    known = {"job": variable("job", "label_values(penstock_ready, job)", "Job", False),
             "instance": variable("instance", 'label_values(penstock_ready{job="$job"}, instance)', "Gateway"),
             "engine": variable("engine", 'label_values(penstock_engine_healthy{job="$job"}, engine)', "Engine"),
             "model": variable("model", 'label_values(penstock_model_healthy_engines{job="$job"}, model)', "Model"),
             "budget": variable("budget", 'label_values(penstock_budget_objective_ratio{job="$job"}, budget)', "Budget")}
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
              "hide": 0, "skipUrlSync": False, "multi": False, "includeAll": False, "regex": "", "options": []}
    return [source] + [known[name] for name in names]


def dashboard(uid, described):
    panels, number, top = [], 0, 0
    for title, row in described["rows"]:
        number += 1
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}})
        top += 1
        left = height = 0
        for panel in row:
            wide, high = panel.get("wide", 4 if panel["kind"] == "stat" else 8), panel.get(
                "high", 4 if panel["kind"] == "stat" else 8)
            if left + wide > WIDTH:
                left, top, height = 0, top + height, 0
            number += 1
            panels.append(panel_of(panel, number, {"x": left, "y": top, "w": wide, "h": high}))
            left, height = left + wide, max(height, high)
        top += height
    links = [{"title": "Penstock", "type": "dashboards", "tags": ["penstock"], "asDropdown": True, "icon": "external link",
              "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": ""}]
    return {"uid": uid, "title": described["title"], "description": described["says"], "tags": ["penstock"],
            "schemaVersion": SCHEMA, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser",
            "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "links": links, "panels": panels,
            "templating": {"list": variables(described["variables"])}, "annotations": {"list": []}}


def made():
    return {f"{uid}.json": json.dumps(dashboard(uid, described), indent=1, ensure_ascii=False) + "\n"
            for uid, described in DASHBOARDS.items()}


def main(words):
    if words not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    wrong = 0
    for name, text in made().items():
        path = FOLDER / name
        if not words:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path}: not what scripts/dashboards.py writes", file=sys.stderr)
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
