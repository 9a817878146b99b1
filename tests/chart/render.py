"""Renders the chart as `helm` does, and finds objects in the output."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
VALUES = ROOT / "tests/chart/values"
MATRIX = sorted(path.stem for path in VALUES.glob("*.yaml"))
VERSION = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
RELEASE = "rel"
NAMESPACE = "people"


class Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a duplicate key is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {sorted(keys)}"
        return super().construct_mapping(node, deep)


@dataclass
class Rendered:
    """What a set of values renders to."""

    text: str
    objects: list

    def all(self, kind):
        return [it for it in self.objects if it["kind"] == kind]

    def one(self, kind, name=None):
        found = [it for it in self.all(kind) if name in (None, it["metadata"]["name"])]
        assert len(found) == 1, f"{kind} {name}: {[it['metadata']['name'] for it in found]}"
        return found[0]

    def none(self, kind, name=None):
        return not [it for it in self.all(kind) if name in (None, it["metadata"]["name"])]

    def names(self, kind):
        return sorted(it["metadata"]["name"] for it in self.all(kind))

    def pod(self, kind, name):
        """The pod's spec of a Deployment or StatefulSet."""
        return self.one(kind, name)["spec"]["template"]["spec"]

    def bridges(self):
        """The Deployments whose pods are bridges."""
        return [it for it in self.all("Deployment") if "postman-sim" not in it["metadata"]["name"]]

    def pods(self):
        """Every pod's labels and spec, including the test's."""
        templates = [it["spec"]["template"] for kind in ("Deployment", "StatefulSet") for it in self.all(kind)]
        return [(it["metadata"]["labels"], it["spec"]) for it in templates + self.all("Pod")]

    def config(self):
        """The ConfigMap with the configuration; not those that only pods of earlier revisions read."""
        [it] = [it for it in self.all("ConfigMap") if it["metadata"]["name"] in self.mounted() and "scim-bridge.toml" in it["data"]]
        return it

    def toml(self):
        return self.config()["data"]["scim-bridge.toml"]

    def fullname(self):
        [name] = [name for name in self.names("Service") if name.endswith("-admin")]
        return name.removesuffix("-admin")

    def mounted(self):
        """The names of all ConfigMaps and Secrets that pods mount."""
        found = set()
        for _, spec in self.pods():
            for volume in spec.get("volumes", []):
                found.add(volume.get("configMap", {}).get("name"))
                found.add(volume.get("secret", {}).get("secretName"))
                found |= {source["secret"]["name"] for source in volume.get("projected", {}).get("sources", [])}
        return found - {None}

    def secret(self, key):
        """The one Secret of the chart that has this key."""
        [it] = [it for it in self.all("Secret") if key in it["data"] and it["metadata"]["name"] in self.mounted()]
        return it


def kubeconfig(folder, port):
    """Writes a kubeconfig for an API server on a port, without a user; returns its path."""
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
        "users": [{"name": "u", "user": {}}],
    }))  # fmt: skip
    return path


def helm(*args, stdin=None):
    return subprocess.run(["helm", *args], capture_output=True, text=True, input=stdin, timeout=60)


def template(values, more=None, kube_version=None, release=RELEASE, chart=CHART, kubeconfig=None):
    """Runs `helm template` with a file of the matrix (or none), and values over it; against a cluster if one is given."""
    args = ["template", release, str(chart), "--namespace", NAMESPACE]
    if kubeconfig:
        args += ["--dry-run=server", "--is-upgrade", "--kubeconfig", str(kubeconfig)]
    if values:
        args += ["--values", str(VALUES / f"{values}.yaml")]
    if more is not None:
        args += ["--values", "-"]
    if kube_version:
        args += ["--kube-version", kube_version]
    return helm(*args, stdin=None if more is None else json.dumps(more, ensure_ascii=False))


def render(values="defaults", more=None, **options):
    done = template(values, more, **options)
    assert done.returncode == 0, done.stderr
    return Rendered(done.stdout, [it for it in yaml.load_all(done.stdout, Loader) if it])


def refused(values="defaults", more=None, **options):
    """The lines of a refused rendering's error."""
    done = template(values, more, **options)
    assert done.returncode != 0, "the chart accepted it"
    return [line.strip()[2:] for line in done.stderr.splitlines() if line.strip().startswith("- ")]
