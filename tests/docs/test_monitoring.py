"""What contrib offers for Prometheus and Grafana names what exists, and every metric is on the dashboard."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from fakes.progress import GENERATION, PROGRESS

from dedupd.api.metrics import metrics_text

CONTRIB = Path(__file__).parents[2] / "contrib"
RULES = yaml.safe_load((CONTRIB / "prometheus/dedupd.rules.yml").read_text(encoding="utf-8"))["groups"]
DASHBOARD = json.loads((CONTRIB / "grafana/dedupd.json").read_text(encoding="utf-8"))
TOLD = metrics_text(replace(PROGRESS, generations=(GENERATION,)), "1")
METRICS = set(re.findall(r"^# TYPE (\S+)", TOLD, re.MULTILINE))
LABELS = {
    name: set(re.findall(r'(\w+)="', labels)) for name, labels in re.findall(r"^(\w+)\{(.*)\}", TOLD, re.MULTILINE)
}
ALERTS = [rule for group in RULES for rule in group["rules"]]
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]


def named(expression):
    return set(re.findall(r"\bdedupd_\w+", expression))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_a_rule_names_metrics_and_labels_that_exist(rule):
    metrics = named(rule["expr"])
    assert metrics
    assert metrics <= METRICS
    words = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", words)) <= set().union(*(LABELS.get(name, set()) for name in metrics))
    assert rule["for"]
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}


def test_a_panel_names_metrics_and_labels_that_exist():
    for target in TARGETS:
        metrics = named(target["expr"])
        assert metrics
        assert metrics <= METRICS
        labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert labels <= set().union(*(LABELS.get(name, set()) for name in metrics)), target


def test_every_metric_is_on_the_dashboard():
    assert set().union(*(named(target["expr"]) for target in TARGETS)) == METRICS


def test_the_dashboard_asks_the_source_that_its_user_chose():
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {"${source}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
