"""Services, routes, and network policies."""

import pytest

from render import MATRIX, render


def selects(selector, labels):
    return selector.items() <= labels.items()


def test_webhooks_and_admin_have_separate_services():
    rendered = render()
    hooks, admin = rendered.one("Service", "rel-scim-bridge"), rendered.one("Service", "rel-scim-bridge-admin")
    assert hooks["spec"]["type"] == admin["spec"]["type"] == "ClusterIP"
    assert [(it["port"], it["targetPort"]) for it in hooks["spec"]["ports"]] == [(80, "webhooks")]
    assert [(it["port"], it["targetPort"]) for it in admin["spec"]["ports"]] == [(9090, "admin")]
    assert admin["spec"]["publishNotReadyAddresses"] is True
    for name, met in (("intake", True), ("worker", False)):
        labels = rendered.one("Deployment", f"rel-scim-bridge-{name}")["spec"]["template"]["metadata"]["labels"]
        assert selects(hooks["spec"]["selector"], labels) is met
        assert selects(admin["spec"]["selector"], labels)


@pytest.mark.parametrize("values", MATRIX)
def test_no_selector_matches_an_unintended_pod(values):
    rendered = render(values)
    bridges = {it["metadata"]["name"] for it in rendered.bridges()}
    for it in rendered.all("Deployment") + rendered.all("StatefulSet"):
        labels = it["spec"]["template"]["metadata"]["labels"]
        for service in rendered.all("Service"):
            name = service["metadata"]["name"]
            meant = name == it["metadata"]["name"] or (
                it["metadata"]["name"] in bridges
                and (name == rendered.fullname() + "-admin" or (name == rendered.fullname() and labels["app.kubernetes.io/component"] != "worker"))
            )
            assert selects(service["spec"]["selector"], labels) is meant, (name, it["metadata"]["name"])
    for labels, _ in [(it["metadata"]["labels"], it) for it in rendered.all("Pod")]:
        assert not any(selects(service["spec"]["selector"], labels) for service in rendered.all("Service"))


@pytest.mark.parametrize("values", MATRIX)
def test_nothing_routes_to_the_admin_listener(values):
    rendered = render(values)
    for ingress in rendered.all("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                assert (path["path"], path["pathType"]) == ("/webhooks", "Prefix")
                assert path["backend"]["service"] == {"name": rendered.fullname(), "port": {"name": "http"}}
    for route in rendered.all("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/webhooks"}}]
            assert rule["backendRefs"] == [{"name": rendered.fullname(), "port": 80}]
    for service in rendered.all("Service"):
        if service["spec"]["type"] != "ClusterIP":
            assert [port["targetPort"] for port in service["spec"]["ports"]] == ["webhooks"]


