"""No default changes in a minor version: an upgrade of the chart changes nothing unasked."""

import json
import re
import sys
from pathlib import Path

import yaml

from render import CHART, ROOT, VERSION

# The defaults of the last version are a promise; `python3 tests/chart/test_defaults.py` rewrites them.
KEPT = Path(__file__).parent / "defaults.json"


def leaves(values, path=()):
    """Every value that is not a map, or is an empty one, by its path."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key)), value


def defaults():
    return dict(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))


def unreleased(version):
    return f"## [{version}] - " not in (ROOT / "CHANGELOG.md").read_text()


def changed(before, now):
    """The differences. A map that was empty may have got keys with defaults of their own."""
    return sorted(
        path for path, value in before.items()
        if now.get(path) != value and not (value == {} and any(it.startswith(path + ".") for it in now))
    )  # fmt: skip


def test_no_default_changes_in_a_minor_version():
    kept = json.loads(KEPT.read_text())
    if kept["version"] == VERSION and unreleased(VERSION):
        # This version is not released yet: its defaults may change, and are recorded at the release.
        assert kept["defaults"] == defaults(), "record them again: python3 tests/chart/test_defaults.py"
    elif kept["version"].split(".")[0] == VERSION.split(".")[0]:
        assert changed(kept["defaults"], defaults()) == [], f"since {kept['version']}: give it a new major version, or leave them"
    else:
        assert VERSION.endswith(".0.0"), "a new major version begins with its own defaults: record them again"


def test_a_change_is_seen():
    before = {"a.b": 1, "c": [], "d": {}}
    assert changed(before, before | {"e": 2}) == []
    assert changed(before, {"a.b": 1, "c": [], "d.new": 1}) == []
    assert changed(before, {"a.b": 2, "c": []}) == ["a.b", "d"]


def test_versions_are_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


if __name__ == "__main__":
    KEPT.write_text(json.dumps({"version": VERSION, "defaults": defaults()}, indent=1, ensure_ascii=False) + "\n")
    sys.exit(0)
