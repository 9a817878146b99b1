"""What the chart refuses: each with messages that name the value and say what to do, all at once."""

import re

import pytest
import yaml

from render import CHART, MATRIX, helm, refused, render, template

DEFAULTS = "defaults"
# Like `defaults`, without any source's secret.
BARE = {"image": {"repository": "a"}, "redis": {"host": "a"}, "secrets": {"postmanKey": {"value": "a"}}}
BOTH = {"existingSecret": "a", "value": "b"}
# Every refusal in templates/_validate.tpl: file of the matrix, additional values, the message.
REFUSED = [
    (DEFAULTS, {"extraEnv": [{"name": "SCIM_BRIDGE__SERVER__LISTEN", "value": "0.0.0.0:1"}]}, "extraEnv: SCIM_BRIDGE__SERVER__LISTEN: the chart derives ports"),
    (DEFAULTS, {"extraEnv": [{"name": "SCIM_BRIDGE__SERVER__ADMIN_LISTEN", "value": "a"}]}, "extraEnv: SCIM_BRIDGE__SERVER__ADMIN_LISTEN: the chart derives ports"),
    (DEFAULTS, {"extraEnv": [{"name": "SCIM_BRIDGE__SERVER__SHUTDOWN_GRACE_S", "value": "a"}]}, "extraEnv: SCIM_BRIDGE__SERVER__SHUTDOWN_GRACE_S: the chart derives ports"),
    (DEFAULTS, {"extraEnv": [{"name": "SCIM_BRIDGE__STORE__URL", "value": "tell-me"}]}, "extraEnv: SCIM_BRIDGE__STORE__URL: the chart derives ports"),
    (DEFAULTS, {"extraEnv": [{"name": "SCIM_BRIDGE__STORE__KEY_PREFIX", "value": "a"}]}, "extraEnv: SCIM_BRIDGE__STORE__KEY_PREFIX: the chart derives ports"),
    (DEFAULTS, {"extraEnv": [{"name": "SCIM_BRIDGE__SERVER__CONNECTIONS_MAX", "value": "1"}]}, "extraEnv: SCIM_BRIDGE__SERVER__CONNECTIONS_MAX: the chart derives ports"),
    ("trial", {"extraEnv": [{"name": "SCIM_BRIDGE__STORE__DURABILITY", "value": "fsynced"}]}, "extraEnv: SCIM_BRIDGE__STORE__DURABILITY: how often the chart's Valkey flushes"),
    (DEFAULTS, {"image": {"repository": ""}}, "image.repository: no image is named, and none is published"),
    (DEFAULTS, {"extraVolumes": [{"name": "secrets", "emptyDir": {}}]}, "extraVolumes: secrets is the name of one of the chart's own volumes"),
    (DEFAULTS, {"config": {"source": [{"name": "hr"}, {"name": "hr"}]}}, "config.source[1].name: hr is the name of another source"),
    (DEFAULTS, {"commonLabels": {"app.kubernetes.io/name": "x"}}, "commonLabels: app.kubernetes.io/name is in the chart's selectors"),
    (DEFAULTS, {"podLabels": {"app.kubernetes.io/component": "x"}}, "podLabels: app.kubernetes.io/component is in the chart's selectors"),
    (DEFAULTS, {"worker": {"podLabels": {"app.kubernetes.io/instance": "x"}}}, "worker.podLabels: app.kubernetes.io/instance is in the chart's selectors"),
    (DEFAULTS, {"serviceMonitor": {"labels": {"app.kubernetes.io/component": "x"}}}, "serviceMonitor.labels: app.kubernetes.io/component is in the chart's selectors"),
    ("embedded", {"mode": "split"}, "store: `embedded` is for one process, which must do everything: set `mode: all`"),
    ("embedded", {"all": {"autoscaling": {"enabled": True}}}, "store: `embedded` is for one process: turn `all.autoscaling.enabled`"),
    ("embedded", {"all": {"replicas": 2}}, "all.replicas: 2, but `store: embedded` is for one process: set 1"),
    ("embedded", {"valkey": {"enabled": True}}, "valkey.enabled: has no use with `store: embedded`"),
    ("embedded", {"config": {"store": {"url": "embedded:/else"}}}, "config.store.url: with `store: embedded` the chart mounts its volume at /data"),
    (DEFAULTS, {"redis": {"host": ""}, "config": {"store": {"url": "embedded:/data"}}}, "config.store.url: for the embedded store set `store: embedded`"),
    (DEFAULTS, {"redis": {"host": ""}}, "redis.host: no Redis is named: name yours, or for a trial set `valkey.enabled: true`"),
    (DEFAULTS, {"redis": {"host": "", "nodes": ["a:1"]}}, "redis.nodes: are for `redis.topology: sentinel` or `cluster`"),
    (DEFAULTS, {"redis": {"topology": "cluster", "host": ""}}, "redis.nodes: `redis.topology: cluster` needs some, as `host:port`"),
    (DEFAULTS, {"redis": {"topology": "sentinel", "nodes": ["a:1"]}}, "redis.host: is for `redis.topology: standalone`"),
    ("cluster", {"redis": {"database": 1}}, "redis.database: a cluster has only 0"),
    (DEFAULTS, {"valkey": {"enabled": True}}, "valkey.enabled: another Redis is named, too"),
    ("trial", {"redis": {"tls": {"enabled": True}}}, "valkey.enabled: the chart's own Valkey does not speak TLS"),
    (DEFAULTS, {"config": {"store": {"url": "redis://elsewhere"}}}, "config.store.url: Redis is named under `redis`, too"),
    (DEFAULTS, {"redis": {"tls": {"ca": {"existingSecret": "ca"}}}}, "redis.tls.enabled: files for TLS are given, but it is off"),
    (DEFAULTS, {"redis": {"password": BOTH}}, "redis.password: both `existingSecret` and `value` are given"),
    (DEFAULTS, {"redis": {"sentinel": {"password": BOTH}}}, "redis.sentinel.password: both `existingSecret` and `value` are given"),
    (DEFAULTS, {"secrets": {"postmanKey": BOTH}}, "secrets.postmanKey: both `existingSecret` and `value` are given"),
    (DEFAULTS, {"secrets": {"adminToken": BOTH}}, "secrets.adminToken: both `existingSecret` and `value` are given"),
    (DEFAULTS, {"secrets": {"postmanKey": {"existingSecret": ""}}}, "secrets.postmanKey: no SCIM API key: name a Secret in `existingSecret`"),
    (DEFAULTS, {"config": {"source": [{"name": "hr"}, {"name": "b"}]}}, "secrets.sources.b: the source has no secret"),
    (DEFAULTS, {"config": {"source": [{"name": "hr", "secrets": [{"env": "S"}]}]}}, "secrets.sources.hr: secrets are given in config.source[0].secrets, too"),
    (DEFAULTS, {"secrets": {"sources": {"hr": [BOTH]}}}, "secrets.sources.hr[0]: give either `existingSecret` (and `key`) or `value`"),
    (DEFAULTS, {"secrets": {"sources": {"hr": [{"key": "a"}]}}}, "secrets.sources.hr[0]: give either `existingSecret` (and `key`) or `value`"),
    (DEFAULTS, {"secrets": {"sources": {"rh": [{"value": "a"}]}}}, "secrets.sources.rh: config.source has no such source (it has hr)"),
    (DEFAULTS, {"config": {"server": {"admin_token": "tell-me"}}}, "config.server.admin_token: a secret must not be in a ConfigMap"),
    (DEFAULTS, {"config": {"postman": {"key": {"value": "tell-me"}}}}, "config.postman.key: a secret must not be in a ConfigMap"),
    (DEFAULTS, {"config": {"store": {"password": "tell-me"}}}, "config.store.password: a secret must not be in a ConfigMap"),
    (DEFAULTS, {"config": {"store": {"sentinel_password": "tell-me"}}}, "config.store.sentinel_password: a secret must not be in a ConfigMap"),
    (None, BARE | {"config": {"source": [{"name": "hr", "secrets": ["tell-me"]}]}}, "config.source[0].secrets[0]: a secret must not be in a ConfigMap"),
    (None, BARE | {"config": {"alert": [{"url": "https://hooks.slack.com/a", "format": "slack"}]}}, "config.alert[0].url: a secret must not be in a ConfigMap"),
    (None, BARE | {"config": {"alert": [{"url": "https://a.example.com", "secret": "whsec_tell-me"}]}}, "config.alert[0].secret: a secret must not be in a ConfigMap"),
    (None, BARE | {"config": {"source": [{"name": "hr", "secrets": "tell-me"}]}}, "config.source[0].secrets[0]: a secret must not be in a ConfigMap"),
    (DEFAULTS, {"redis": {"host": ""}, "config": {"store": {"url": "redis://u:tell-me@h"}}}, "config.store.url: contains a login"),
    (DEFAULTS, {"config": {"server": {"listen": "127.0.0.1:8080"}}}, "config.server.listen: 127.0.0.1:8080 cannot be reached from outside the pod"),
    (DEFAULTS, {"config": {"server": {"admin_listen": "9090"}}}, "config.server.admin_listen: 9090 cannot be reached from outside the pod"),
    ("trial", {"config": {"postman": {"base_url": "https://a"}}}, "postmanSim.enabled: config.postman.base_url is given, too"),
    ("trial", {"config": {"postman": {"key": {"file": "/a"}}}}, "postmanSim.enabled: the stand-in must know the key"),
    (None, BARE | {"config": {"source": []}}, "config.source: no source is configured"),
    (DEFAULTS, {"worker": {"autoscaling": {"enabled": True}, "keda": {"enabled": True}}}, "worker.keda.enabled: worker.autoscaling.enabled is on, too"),
    (DEFAULTS, {"intake": {"autoscaling": {"enabled": True, "minReplicas": 9, "maxReplicas": 8}}}, "intake.autoscaling.minReplicas: 9 is more than maxReplicas, 8"),
    (DEFAULTS, {"worker": {"keda": {"enabled": True, "minReplicas": 4}}}, "worker.keda.minReplicas: 4 is more than maxReplicas, 2"),
    (DEFAULTS, {"intake": {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}}, "intake.autoscaling.enabled: utilisation is relative to intake.resources.requests.cpu"),
    (DEFAULTS, {"mode": "all", "all": {"keda": {"enabled": True, "minReplicas": 0}}}, "all.keda.minReplicas: with 0 nobody would accept webhooks"),
    (
        DEFAULTS,
        {"intake": {"resources": {"limits": {"memory": "128Mi"}}}},
        "intake.resources.limits.memory: 128Mi is less than the worst case, 256Mi (32 for a process, 8 for 1000 connections (config.server.connections_max), 216 for heads and bodies",
    ),
    (DEFAULTS, {"config": {"server": {"connections_max": 10000}}}, "intake.resources.limits.memory: 256Mi is less than the worst case, 327Mi"),
    (DEFAULTS, {"config": {"server": {"connections_max": None}}}, "intake.resources.limits.memory: 256Mi is less than the worst case, 327Mi"),
    (DEFAULTS, {"config": {"server": {"body_bytes_max": 67108864}}}, "intake.resources.limits.memory: 256Mi is less than the worst case, 2648Mi"),
    (DEFAULTS, {"config": {"worker": {"concurrency": 64}}}, "worker.resources.limits.memory: 256Mi is less than the worst case, 544Mi (32 for a process, 512 for 64 attempts"),
    ("trial", {"valkey": {"maxmemory": "1gb"}}, "valkey.resources.limits.memory: 512Mi is less than twice valkey.maxmemory, 1gb"),
    (DEFAULTS, {"ingress": {"enabled": True}}, "ingress.hosts: name at least one host"),
    (DEFAULTS, {"httpRoute": {"enabled": True}}, "httpRoute.parentRefs: name the Gateway"),
    (DEFAULTS, {"test": {"source": "rh"}}, "test.source: config.source has no source rh (it has hr)"),
    (DEFAULTS, {"config": {"server": {"token": [{"name": "auditor", "token": "tell-me"}]}}}, "config.server.token[0].token: a secret must not be in a ConfigMap"),
    ("everything", {"config": {"server": {"token": [{"name": "helm-test", "token": {"env": "T"}}]}}}, "config.server.token[0].name: the chart uses helm-test for"),
    ("everything", {"secrets": {"testToken": {"existingSecret": "a"}}}, "secrets.testToken: both `existingSecret` and `value`"),
    (DEFAULTS, {"test": {"person": {"employeeId": "E-1"}}}, "test.person.email: is missing"),
]


