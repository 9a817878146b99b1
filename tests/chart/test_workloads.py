"""Deployments, and how they are scaled, spread and protected: value -> object."""

import pytest
import yaml

from render import CHART, MATRIX, VALUES, VERSION, Loader, helm, render


def deployment(more=None, name="rel-scim-bridge-intake", values="defaults", **options):
    return render(values, more, **options).one("Deployment", name)


def container(deployment):
    [it] = [it for it in deployment["spec"]["template"]["spec"]["containers"] if it["name"] == "scim-bridge"]
    return it


def test_intake_and_worker_are_separate_deployments():
    rendered = render()
    assert rendered.names("Deployment") == ["rel-scim-bridge-intake", "rel-scim-bridge-worker"]
    for role in ("intake", "worker"):
        it = rendered.one("Deployment", f"rel-scim-bridge-{role}")
        assert container(it)["args"] == ["serve", "--role", role]
        assert it["spec"]["replicas"] == 2
        assert it["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == role
        assert it["spec"]["selector"]["matchLabels"].items() <= it["spec"]["template"]["metadata"]["labels"].items()


def test_one_deployment_can_do_both():
    rendered = render("defaults", {"mode": "all"})
    assert rendered.names("Deployment") == ["rel-scim-bridge"]
    assert container(rendered.one("Deployment"))["args"] == ["serve", "--role", "all"]
    assert [port["name"] for port in container(rendered.one("Deployment"))["ports"]] == ["webhooks", "admin"]


def test_a_worker_has_no_port_for_webhooks():
    assert [port["name"] for port in container(deployment(name="rel-scim-bridge-worker"))["ports"]] == ["admin"]


@pytest.mark.parametrize("role", ["intake", "worker"])
def test_each_has_its_own_settings(role):
    own = {
        "replicas": 5,
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "priorityClassName": "high",
        "podAnnotations": {"x": "y"},
        "podLabels": {"v": "w"},
    }
    rendered = render("defaults", {role: own, "priorityClassName": "low", "nodeSelector": {"disk": "any"}})
    mine = rendered.one("Deployment", f"rel-scim-bridge-{role}")
    spec = mine["spec"]["template"]["spec"]
    assert mine["spec"]["replicas"] == 5
    assert container(mine)["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert (spec["nodeSelector"], spec["priorityClassName"]) == ({"disk": "ssd"}, "high")
    assert spec["tolerations"] == own["tolerations"]
    assert mine["spec"]["template"]["metadata"]["annotations"]["x"] == "y"
    assert mine["spec"]["template"]["metadata"]["labels"]["v"] == "w"
    [other] = [it for it in rendered.all("Deployment") if it is not mine]
    assert other["spec"]["replicas"] == 2
    assert other["spec"]["template"]["spec"]["priorityClassName"] == "low"
    assert other["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "any"}


def test_memory_has_a_limit_and_cpu_only_a_request():
    for values in MATRIX:
        for _, spec in render(values).pods():
            for it in spec["containers"]:
                assert it["resources"]["requests"].keys() == {"cpu", "memory"}
                assert it["resources"]["limits"].keys() == {"memory"}


def test_pods_spread_over_zones_and_nodes():
    for role in ("intake", "worker"):
        spec = deployment(name=f"rel-scim-bridge-{role}")["spec"]["template"]["spec"]
        spreads = spec["topologySpreadConstraints"]
        assert [it["topologyKey"] for it in spreads] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        for it in spreads:
            assert (it["maxSkew"], it["whenUnsatisfiable"], it["matchLabelKeys"]) == (1, "ScheduleAnyway", ["pod-template-hash"])
            assert it["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == role
    assert "topologySpreadConstraints" not in deployment({"intake": {"topologySpread": {"enabled": False}}})["spec"]["template"]["spec"]
    strict = deployment({"intake": {"topologySpread": {"whenUnsatisfiable": "DoNotSchedule"}}})
    assert strict["spec"]["template"]["spec"]["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"


def test_pods_of_one_kind_avoid_each_other_s_nodes():
    def affinity(more):
        return deployment({"intake": more})["spec"]["template"]["spec"].get("affinity")

    soft = affinity({})["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"]
    hard = affinity({"podAntiAffinity": "hard"})["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    for term in (soft, hard):
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert term["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "intake"
    assert affinity({"podAntiAffinity": "none"}) is None
    assert affinity({"affinity": {"nodeAffinity": {}}}) == {"nodeAffinity": {}}


def test_the_intake_scales_on_cpu():
    rendered = render("defaults", {"intake": {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 7}}})
    scaler = rendered.one("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "rel-scim-bridge-intake"}
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 7)
    [metric] = scaler["spec"]["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    # Otherwise each upgrade would reset the number.
    assert "replicas" not in rendered.one("Deployment", "rel-scim-bridge-intake")["spec"]
    assert rendered.one("Deployment", "rel-scim-bridge-worker")["spec"]["replicas"] == 2


def test_keda_scales_workers_on_waiting_jobs():
    rendered = render("cluster")
    scaled = rendered.one("ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == "rel-scim-bridge-worker"
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 2)
    [trigger] = scaled["triggers"]
    assert trigger["type"] == "metrics-api"
    assert trigger["metadata"]["valueLocation"] == 'scim_bridge_jobs{state="waiting"}'
    assert trigger["metadata"]["format"] == "prometheus"
    assert trigger["metadata"]["targetValue"] == "180"
    admin = rendered.one("Service", "rel-scim-bridge-admin")
    assert trigger["metadata"]["url"] == f"http://rel-scim-bridge-admin.people.svc:{admin['spec']['ports'][0]['port']}/metrics"
    assert "replicas" not in rendered.one("Deployment", "rel-scim-bridge-worker")["spec"]
    assert rendered.none("HorizontalPodAutoscaler")


@pytest.mark.parametrize(
    ("more", "budgets"),
    [
        ({}, ["rel-scim-bridge-intake", "rel-scim-bridge-worker"]),
        ({"intake": {"replicas": 1}}, ["rel-scim-bridge-worker"]),
        ({"intake": {"replicas": 1, "autoscaling": {"enabled": True}}, "worker": {"replicas": 1}}, ["rel-scim-bridge-intake"]),
        ({"intake": {"replicas": 1}, "worker": {"replicas": 1, "keda": {"enabled": True}}}, ["rel-scim-bridge-worker"]),
        ({"worker": {"keda": {"enabled": True, "maxReplicas": 1}}}, ["rel-scim-bridge-intake"]),
        ({"intake": {"podDisruptionBudget": {"enabled": False}}}, ["rel-scim-bridge-worker"]),
        ({"mode": "all"}, []),
        ({"mode": "all", "all": {"replicas": 2}}, ["rel-scim-bridge"]),
    ],
)
def test_deployments_with_several_pods_have_a_disruption_budget(more, budgets):
    rendered = render("defaults", more)
    assert rendered.names("PodDisruptionBudget") == budgets
    for name in budgets:
        budget = rendered.one("PodDisruptionBudget", name)["spec"]
        assert budget["maxUnavailable"] == 1 and budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert budget["selector"] == rendered.one("Deployment", name)["spec"]["selector"]


def test_a_rollout_removes_no_pod_before_another_is_ready():
    for it in render().all("Deployment"):
        assert it["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        assert it["spec"]["minReadySeconds"] == 5
        assert it["spec"]["revisionHistoryLimit"] == 5


def test_probes_ask_the_admin_listener_and_only_readiness_asks_redis():
    for values in MATRIX:
        for it in render(values).bridges():
            main = container(it)
            for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
                assert main[probe]["httpGet"] == {"path": path, "port": "admin"}
    slower = container(deployment({"probes": {"liveness": {"periodSeconds": 20}}}))["livenessProbe"]
    assert slower["periodSeconds"] == 20 and slower["failureThreshold"] == 6


@pytest.mark.parametrize(
    ("version", "more", "sleep", "grace"),
    [
        ("1.34", {}, 5, 35),
        ("1.30", {}, 5, 35),
        # The hook is alpha in 1.29, and off by default: the API server would refuse an empty one.
        ("1.29", {}, None, 30),
        ("1.34", {"preStopSleepSeconds": 20}, 20, 50),
        ("1.34", {"preStopSleepSeconds": 0}, None, 30),
        ("1.34", {"config": {"server": {"shutdown_grace_s": 100}}}, 5, 110),
        ("1.34", {"config": {"server": {"shutdown_grace_s": 0}}}, 5, 10),
        ("v1.31.4-eks-a1b2c3", {}, 5, 35),
    ],
)
def test_the_grace_follows_from_the_configuration(version, more, sleep, grace):
    for it in render("defaults", more, kube_version=version).all("Deployment"):
        hook = container(it).get("lifecycle")
        assert hook == (None if sleep is None else {"preStop": {"sleep": {"seconds": sleep}}})
        assert it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == grace


def test_the_embedded_store_has_one_process_and_a_persistent_volume():
    rendered = render("embedded")
    it = rendered.one("Deployment")
    assert it["spec"]["replicas"] == 1
    assert it["spec"]["strategy"] == {"type": "Recreate"}
    # No other pod would take over during a preStop sleep.
    assert "lifecycle" not in container(it) and it["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 30
    assert container(it)["readinessProbe"]["periodSeconds"] == 1
    assert {"name": "data", "mountPath": "/data"} in container(it)["volumeMounts"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "rel-scim-bridge"}} in it["spec"]["template"]["spec"]["volumes"]
    claim = rendered.one("PersistentVolumeClaim")
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "5Gi"}},
    }
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    mine = render("embedded", {"persistence": {"existingClaim": "mine"}})
    assert mine.none("PersistentVolumeClaim")
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in mine.pod("Deployment", "rel-scim-bridge")["volumes"]
    assert "annotations" not in render("embedded", {"persistence": {"keep": False}}).one("PersistentVolumeClaim")["metadata"]
    assert render("defaults").none("PersistentVolumeClaim")


def test_the_image_follows_the_values():
    assert container(deployment())["image"].endswith(f":{VERSION}")
    assert container(deployment({"image": {"repository": "r.example.com/b", "tag": "t"}}))["image"] == "r.example.com/b:t"
    digest = render("everything", {"imageRegistry": ""}).one("Deployment")
    assert container(digest)["image"].startswith("registry.example.com/scim-bridge@sha256:")
    assert digest["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "regcred"}]


@pytest.mark.parametrize(
    ("repository", "mirrored"),
    [
        ("registry.example.com/a/b", "mirror.example.com/cache/a/b"),
        ("registry:5000/b", "mirror.example.com/cache/b"),
        ("localhost/b", "mirror.example.com/cache/b"),
        ("a/b", "mirror.example.com/cache/a/b"),
        ("b", "mirror.example.com/cache/b"),
    ],
)
def test_one_value_moves_every_image_to_a_mirror(repository, mirrored):
    more = {"image": {"repository": repository}, "imageRegistry": "mirror.example.com/cache"}
    images = {it["image"] for _, spec in render("trial", more).pods() for it in spec["containers"]}
    assert images == {f"{mirrored}:{VERSION}", "mirror.example.com/cache/valkey/valkey:9.1.2"}
    more = {"image": {"repository": repository}, "global": {"imageRegistry": "mirror.example.com/cache"}}
    assert images == {it["image"] for _, spec in render("trial", more).pods() for it in spec["containers"]}


def test_kubernetes_reports_a_pod_s_last_log_lines():
    for values in MATRIX:
        for _, spec in render(values).pods():
            assert all(it["terminationMessagePolicy"] == "FallbackToLogsOnError" for it in spec["containers"] if it["name"] != "shipper")


def test_extra_objects_are_rendered():
    rendered = render("everything")
    it = rendered.one("Deployment")
    spec = it["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["containers"]] == ["scim-bridge", "shipper"] and spec["initContainers"][0]["name"] == "wait"
    assert container(it)["envFrom"] == [{"configMapRef": {"name": "proxy"}}]
    for _, one in rendered.pods():
        assert (one["runtimeClassName"], one["dnsConfig"]) == ("gvisor", {"options": [{"name": "ndots", "value": "2"}]})
        assert one["hostAliases"] == [{"ip": "10.3.0.1", "hostnames": ["redis.internal"]}]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy.internal:3128"} in container(it)["env"]
    assert {"name": "presets", "configMap": {"name": "presets"}} in spec["volumes"]
    assert {"name": "presets", "mountPath": "/etc/presets", "readOnly": True} in container(it)["volumeMounts"]
    assert rendered.one("ConfigMap", "rel-more")["data"] == {"namespace": "people"}
    assert rendered.one("ConfigMap", "presets")["data"] == {"my-hr.toml": "# a preset"}
    for kind in ("Deployment", "Service", "Secret", "NetworkPolicy", "ScaledObject"):
        for made in rendered.all(kind):
            assert made["metadata"]["labels"]["team"] == "identity"
            assert made["metadata"]["annotations"]["example.com/owner"] == "identity"
    pod = it["spec"]["template"]["metadata"]
    assert (pod["annotations"]["example.com/pods"], pod["annotations"]["example.com/kind"]) == ("yes", "all")
    assert (pod["labels"]["example.com/pods"], pod["labels"]["example.com/kind"]) == ("yes", "all")


def test_your_labels_and_annotations_replace_the_chart_s():
    """`render` refuses a duplicate key."""
    hr = {"app.kubernetes.io/part-of": "hr", "helm.sh/chart": "mine"}
    more = {
        "commonLabels": hr,
        "commonAnnotations": {"helm.sh/hook": "pre-install"},
        "podLabels": hr | {"app.kubernetes.io/version": "7"},
        "serviceMonitor": {"labels": hr | {"app.kubernetes.io/version": "8"}},
        "prometheusRule": {"labels": hr, "alertLabels": {"severity": "page"}},
        "dashboard": {"labels": hr},
        "extraManifests": [],
    }
    for values in ("everything", "trial"):
        rendered = render(values, more)
        for it in rendered.objects:
            assert it["metadata"]["labels"]["app.kubernetes.io/part-of"] == "hr"
        for it in rendered.bridges():
            pod = it["spec"]["template"]["metadata"]
            assert pod["labels"]["app.kubernetes.io/version"] == "7"
            assert it["spec"]["selector"]["matchLabels"].items() <= pod["labels"].items()
        assert rendered.one("Pod")["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert render("everything", more).one("ServiceMonitor")["metadata"]["labels"]["app.kubernetes.io/version"] == "8"


def test_a_numeric_release_name_gives_text_labels():
    done = helm("template", "123", str(CHART), "--values", str(VALUES / "trial.yaml"), "--set", "fullnameOverride=bridge")
    assert done.returncode == 0, done.stderr
    for it in yaml.load_all(done.stdout, Loader):
        assert all(isinstance(label, str) for label in it["metadata"]["labels"].values())
