"""The Grafana dashboard: what Grafana would not complain of, but show nothing for. That its metrics are there,
tests/it/test_admin.py tells."""

import itertools
import json
import re
import shutil
import subprocess

import pytest

from lib.servers import ROOT

BOARD = json.loads((ROOT / "deploy/grafana.json").read_text())
PANELS = BOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
COLUMNS = 24
# Grafana's own, and what they are to be for a parser.
OF_GRAFANA = {"__rate_interval": "5m", "__all": ""}


def test_panels_are_told_apart_and_fit():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS) > 10
    assert all(panel["title"] and panel["targets"] for panel in PANELS)
    for panel in PANELS:
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS
    for one, two in itertools.combinations((panel["gridPos"] for panel in PANELS), 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        below = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or below, (one, two)


def test_variables_are_defined_and_used():
    defined = {variable["name"] for variable in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert used - set(OF_GRAFANA) == defined
    for expression in EXPRESSIONS:
        selectors = re.findall(r"\b(?:byunique|process)_\w+(\{[^}]*\})?", re.sub(r" and on .*", "", expression))
        assert selectors and all('instance=~"$instance"' in selector for selector in selectors), expression


def test_expressions_by_prometheus_own_tool(tmp_path):
    """Each as the rule of a recording, which promtool parses."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT TESTED: there is no promtool on this machine")

    def check(expressions):
        rules = [{"record": "panel:%d" % number, "expr": expression} for number, expression in enumerate(expressions)]
        path = tmp_path / "rules.yaml"
        path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
        return subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60)

    plain = [expression.replace("$__rate_interval", OF_GRAFANA["__rate_interval"]) for expression in EXPRESSIONS]
    done = check(plain)
    assert done.returncode == 0 and "%d rules found" % len(plain) in done.stdout, done.stdout + done.stderr
    assert check(["sum by (le rate(x[5m])"]).returncode != 0