@pytest.mark.parametrize(("values", "more", "message"), REFUSED)
def test_impossible_values_are_refused_by_name_with_advice(values, more, message):
    errors = refused(values, more)
    assert any(line.startswith(message) for line in errors), errors
    assert not any("tell-me" in line for line in errors), "a secret is shown"


def test_an_invalid_release_name_is_refused():
    message = "fullnameOverride: the release's name leads to 1st-scim-bridge, but a Service's name must begin with a letter: set one that does"
    assert refused(DEFAULTS, release="1st") == [message]
    assert template(DEFAULTS, {"fullnameOverride": "first"}, release="1st").returncode == 0


@pytest.mark.parametrize("values", MATRIX)
@pytest.mark.parametrize("release", ["my.release", "a" * 38 + "--" + "b" * 12])
def test_any_other_release_name_gives_valid_names(values, release):
    for it in render(values, {"extraManifests": []}, release=release).objects:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", it["metadata"]["name"]), it["metadata"]["name"]


@pytest.mark.parametrize("more", [{"fullnameOverride": "a.b"}, {"fullnameOverride": "1st"}, {"fullnameOverride": "a-"}, {"nameOverride": "a.b"}])
def test_an_invalid_name_override_is_refused(more):
    done = template(DEFAULTS, more)
    assert done.returncode != 0 and next(iter(more)) in done.stderr


