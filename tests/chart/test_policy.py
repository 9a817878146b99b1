"""Pod Security `restricted`, and what a scanner finds."""

import json
import subprocess

import pytest
import yaml

from render import MATRIX, ROOT, render

POLICY = yaml.safe_load((ROOT / "tests/chart/checkov.yaml").read_text())


@pytest.mark.parametrize("values", MATRIX)
def test_every_pod_is_restricted(values):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a bit more."""
    pods = render(values).pods()
    assert pods
    for _, spec in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC", "ephemeralContainers"} & spec.keys()
        assert values == "everything" or not {"hostAliases", "initContainers"} & spec.keys()
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True and pod["runAsUser"] > 0 and pod["runAsGroup"] > 0
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"sysctls", "seLinuxOptions", "windowsOptions", "supplementalGroups"} & pod.keys()
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
        for volume in spec.get("volumes", []):
            [kind] = volume.keys() - {"name"}
            assert kind in ("configMap", "projected", "secret", "persistentVolumeClaim", "downwardAPI"), kind
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port or port["containerPort"] < 1024 for port in container.get("ports", []))


@pytest.mark.parametrize("values", MATRIX)
def test_no_pod_uses_the_kubernetes_api(values):
    rendered = render(values)
    assert rendered.one("ServiceAccount")["automountServiceAccountToken"] is False
    for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        assert rendered.none(kind)
    for _, spec in rendered.pods():
        assert spec["serviceAccountName"] == rendered.one("ServiceAccount")["metadata"]["name"]


def test_a_service_account_of_yours_is_used():
    rendered = render("defaults", {"serviceAccount": {"create": False, "name": "mine"}})
    assert rendered.none("ServiceAccount")
    assert {spec["serviceAccountName"] for _, spec in rendered.pods()} == {"mine"}


def test_a_scanner_finds_only_justified_exceptions(tmp_path):
    for values in MATRIX:
        objects = [it for it in render(values).objects if it["metadata"]["name"] not in ("presets", "rel-more")]
        (tmp_path / f"{values}.yaml").write_text(yaml.safe_dump_all(objects))
    command = ["checkov", "--directory", str(tmp_path), "--framework", "kubernetes", "--skip-download", "--output", "json", "--quiet", "--compact", "--soft-fail"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0 and report["summary"]["passed"] + report["summary"]["failed"] > 500
    found = {}
    for failure in report["results"]["failed_checks"]:
        check, it = failure["check_id"], failure["resource"]
        found.setdefault(check, set()).add(it)
        excuse = POLICY["excused"].get(check, {"objects": []})
        assert it in excuse.get("objects", [it]), f"{check} {failure['check_name']}: {failure['file_path']} {it}"
    # An exception for something that is no longer found must go.
    assert POLICY["excused"].keys() == found.keys()
    assert all(len(excuse["reason"]) > 20 for excuse in POLICY["excused"].values())
