"""ServiceMonitor, alerts, dashboard: they use metrics that the bridge really exports, and alert when they should."""

import json
import re
import subprocess

import pytest
import yaml

from conftest import GIVEN, WHSEC
from pod import Pod
from render import ROOT, render
from servers import http, run, serving
from waiting import eventually, free_port

METRIC = re.compile(r"\bscim_bridge_[a-z0-9_]+")


def rules(more=None):
    [group] = render("ha", more).one("PrometheusRule")["spec"]["groups"]
    return group["rules"]


def families():
    """Every family of src/telemetry/metrics.rs: its type and its labels."""
    source = (ROOT / "src/telemetry/metrics.rs").read_text()
    texts = dict(re.findall(r'pub const (\w+): &str = "(\w+)";', source))
    table = source[source.index("pub const FAMILIES") :]
    found = {}
    for name, kind, labels in re.findall(r"family\(\s*(\w+),\s*Type::(\w+)[^,]*,\s*&\[([^\]]*)\]", table):
        found[texts[name]] = (kind, {texts[label.strip()] for label in labels.split(",") if label.strip()})
    assert len(found) == len(re.findall(r"\bfamily\(", table))
    return found


def queries():
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads((ROOT / "helm/files/dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    [trigger] = render("cluster").one("ScaledObject")["spec"]["triggers"]
    yield "keda", trigger["metadata"]["valueLocation"]


def test_queries_name_only_existing_metrics_and_labels():
    known = families()
    named = set()
    for where, query in queries():
        for name, selector in re.findall(r"\b(scim_bridge_[a-z0-9_]+)(?:\{([^}]*)\})?", query):
            base = name.removesuffix("_bucket")
            kind, labels = known[base]
            named.add(base)
            assert name.endswith("_bucket") == (kind == "Histogram"), (where, name)
            selected = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", selector))
            assert selected <= labels | {"namespace", "job"}, (where, selected)
            if kind == "Counter":
                assert re.search(rf"(rate|increase)\({name}", query), f"{where}: a counter is asked for its rate"
        for grouped in re.findall(r"\bby \(([^)]*)\)", query):
            own = set().union(*(known[name.removesuffix("_bucket")][1] for name in METRIC.findall(query)))
            assert set(re.findall(r"\w+", grouped)) <= own | {"namespace", "pod", "le"}, (where, grouped)
    # Every metric is used somewhere.
    assert named == known.keys()


def test_metrics_that_all_processes_share_are_never_summed():
    shared = {"scim_bridge_jobs", "scim_bridge_oldest_due_job_age_seconds", "scim_bridge_dead_letters", "scim_bridge_hold", "scim_bridge_problems", "scim_bridge_processes"}
    for where, query in queries():
        for name in shared:
            if re.search(rf"\b{name}\b", query) and where != "keda":
                assert re.search(rf"max( by \([^)]*\))? \({name}|max\({name}", query), (where, query)


def test_every_dashboard_query_is_one(tmp_path):
    """Prometheus' own parser accepts each expression."""
    panels = json.loads((ROOT / "helm/files/dashboard.json").read_text())["panels"]
    texts = [target["expr"] for panel in panels for target in panel["targets"]]
    texts = [re.sub(r"\$__rate_interval", "5m", text) for text in texts]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": [{"record": f"r{n}", "expr": text} for n, text in enumerate(texts)]}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rules_and_they_fire_when_they_should(tmp_path):
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules()}]}))
    done = subprocess.run(["promtool", "check", "rules", str(tmp_path / "whole.yaml")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    bare = [{key: value for key, value in rule.items() if key != "annotations"} for rule in rules()]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": bare}]}))
    cases = (ROOT / "tests/chart/alerts.test.yaml").read_text()
    (tmp_path / "alerts.test.yaml").write_text(cases)
    done = subprocess.run(["promtool", "test", "rules", "alerts.test.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    # Every alert is tested both silent and firing.
    asked = [case for test in yaml.safe_load(cases)["tests"] for case in test["alert_rule_test"]]
    for rule in rules():
        silent = [bool(case["exp_alerts"]) for case in asked if case["alertname"] == rule["alert"]]
        assert set(silent) == {True, False}, rule["alert"]


def slug(heading):
    """An anchor, as GitHub derives it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_alert_has_an_existing_runbook():
    for rule in rules():
        base, anchor = rule["annotations"]["runbook_url"].split("#")
        url, name = base.rsplit("/", 1)
        assert url == "https://github.com/scim-bridge/scim-bridge/blob/main/docs" and name in ("failures.md", "runbook.md")
        page = (ROOT / "docs" / name).read_text()
        assert anchor in {slug(line.lstrip("#")) for line in page.splitlines() if line.startswith("#")}, rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["labels"]["severity"] in ("warning", "critical")
    assert rules({"prometheusRule": {"runbookBaseUrl": "https://wiki/x/"}})[0]["annotations"]["runbook_url"].startswith("https://wiki/x/failures.md#")


def test_alerts_can_be_left_out_labelled_and_added_to():
    [group] = render("everything").one("PrometheusRule")["spec"]["groups"]
    names = [rule.get("alert") for rule in group["rules"]]
    assert "ScimBridgeRateLimited" not in names and "ScimBridgeHold" in names
    assert all(rule["labels"]["team"] == "identity" for rule in group["rules"] if "alert" in rule)
    assert group["rules"][-1]["record"] == "scim_bridge:waiting"
    thresholds = {"prometheusRule": {"oldestJobSeconds": 60, "signatureFailuresPerHour": 99}}
    text = str(rules(thresholds))
    assert "> 60" in text and "> 99" in text


def test_alerts_cover_only_this_release():
    for rule in rules():
        for selector in re.findall(r"scim_bridge_\w+\{([^}]*)\}", rule["expr"]):
            assert 'namespace="people"' in selector and 'job="rel-scim-bridge-admin"' in selector


def test_the_service_monitor_selects_only_the_admin_service():
    rendered = render("everything")
    monitor = rendered.one("ServiceMonitor")
    met = [
        service["metadata"]["name"]
        for service in rendered.all("Service")
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    assert met == ["bridge-admin"]
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] == "admin" and endpoint["path"] == "/metrics"
    assert endpoint["relabelings"] and endpoint["metricRelabelings"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert render().none(kind)


def test_the_dashboard_is_for_grafana_s_sidecar():
    it = render("everything").one("ConfigMap", "bridge-dashboard")
    assert it["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert it["metadata"]["annotations"]["grafana_folder"] == "Identity"
    board = json.loads(it["data"]["scim-bridge.json"])
    assert board == json.loads((ROOT / "helm/files/dashboard.json").read_text())
    assert [variable["name"] for variable in board["templating"]["list"]] == ["datasource", "namespace", "job"]
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    for panel in board["panels"]:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    assert render().none("ConfigMap", "rel-scim-bridge-dashboard")


@pytest.fixture(scope="module")
def served_metrics(tmp_path_factory, postman):
    """The `/metrics` of a bridge that has accepted a webhook, refused a forged one, and created a member."""
    folder = tmp_path_factory.mktemp("bridge")
    server = {"listen": f"0.0.0.0:{free_port()}", "admin_listen": f"0.0.0.0:{free_port()}"}
    rendered = render("embedded", {"config": {"server": server, "postman": {"base_url": postman}}})
    pod = Pod(rendered, rendered.pod("Deployment", "rel-scim-bridge"), folder, GIVEN)
    person = {"type": "employee.hired", "data": {"employee_id": "E-1", "email": "a@example.com", "first_name": "A"}}
    (folder / "hire.json").write_text(json.dumps(person))
    with serving(pod.env(), *pod.args()[1:]):
        send = ["send", "--source", "hr", "--file", str(folder / "hire.json")]
        assert run(send, pod.env()).returncode == 0
        forged = pod.env() | {"SCIM_BRIDGE__SOURCE__0__SECRETS__0__FILE": str(folder / "other")}
        (folder / "other").write_text(WHSEC.replace("dGhp", "aGlz"))
        assert run(send, forged).returncode == 1
        url = f"http://127.0.0.1:{server['admin_listen'].split(':')[1]}/metrics"

        def both_done():
            text = http(url)[1]
            return text if 'outcome="created"' in text and "scim_bridge_people 1" in text else None

        yield eventually(both_done, "the hire is not done")


def test_the_bridge_serves_the_metrics_of_the_queries(served_metrics):
    served = set(re.findall(r"^# TYPE (\w+)", served_metrics, re.M))
    known = families()
    assert served <= known.keys()
    named = {name.removesuffix("_bucket") for _, query in queries() for name in METRIC.findall(query)}
    # Only on Redis, or only after a failure: checked against the list of families above.
    later = {name for name in named if name.startswith("scim_bridge_store_") and name != "scim_bridge_store_up"}
    later |= {"scim_bridge_tasks_restarted_total", "scim_bridge_rate_limit_wait_seconds_total", "scim_bridge_admin_guesses_total", "scim_bridge_inbox_entries", "scim_bridge_alerts_total", "scim_bridge_spans_dropped_total", "scim_bridge_spans_exported_total", "scim_bridge_hr_requests_total", "scim_bridge_hr_request_duration_seconds"}
    assert named - later <= served
    for line in ('scim_bridge_jobs{state="waiting"} 0', 'scim_bridge_hold{scope="all"} 0', "scim_bridge_store_up 1"):
        assert line in served_metrics
    assert re.search(r'scim_bridge_signature_failures_total\{source="hr",reason="\w+"\} 1', served_metrics)
