"""The dashboard asks for metrics that exist, in queries that parse."""

import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY

from gateway import metrics  # noqa: F401 - registers every metric

FILES = Path(__file__).parents[2] / "helm" / "ocm-gateway" / "files"
PANELS = json.loads((FILES / "dashboard.json").read_text())["panels"]
RULES = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", [])] + [
    rule["expr"] for rule in RULES
]


def ours():
    """Every sample name that our metrics may have, with its labels."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    return {
        family.name + suffix
        for family in REGISTRY.collect()
        if family.name.startswith("ocm_")
        for suffix in suffixes.get(family.type, [""])
    }


@pytest.mark.parametrize("query", QUERIES)
def test_queries_of_dashboard_and_alerts_parse_and_name_metrics_that_exist(query):
    promql_parser.parse(query)
    named = set(re.findall(r"\bocm_[a-z_]+", query))
    assert named
    assert named <= ours()


def test_panels_do_not_overlap():
    taken = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