def test_every_refusal_of_the_chart_is_tried():
    source = (CHART / "templates/_validate.tpl").read_text()
    messages = len(re.findall(r"append \$(?:wrong|told) [\"(]", source))
    # The refusals of secrets in a ConfigMap share a message, and so do the two that require one of two values.
    patterns = [re.sub(r"%[sdv]", "\x00", it) for it in re.findall(r'append \$(?:wrong|told) (?:\(printf )?"((?:[^"\\]|\\.)*)"', source)]
    assert len(patterns) == messages and messages > 30
    errors = [line for values, more, _ in REFUSED for line in refused(values, more)] + refused(DEFAULTS, release="1st")
    errors += refused(DEFAULTS, {"config": None})
    for pattern in patterns:
        whole = ".*".join(re.escape(part) for part in pattern.replace('\\"', '"').split("\x00"))
        assert any(re.fullmatch(whole, line) for line in errors), f"nothing is refused with: {pattern}"


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"intake": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "maxUnavailable"),
        ({"worker": {"podDisruptionBudget": {"maxUnavailable": "0%"}}}, "maxUnavailable"),
    ],
)
def test_the_schema_names_the_refused_value(more, name):
    """A budget of zero disruptions blocks every drain."""
    done = template(DEFAULTS, more)
    assert done.returncode != 0 and "don't meet the specifications of the schema" in done.stderr and name in done.stderr


