"""Installs, upgrades, rolls back and uninstalls with the real Helm, which has its own rules for existing objects."""

import copy
import json
import re

import pytest

from api import api
from render import CHART, VALUES, helm

ARGS = ["--namespace", "people", "--values", str(VALUES / "everything.yaml"), "--values", "-"]
# Features that need other kinds of objects.
PLAIN = {"all": {"keda": {"enabled": False}}, "serviceMonitor": {"enabled": False}, "prometheusRule": {"enabled": False}, "httpRoute": {"enabled": False}}


@pytest.fixture
def cluster(tmp_path):
    with api(tmp_path) as (config, held):

        def run(*args, more=None):
            over = PLAIN | (more or {})
            options = ["--disable-openapi-validation", *ARGS] if args[0] in ("install", "upgrade") else ["--namespace", "people"]
            done = helm(*args, "--kubeconfig", str(config), *options, stdin=json.dumps(over))
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run, held


def named(held, by="ReplicaSet"):
    """Every ConfigMap and Secret that a ReplicaSet (or a Deployment) names, by kind and name."""
    for it in held.of(by).values():
        yield from names(it)


def names(workload):
    for volume in workload["spec"]["template"]["spec"]["volumes"]:
        if volume.get("configMap", {}).get("name", "presets") != "presets":
            yield "ConfigMap", volume["configMap"]["name"]
        for source in volume.get("projected", {}).get("sources", []):
            if source["secret"]["name"].startswith("bridge-"):
                yield "Secret", source["secret"]["name"]


def content(held, by):
    return {(kind, name): held.of(kind)[name]["data"] for kind, name in set(named(held, by))}


def level(text):
    return {"config": {"log": {"level": text}}}


def test_the_objects_of_any_running_pod_stay_whatever_helm_does(cluster):
    run, held = cluster
    seen = {}
    for step in (
        ("install", "rel", str(CHART), None),
        ("upgrade", "rel", str(CHART), level("debug")),
        ("upgrade", "rel", str(CHART), {"redis": {"password": {"value": "another"}}}),
        ("rollback", "rel", "1", None),
        ("upgrade", "rel", str(CHART), level("debug")),
        ("rollback", "rel", "3", None),
        ("upgrade", "rel", str(CHART), None),
    ):
        run(*step[:-1], more=step[-1])
        # A rollback restores what its revision had, and removes what only later ones have.
        now = content(held, "Deployment" if step[0] == "rollback" else "ReplicaSet")
        if step[0] == "rollback":
            for key in [key for key, it in held.items() if it["kind"] == "ReplicaSet" and not set(names(it)) <= now.keys()]:
                del held[key]
        # Nothing is missing (that would be a KeyError), and nothing has changed under the same name.
        assert all(seen.get(key, data) == data for key, data in now.items()), step
        seen |= copy.deepcopy(now)
    assert len([kind for kind, _ in seen if kind == "ConfigMap"]) == 2 and len([kind for kind, _ in seen if kind == "Secret"]) == 2
    run("uninstall", "rel")
    left = {kind for kind in ("ConfigMap", "Secret", "Deployment", "Service", "NetworkPolicy") if held.of(kind)}
    assert not left


def test_the_next_upgrade_removes_objects_that_no_replica_set_names(cluster):
    run, held = cluster
    run("install", "rel", str(CHART))
    [first] = [name for kind, name in set(named(held)) if kind == "ConfigMap"]
    run("upgrade", "rel", str(CHART), more=level("debug"))
    assert first in held.of("ConfigMap")
    for key in [key for key, it in held.items() if it["kind"] == "ReplicaSet" and first in str(it)]:
        del held[key]
    run("upgrade", "rel", str(CHART), more=level("debug"))
    assert first not in held.of("ConfigMap")
    # And a rollback to it creates it again.
    run("rollback", "rel", "1")
    assert first in held.of("ConfigMap")


def test_the_admin_token_that_the_chart_makes_stays(cluster):
    run, held = cluster
    more = {"secrets": {"adminToken": {"value": ""}}}
    run("install", "rel", str(CHART), more=more)
    made = held.of("Secret")["bridge-admin-token"]["data"]
    for _ in range(2):
        run("upgrade", "rel", str(CHART), more=more | level("debug"))
        assert held.of("Secret")["bridge-admin-token"]["data"] == made
    run("rollback", "rel", "1")
    assert held.of("Secret")["bridge-admin-token"]["data"] == made


def test_the_mode_changes_in_two_upgrades(cluster):
    run, held = cluster
    run("install", "rel", str(CHART))
    assert set(held.of("Deployment")) == {"bridge"}
    output = run("upgrade", "rel", str(CHART), more={"mode": "split"})
    assert set(held.of("Deployment")) == {"bridge", "bridge-intake", "bridge-worker"}
    assert re.search("The mode changes.*run the same upgrade again", output)
    assert "The mode changes" not in run("upgrade", "rel", str(CHART), more={"mode": "split"})
    assert set(held.of("Deployment")) == {"bridge-intake", "bridge-worker"}
