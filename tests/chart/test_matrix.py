"""Every file of the matrix: lint, Kubernetes' schemas, custom resources' schemas, and style."""

import json
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from render import CHART, MATRIX, ROOT, VALUES, helm, render

TOOLS = ROOT / "target/chart-tools"
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}
# The oldest version that the chart supports, one in between, and the newest with published schemas.
VERSIONS = ["1.29", "1.34", "1.37"]


def test_the_matrix_is_there():
    assert MATRIX == ["cluster", "defaults", "embedded", "everything", "ha", "redis-tls", "sentinel", "trial"]


@pytest.mark.parametrize("values", MATRIX)
def test_helm_lint_is_clean(values):
    done = helm("lint", "--strict", str(CHART), "--values", str(VALUES / f"{values}.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr


def test_helm_lint_is_clean_for_the_bare_chart():
    assert helm("lint", "--strict", str(CHART)).returncode == 0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", MATRIX)
def test_kubernetes_accepts_every_object(values, version):
    objects = render(values, kube_version=version).objects
    native = [it for it in objects if it["kind"] not in CUSTOM]
    assert len(native) > 5
    for it in native:
        kubernetes_validate.validate(it, version, strict=True)


def test_the_schemas_refuse_unknown_fields():
    it = render("defaults").one("Deployment", "rel-scim-bridge-intake")
    it["spec"]["template"]["spec"]["tolerationz"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(it, VERSIONS[-1], strict=True)


def custom_resources(objects, folder):
    shutil.copy(ROOT / "tests/chart/custom_resources.mjs", folder)
    shutil.copy(ROOT / "tests/chart/package.json", folder)
    (folder / "node_modules").symlink_to(TOOLS / "node_modules")
    done = subprocess.run(
        ["node", "custom_resources.mjs"], cwd=folder, input=json.dumps(objects), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_published_schemas_accept_every_custom_resource(tmp_path):
    objects = [it for values in MATRIX for it in render(values).objects if it["kind"] in CUSTOM]
    assert {it["kind"] for it in objects} == CUSTOM
    assert custom_resources(objects, tmp_path) == []


def test_the_schemas_of_custom_resources_refuse_wrong_objects(tmp_path):
    scaled = render("everything").one("ScaledObject")
    misspelt = scaled | {"metadata": {"name": "misspelt"}, "spec": scaled["spec"] | {"minReplicaCounts": 1}}
    mistyped = scaled | {"metadata": {"name": "mistyped"}, "spec": scaled["spec"] | {"pollingInterval": "soon"}}
    errors = custom_resources([misspelt, mistyped], tmp_path)
    assert any("misspelt" in line for line in errors) and any("mistyped" in line for line in errors)


@pytest.mark.parametrize("values", MATRIX)
def test_the_rendered_yaml_is_well_formed(values):
    text = render(values).text
    assert not re.findall(r"[ \t]$", text, re.M), "blanks at a line's end"
    assert "\t" not in text and "%!" not in text and "<nil>" not in text and "map[" not in text


@pytest.mark.parametrize("values", MATRIX)
def test_every_object_is_labelled_and_in_the_release_s_namespace(values):
    mine = [it for it in render(values).objects if it["metadata"]["name"] not in ("rel-more", "presets")]
    for it in mine:
        labels = it["metadata"]["labels"]
        assert it["metadata"]["namespace"] == "people"
        assert labels["app.kubernetes.io/instance"] == "rel" and labels["app.kubernetes.io/managed-by"] == "Helm"
        for key in ("name", "version", "part-of"):
            assert labels[f"app.kubernetes.io/{key}"]
        # Pods do not contain the chart's version: a chart that changes nothing else restarts nothing.
        assert it["kind"] == "Pod" or labels["helm.sh/chart"].startswith("scim-bridge-")
        template = it["spec"]["template"]["metadata"]["labels"] if "template" in it.get("spec", {}) else {}
        assert "helm.sh/chart" not in template
    names = [(it["kind"], it["metadata"]["name"]) for it in mine]
    assert len(names) == len(set(names))


def test_the_yaml_of_chart_values_and_matrix_is_tidy():
    files = [CHART / "Chart.yaml", CHART / "values.yaml", *sorted(VALUES.glob("*.yaml"))]
    rules = {
        "extends": "default",
        "rules": {
            "line-length": "disable",
            "document-start": "disable",
            "comments": "disable",
            "comments-indentation": "disable",
            "braces": {"max-spaces-inside": 0},
        },
    }
    done = subprocess.run(
        ["yamllint", "--strict", "-d", yaml.safe_dump(rules), *map(str, files)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout


def test_a_long_release_name_gives_valid_names():
    rendered = render("everything", {"fullnameOverride": "x" * 60})
    for it in rendered.objects:
        assert len(it["metadata"]["name"]) <= 63
    assert rendered.one("Deployment")["metadata"]["name"] == "x" * 40
