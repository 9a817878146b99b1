"""As much of a Kubernetes API as `helm --dry-run=server` asks: its version, its kinds, and some Secrets."""

import json
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

SECRETS = {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
    {"name": "secrets", "singularName": "secret", "namespaced": True, "kind": "Secret", "verbs": ["get", "list"]}
]}  # fmt: skip
KNOWN = {
    "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": SECRETS,
}


@contextmanager
def cluster(folder, secrets):
    """Yields the path of a kubeconfig. `secrets`: namespace/name -> key -> text."""

    class Api(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            parts = path.split("/")
            answer, status = KNOWN.get(path), 200
            if answer is None and parts[:4] == ["", "api", "v1", "namespaces"] and parts[5] == "secrets":
                name, held = parts[6], secrets.get(f"{parts[4]}/{parts[6]}")
                if held is not None:
                    data = {key: b64encode(text.encode()).decode() for key, text in held.items()}
                    answer = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name, "namespace": parts[4]}, "data": data}
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
        config = folder / "kubeconfig"
        config.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        }))  # fmt: skip
        yield config
        server.shutdown()
