"""script/cluster-test needs a cluster, but its senders and its final accounting do not."""

import json
import os
import subprocess
import time
import tomllib
import urllib.request

import pytest
import yaml

from conftest import GIVEN
from pod import Pod
from render import ROOT, render
from servers import http, serving, stand_in
from waiting import eventually, free_port

PARTS = ROOT / "script/cluster"
TOKEN = "a-token-0123456789"


def bash(text, folder, **env):
    return subprocess.run(["bash", "-c", text], cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("script", [ROOT / "script/cluster-test", *sorted(PARTS.glob("*.sh"))], ids=lambda it: it.name)
def test_it_is_bash(script):
    assert subprocess.run(["bash", "-n", script], capture_output=True, timeout=10).returncode == 0


@pytest.mark.parametrize("arguments", [[], ["no-such-context"], ["mine", "no_such_step"]])
def test_it_touches_only_the_given_context(arguments, tmp_path):
    config = tmp_path / "kubeconfig"
    config.write_text("apiVersion: v1\nkind: Config\ncurrent-context: mine\ncontexts: [{name: mine, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n")
    # Answers like kubectl; any other request is recorded.
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ "$1 $2" = "config get-contexts" ] && echo mine\n')
    kubectl.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "KUBECONFIG": str(config), "IMAGE": "a:b"}
    done = subprocess.run([ROOT / "script/cluster-test", *arguments], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and (arguments[-1] if arguments else "mine") in done.stderr, done.stderr
    assert set((tmp_path / "asked").read_text().splitlines()) == {"config get-contexts --output name"}


def test_only_the_named_steps_run(tmp_path):
    (tmp_path / "steps").touch()
    of = f"""
        set -euo pipefail
        work={tmp_path} failed=0 SETTLE=0 only=($ONLY)
        source {PARTS}/lib.sh
        one() {{ :; }}; two() {{ false; true; }}; three() {{ skip "not here"; }}
        step "the first" away one; step "the second" rolling two; step "the third" away three
        echo $failed
    """
    done = bash(of, tmp_path, ONLY="")
    steps = [line.split("\t") for line in (tmp_path / "steps").read_text().splitlines()]
    assert [(it[0], it[-1]) for it in steps] == [("the first", "ok"), ("the second", "FAILED"), ("the third", "skipped: not here")]
    assert done.stdout.split() == ["1"], done.stderr
    (tmp_path / "steps").write_text("")
    assert bash(of, tmp_path, ONLY="three one").stdout.split() == ["0"]
    assert [line.split("\t")[0] for line in (tmp_path / "steps").read_text().splitlines()] == ["the first", "the third"]


@pytest.mark.parametrize(("heading", "kind"), [("An Ingress: Traefik", "Ingress"), ("A Gateway: Traefik", "HTTPRoute")])
def test_the_trial_behind_a_proxy_matches_the_page(heading, kind, tmp_path):
    done = bash(
        f'''
        set -eu
        work={tmp_path} ns=n outside=around TRAEFIK=
        source {PARTS}/lib.sh; source {PARTS}/proxies.sh
        k() {{ echo 10.9.8.7; }}
        cd {ROOT}; recipe "{heading}"
        ''',
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "recipe.yaml").read_text()
    assert "example.com" not in text
    rendered = render("defaults", yaml.safe_load(text))
    assert tomllib.loads(rendered.toml())["server"]["trusted_proxies"] == ["10.9.8.7/32"]
    spec = rendered.one(kind)["spec"]
    assert "edge.around.svc" in json.dumps(spec) and "around" in json.dumps(spec.get("parentRefs", spec.get("ingressClassName")))


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """A sender's report, and the stand-in's state after the bridge's work."""
    folder = tmp_path_factory.mktemp("load")
    with stand_in() as base_url:
        server = {"listen": f"0.0.0.0:{free_port()}", "admin_listen": f"0.0.0.0:{free_port()}"}
        source = {"name": "load", "signature": {"auth": "static_header", "header": "x-load-token", "id": "body_hash"}}
        postman = {"base_url": base_url, "writes_per_minute": 0, "reads_per_minute": 0}
        no_limits = urllib.request.Request(base_url.replace("/scim/v2", "/sim/options"), b'{"writes": 0, "reads": 0}', method="PATCH")
        urllib.request.urlopen(no_limits, timeout=5)
        more = {"config": {"server": server, "postman": postman, "source": [{"name": "hr"}, source]}, "secrets": {"sources": {"load": [{"value": TOKEN}]}}}
        rendered = render("embedded", more)
        pod = Pod(rendered, rendered.pod("Deployment", "rel-scim-bridge"), folder / "pod", GIVEN)
        (folder / "token").write_text(TOKEN)
        script = folder / "load.sh"
        script.write_text((PARTS / "load.sh").read_text().replace("/secret/token", f"{folder}/token").replace("/tmp/stop", f"{folder}/stop"))
        with serving(pod.env(), *pod.args()[1:]):
            port = server["listen"].split(":")[1]
            sender = subprocess.Popen(["bash", script, "127.0.0.1", port, "load-0", "3", "0.02"], stdout=subprocess.PIPE, text=True)
            time.sleep(2)
            (folder / "stop").touch()
            output = sender.communicate(timeout=30)[0]
            last = {}
            for line in output.splitlines():
                _, who, number, status, *_ = line.split()
                assert status == "200", line
                last[f"{who}@example.com"] = f"n{number}"
            control = base_url.replace("/scim/v2", "/sim")

            def in_line():
                members = json.loads(http(f"{control}/state")[1])["members"]
                return {it["userName"]: it["name"]["familyName"] for it in members} == last

            eventually(in_line, "members are not as the last webhooks said")
            assert len(last) == 3 and len(output.splitlines()) > 12
            yield folder, output, control


def reckoned(load, folder, requests=None, journal=""):
    _, output, control = load
    (folder / "work").mkdir()
    (folder / "work/load.requests").write_text(requests or output)
    text = f"""
        set -eu
        work={folder}/work context=none ns=none outside=none CATCH_UP=0
        source {PARTS}/lib.sh; source {PARTS}/steps.sh
        postman() {{ python3 -c 'import sys, urllib.request; print(urllib.request.urlopen("{control}" + sys.argv[1][4:]).read().decode())' "$2"; }}
        {journal}
        reckon load
    """
    return bash(text, folder)


def test_a_good_run_is_judged_good(load, tmp_path):
    done = reckoned(load, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_webhook_without_effect_is_found(load, tmp_path):
    done = reckoned(load, tmp_path, load[1] + "1 wload-0-0 9999 200 1 1\n")
    assert done.returncode != 0 and "members are not as the last webhooks said" in done.stderr
    # One that was not answered 200 may be in effect or not.
    (tmp_path / "other").mkdir()
    assert reckoned(load, tmp_path / "other", load[1] + "1 wload-0-0 9999 503 1 1\n").returncode == 0


@pytest.mark.parametrize(("line", "message"), [("create\\twload-0-0@example.com\\tn9999", "was made twice"), ("replace\\twload-0-0@example.com\\tn1", "1 after")])
def test_repeated_and_misordered_effects_are_found(load, tmp_path, line, message):
    """Adds a line to the journal, through the `jq` that reads it."""
    more = f"""jq() {{ command jq "$@"; case "$*" in *select\\(.applied*) printf '{line}\\n' ;; esac; }}"""
    done = reckoned(load, tmp_path, journal=more)
    assert done.returncode != 0 and message in done.stdout and "a member was made twice, or a name was written out of order" in done.stderr


def test_a_rolling_step_that_lost_a_request_fails(tmp_path):
    script = (ROOT / "script/cluster-test").read_text()
    table = script[script.index("table() {") : script.index("\n}\n", script.index("table() {")) + 3]
    (tmp_path / "load.requests").write_text("1000 a 1 200 5 1\n2000 a 2 000 5 1\n3000 a 2 200 5 2\n9000 a 3 503 5 1\n16000 a 3 200 5 2\n21000 a 4 200 5000 1\n23000 a 5 200 4999 1\n")
    steps = [("well", "rolling", 0, 1500), ("lost", "rolling", 1500, 4000), ("short", "gap-5000", 1500, 4000), ("long", "gap-7005", 8000, 20000), ("away", "away", 8000, 20000), ("longer", "gap-7006", 8000, 20000), ("slow", "rolling", 20500, 22500), ("slower", "rolling", 22500, 24500)]
    (tmp_path / "steps").write_text("".join(f"{name}\t{kind}\t{began}\t{ended}\tok\n" for name, kind, began, ended in steps))
    done = bash(f"work={tmp_path} failed=0\n{table}\ntable\necho $failed", tmp_path)
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert {name: line[-1] for name, line in lines.items() if name != "step"} == {"well": "ok", "lost": "FAILED", "short": "ok", "long": "FAILED", "away": "ok", "longer": "ok", "slow": "FAILED", "slower": "ok", "3": "3"}
    assert lines["lost"][1:5] == ["2", "2", "1", "1005"] and lines["long"][4] == "7005"
