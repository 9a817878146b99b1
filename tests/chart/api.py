"""A Kubernetes API that stores objects: enough to install, upgrade, roll back and uninstall with the real Helm.

The one controller in it makes a ReplicaSet for every template of a Deployment, and keeps the old ones. ConfigMaps and
Secrets that are immutable are so.
"""

import copy
import json
import threading
import zlib
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import yaml

from render import kubeconfig

KINDS = {
    "v1": {"secrets": "Secret", "configmaps": "ConfigMap", "services": "Service", "serviceaccounts": "ServiceAccount", "persistentvolumeclaims": "PersistentVolumeClaim", "pods": "Pod"},
    "apps/v1": {"deployments": "Deployment", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}  # fmt: skip


def discovery():
    groups = [version.split("/") for version in KINDS if "/" in version]
    yield "/version", {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    versions = [(group, {"groupVersion": f"{group}/{version}", "version": version}) for group, version in groups]
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": group, "versions": [it], "preferredVersion": it} for group, it in versions]}
    for version, kinds in KINDS.items():
        resources = [{"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get", "list", "create", "patch", "delete"]} for name, kind in kinds.items()]
        yield ("/apis/" if "/" in version else "/api/") + version, {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def fields(raw):
    """The fields of a Protobuf message that have a length, by number."""

    def varint(at):
        value = shift = 0
        while True:
            value |= (raw[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if raw[at - 1] < 0x80:
                return value, at

    found, at = {}, 0
    while at < len(raw):
        tag, at = varint(at)
        value, at = varint(at)
        if tag & 7 == 2:
            found.setdefault(tag >> 3, []).append(raw[at : at + value])
            at += value
    return found


def secret(raw):
    """A Secret as Helm writes its releases: https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding"""
    it = fields(fields(raw[4:])[2][0])
    meta = fields(it[1][0])

    def entries(parts):
        return {fields(part)[1][0].decode(): fields(part)[2][0] for part in parts}

    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": meta[1][0].decode(), "namespace": "people", "labels": {key: value.decode() for key, value in entries(meta.get(11, [])).items()}},
        "data": {key: b64encode(value).decode() for key, value in entries(it.get(2, [])).items()},
        "type": it[3][0].decode(),
    }


def merged(old, patch):
    """As a strategic merge: by names in lists of what has names."""
    if isinstance(patch, dict):
        new = dict(old) if isinstance(old, dict) else {}
        for key, value in patch.items():
            if key.startswith("$"):
                continue
            if value is None:
                new.pop(key, None)
            else:
                new[key] = merged(new.get(key), value)
        return new
    if isinstance(patch, list) and isinstance(old, list) and all(isinstance(it, dict) and "name" in it for it in patch + old):
        gone = {it["name"] for it in patch if it.get("$patch") == "delete"}
        new = {it["name"]: it for it in old if it["name"] not in gone}
        for it in patch:
            if it["name"] not in gone:
                new[it["name"]] = merged(new.get(it["name"]), it)
        return list(new.values())
    return patch


class Held(dict):
    """Objects by version, kind, namespace and name."""

    def of(self, kind):
        return {name: it for (_, kinds, _, name), it in self.items() if it["kind"] == kind}

    def put(self, key, it):
        before = self.get(key)
        if before and before.get("immutable") and (before.get("data"), True) != (it.get("data"), it.get("immutable")):
            return 422
        it.setdefault("metadata", {}).setdefault("uid", f"uid-{len(self)}")
        self[key] = it
        if it["kind"] == "Deployment":
            it.setdefault("status", {})["readyReplicas"] = it["spec"].setdefault("replicas", 1)
            template = it["spec"]["template"]
            name = f"{key[3]}-{zlib.crc32(json.dumps(template, sort_keys=True).encode()):08x}"
            of = {"name": name, "namespace": key[2], "labels": template["metadata"]["labels"]}
            self[("apps/v1", "replicasets", key[2], name)] = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": of, "spec": {"template": copy.deepcopy(template)}}
        return 200


@contextmanager
def api(folder):
    """Yields the path of a kubeconfig, and the stored objects."""
    fixed, held = dict(discovery()), Held()

    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def key(self):
            parts = urlsplit(self.path).path.split("/")
            if "namespaces" not in parts or len(parts) <= parts.index("namespaces") + 2:
                return None
            at = parts.index("namespaces")
            return ("/".join(parts[2:at]), parts[at + 2], parts[at + 1], *parts[at + 3 : at + 4])

        def body(self):
            raw = self.rfile.read(int(self.headers["content-length"]))
            return secret(raw) if raw.startswith(b"k8s\0") else yaml.load(raw, yaml.CSafeLoader)

        def answer(self, status, it=None):
            reasons = {404: "NotFound", 409: "AlreadyExists", 422: "Invalid"}
            if status >= 400:
                it = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reasons[status], "message": f"{reasons[status]}: {self.path}", "code": status}
            body = json.dumps(it).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            url, key = urlsplit(self.path), self.key()
            if url.path in fixed:
                return self.answer(200, fixed[url.path])
            if key is None:
                return self.answer(404)
            if len(key) == 4:
                return self.answer(200 if key in held else 404, held.get(key))
            wanted = dict(pair.split("=") for pair in parse_qs(url.query).get("labelSelector", [""])[0].split(",") if pair)
            found = [it for at, it in held.items() if at[:3] == key and wanted.items() <= it["metadata"].get("labels", {}).items()]
            return self.answer(200, {"kind": KINDS[key[0]][key[1]] + "List", "apiVersion": key[0], "metadata": {}, "items": found})

        def do_POST(self):
            it = self.body()
            key = (*self.key(), it["metadata"]["name"])
            if key in held:
                return self.answer(409)
            held.put(key, it)
            return self.answer(201, it)

        def do_PUT(self):
            it = self.body()
            return self.answer(held.put(self.key(), it), it)

        def do_PATCH(self):
            key, patch = self.key(), self.body()
            if key not in held:
                return self.answer(404)
            it = merged(held[key], patch)
            return self.answer(held.put(key, it), it)

        def do_DELETE(self):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            it = held.pop(self.key(), None)
            return self.answer(200 if it else 404, it)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = kubeconfig(folder, server.server_port)
        yield config, held
        server.shutdown()