def test_an_ingress_and_a_route_follow_the_values():
    ingress = render("ha").one("Ingress")["spec"]
    assert ingress["ingressClassName"] == "nginx"
    assert ingress["tls"] == [{"secretName": "hooks-tls", "hosts": ["hooks.example.com"]}]
    assert [rule["host"] for rule in ingress["rules"]] == ["hooks.example.com"]
    route = render("embedded").one("HTTPRoute")["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert route["hostnames"] == ["hooks.example.com"]
    assert render().none("Ingress") and render().none("HTTPRoute")


def policy(values="defaults", more=None, name=None):
    """The Deployment's; if there are two, the intake's."""
    rendered = render(values, more)
    return rendered.one("NetworkPolicy", name or rendered.bridges()[0]["metadata"]["name"])["spec"]


def worker_policy(values="defaults", more=None):
    return policy(values, more, "rel-scim-bridge-worker")


def ports(rule):
    return sorted((it["port"], it["protocol"]) for it in rule["ports"])


def test_default_policies_allow_only_the_needed_traffic():
    it = policy()
    assert it["policyTypes"] == ["Ingress", "Egress"]
    hooks, admin = it["ingress"]
    assert ports(hooks) == [(8080, "TCP")] and "from" not in hooks
    assert ports(admin) == [(9090, "TCP")]
    assert admin["from"][0] == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert len(admin["from"]) == 2, "beside monitoring only the test's pod"
    # The intake reaches the store, and the worker Postman as well; nobody can post webhooks to a worker.
    dns, redis = it["egress"]
    assert ports(dns) == [(53, "TCP"), (53, "UDP")]
    assert ports(redis) == [(6379, "TCP")]
    worker = worker_policy()
    assert [ports(rule) for rule in worker["ingress"]] == [[(9090, "TCP")]]
    assert worker["egress"][:2] == it["egress"]
    [postman] = worker["egress"][2:]
    assert ports(postman) == [(443, "TCP")]


@pytest.mark.parametrize("values", MATRIX)
def test_each_pod_of_the_bridge_has_exactly_its_roles_policy(values):
    rendered = render(values)
    for it in rendered.bridges():
        labels = it["spec"]["template"]["metadata"]["labels"]
        met = [p["metadata"]["name"] for p in rendered.all("NetworkPolicy") if selects(p["spec"]["podSelector"]["matchLabels"], labels)]
        assert met == [it["metadata"]["name"]]


def test_egress_to_postman_is_not_for_the_intake():
    proxy = {"ports": [{"port": 3128, "protocol": "TCP"}]}
    more = {"networkPolicy": {"extraEgress": [proxy]}}
    assert proxy in worker_policy("defaults", more)["egress"] and proxy not in policy("defaults", more)["egress"]
    more = {"networkPolicy": {"intakeExtraEgress": [proxy]}}
    assert proxy in policy("defaults", more)["egress"] and proxy not in worker_policy("defaults", more)["egress"]


def test_every_peer_can_be_narrowed():
    it = policy("everything")
    hooks, admin = it["ingress"]
    ingress = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    test = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "scim-bridge-test", "app.kubernetes.io/instance": "rel"}}}
    assert hooks["from"] == [ingress, test]
    assert admin["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}},
        test,
    ]
    dns, redis, traces, postman, extra = it["egress"]
    assert dns["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]
    assert (ports(redis), redis["to"]) == ([(6390, "TCP")], [{"ipBlock": {"cidr": "10.1.0.0/16"}}])
    assert ports(traces) == [(4318, "TCP")]
    assert postman["to"][0]["ipBlock"]["except"] == ["169.254.169.254/32"]
    assert ports(extra) == [(3128, "TCP")]


def test_nobody_reaches_the_admin_listener_unless_named():
    more = {"networkPolicy": {"adminFrom": []}, "test": {"enabled": False}}
    assert [ports(rule) for rule in policy("defaults", more)["ingress"]] == [[(8080, "TCP")]]
    assert worker_policy("defaults", more)["ingress"] == []


@pytest.mark.parametrize(
    ("values", "more", "redis"),
    [
        ("sentinel", {}, [(6379, "TCP"), (26379, "TCP")]),
        ("sentinel", {"redis": {"port": 7000, "nodes": ["a:26380", "b"]}}, [(7000, "TCP"), (26379, "TCP"), (26380, "TCP")]),
        ("cluster", {"redis": {"nodes": ["a:7001", "b:7002", "c"]}}, [(6379, "TCP"), (7001, "TCP"), (7002, "TCP")]),
        ("defaults", {"redis": {"host": ""}, "config": {"store": {"url": "rediss://[::1]:7003/2"}}}, [(7003, "TCP")]),
    ],
)
def test_redis_ports_are_those_of_the_url(values, more, redis):
    assert ports(policy(values, more)["egress"][1]) == redis


@pytest.mark.parametrize(
    ("base_url", "port"),
    [("https://proxy.internal:8443/scim/v2", 8443), ("https://eu.example.com/scim", 443), ("http://localhost/scim", 80)],
)
def test_postman_s_port_is_that_of_its_address(base_url, port):
    assert ports(worker_policy("defaults", {"config": {"postman": {"base_url": base_url}}})["egress"][2]) == [(port, "TCP")]


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://collector.traces:4318", 4318), ("https://otlp.example.com/otlp", 443), ("http://collector", 80)],
)
def test_intake_and_worker_may_reach_the_trace_collector(endpoint, port):
    more = {"config": {"telemetry": {"otlp_endpoint": endpoint}}}
    for traced, bare in (
        (policy("defaults", more), policy("defaults")),
        (worker_policy("defaults", more), worker_policy("defaults")),
    ):
        rules = traced["egress"]
        assert ports(rules[2]) == [(port, "TCP")] and rules[:2] + rules[3:] == bare["egress"]


def test_a_trial_reaches_only_its_own_servers():
    rendered = render("trial")
    it = rendered.one("NetworkPolicy", "rel-scim-bridge-worker")["spec"]
    _, redis, sim = it["egress"]
    for rule, port, name in ((redis, 6379, "valkey"), (sim, 9080, "postman-sim")):
        assert ports(rule) == [(port, "TCP")]
        [peer] = rule["to"]
        kind = "StatefulSet" if name == "valkey" else "Deployment"
        labels = rendered.one(kind, f"rel-scim-bridge-{name}")["spec"]["template"]["metadata"]["labels"]
        assert selects(peer["podSelector"]["matchLabels"], labels)
        theirs = rendered.one("NetworkPolicy", f"rel-scim-bridge-{name}")["spec"]
        assert selects(theirs["podSelector"]["matchLabels"], labels)
        assert ports(theirs["ingress"][0]) == [(port, "TCP")] and theirs["egress"] == []
        for bridge in rendered.bridges():
            assert selects(theirs["ingress"][0]["from"][0]["podSelector"]["matchLabels"], bridge["spec"]["template"]["metadata"]["labels"])


def test_the_embedded_store_needs_no_redis():
    assert [ports(rule) for rule in policy("embedded")["egress"]] == [[(53, "TCP"), (53, "UDP")], [(443, "TCP")]]


def test_policies_can_be_switched_off():
    assert render("defaults", {"networkPolicy": {"enabled": False}}).none("NetworkPolicy")


def test_other_ports_are_the_same_everywhere():
    more = {"config": {"server": {"listen": "[::]:8000", "admin_listen": "[::]:9000"}}}
    rendered = render("defaults", more)
    it = rendered.one("Deployment", "rel-scim-bridge-intake")["spec"]["template"]["spec"]["containers"][0]
    assert [port["containerPort"] for port in it["ports"]] == [8000, 9000]
    env = {variable["name"]: variable["value"] for variable in it["env"]}
    assert (env["SCIM_BRIDGE__SERVER__LISTEN"], env["SCIM_BRIDGE__SERVER__ADMIN_LISTEN"]) == ("[::]:8000", "[::]:9000")
    hooks, admin = rendered.one("NetworkPolicy", "rel-scim-bridge-intake")["spec"]["ingress"]
    assert (ports(hooks), ports(admin)) == ([(8000, "TCP")], [(9000, "TCP")])