def test_all_problems_are_reported_at_once():
    errors = refused(None)
    assert [line.split(":")[0] for line in errors] == ["image.repository", "redis.host", "secrets.postmanKey", "secrets.sources.hr"]
    assert len(refused("defaults", {"redis": {"host": ""}, "ingress": {"enabled": True}, "test": {"source": "x"}})) == 3


def maps(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict):
            yield (*path, key)
            yield from maps(value, (*path, key))


def test_null_for_a_section_has_the_chart_s_own_message():
    """Unless null has an obvious meaning: no resources, no affinity."""
    assert [line.split(":")[0] for line in refused(DEFAULTS, {"config": None})] == ["config"]
    for path in maps(yaml.safe_load((CHART / "values.yaml").read_text())):
        more = None
        for name in reversed(path):
            more = {name: more}
        done = template("everything" if path[0] != "valkey" else "trial", more)
        dotted = ".".join(path)
        own = f"- {dotted}: `null` removes it" in done.stderr
        assert done.returncode == 0 or own, (dotted, done.stderr)


@pytest.mark.parametrize(("given", "fits"), [("256Mi", True), ("255Mi", False), ("0.25Gi", True), ("268435456", True), (268435455, False), ("1G", True), ("268M", False), ("269M", True)])
def test_quantities_are_read_as_kubernetes_reads_them(given, fits):
    done = template(DEFAULTS, {"intake": {"resources": {"limits": {"memory": given}}}})
    assert (done.returncode == 0) is fits, done.stderr


def test_without_a_limit_no_request_is_too_small():
    assert template(DEFAULTS, {"intake": {"resources": {"limits": None}}, "config": {"server": {"connections_max": 100000}}}).returncode == 0


@pytest.mark.parametrize("values", MATRIX)
def test_nothing_in_the_matrix_is_refused(values):
    assert template(values).returncode == 0


def test_an_older_kubernetes_is_refused():
    done = helm("template", "rel", str(CHART), "--kube-version", "1.28")
    assert done.returncode != 0 and "kubeVersion: >=1.29.0-0" in done.stderr
