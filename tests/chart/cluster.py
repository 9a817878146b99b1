"""The part of a Kubernetes API that `helm --dry-run=server` uses: its version, its kinds, and its objects."""

import copy
import json
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from render import kubeconfig

KINDS = {
    "v1": {"secrets": "Secret", "configmaps": "ConfigMap", "services": "Service"},
    "apps/v1": {"deployments": "Deployment", "replicasets": "ReplicaSet", "statefulsets": "StatefulSet"},
}


def known():
    yield "/version", {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    apps = {"groupVersion": "apps/v1", "version": "v1"}
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "apps", "versions": [apps], "preferredVersion": apps}]}
    for version, kinds in KINDS.items():
        resources = [
            {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
            for name, kind in kinds.items()
        ]
        base = "/api/" if version == "v1" else "/apis/"
        yield base + version, {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


def secret(name, texts, namespace="people"):
    data = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": "Opaque", "data": data}


def installed(objects, release="rel", namespace="people", ready=True):
    """Rendered objects as a cluster has them once Helm has installed them: owned, with ReplicaSets, and ready (or not)."""
    held = [copy.deepcopy(it) for it in objects if it["kind"] in {kind for kinds in KINDS.values() for kind in kinds.values()}]
    for it in list(held):
        meta = it["metadata"]
        meta.setdefault("namespace", namespace)
        meta.setdefault("annotations", {}).update({"meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace})
        meta["uid"] = f"uid-of-{it['kind']}-{meta['name']}"
        if it["kind"] == "Deployment":
            replicas = it["spec"].setdefault("replicas", 1)
            it["status"] = {"replicas": replicas} | ({"readyReplicas": replicas} if ready else {})
            template = it["spec"]["template"]
            of = {"name": f"{meta['name']}-{len(held)}", "namespace": namespace, "labels": template["metadata"]["labels"]}
            held.append({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": of, "spec": {"replicas": replicas, "template": template}})
    return held


@contextmanager
def cluster(folder, objects):
    """Yields the path of a kubeconfig."""
    fixed = dict(known())

    def find(path):
        """An object, or a list of them: …/namespaces/NAMESPACE/KINDS[/NAME]."""
        parts = path.split("/")
        if "namespaces" not in parts:
            return None
        at = parts.index("namespaces")
        version, (namespace, kinds, *name) = "/".join(parts[2:at]), parts[at + 1 :]
        kind = KINDS.get(version, {}).get(kinds)
        held = [it for it in objects if it["kind"] == kind and it["metadata"]["namespace"] == namespace]
        if not name:
            return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": held}
        return next((it for it in held if it["metadata"]["name"] == name[0]), None)

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            answer, status = fixed.get(path) or find(path), 200
            if answer is None:
                status, answer = 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = kubeconfig(folder, server.server_port)
        yield config
        server.shutdown()
