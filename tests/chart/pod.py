"""The environment of a rendered pod when it starts: its environment and its files, laid out below a folder.

The kubelet's part is played by the book: a ConfigMap's or a Secret's key becomes a file where the volume is
mounted, `items` say which and under what name. Where a file names another by its absolute path, the folder
is put before it.
"""

import base64
import re
from pathlib import Path

# The image's environment variables (the chart's settings must override them), and its user.
IMAGE_ENV = {
    "SCIM_BRIDGE__SERVER__LISTEN": "0.0.0.0:8080",
    "SCIM_BRIDGE__SERVER__ADMIN_LISTEN": "0.0.0.0:9090",
    "SCIM_BRIDGE__STORE__URL": "embedded:/data",
}


class Pod:
    """A pod of `objects`, with the Secrets that the chart leaves to the user in `given`: name -> key -> text."""

    def __init__(self, rendered, spec, folder, given):
        self.folder = Path(folder)
        self.secrets = {name: dict(keys) for name, keys in given.items()}
        for secret in rendered.all("Secret"):
            keys = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
            self.secrets.setdefault(secret["metadata"]["name"], {}).update(keys)
        self.configs = {it["metadata"]["name"]: it["data"] for it in rendered.all("ConfigMap")}
        self.spec = spec
        self.container = spec["containers"][0]
        self.volumes = {volume["name"]: volume for volume in spec["volumes"]}
        # `helm test`'s pod reads its own annotations.
        self.annotations = next((it["metadata"]["annotations"] for it in rendered.all("Pod") if it["spec"] is spec), {})
        self.mount()

    def mount(self):
        """(Re)writes all files, as the kubelet does when a Secret has changed."""
        for mount in self.container["volumeMounts"]:
            assert "subPath" not in mount, "a file mounted by subPath never changes"
            place = self.path(mount["mountPath"])
            place.mkdir(parents=True, exist_ok=True)
            for name, text in self.content(self.volumes[mount["name"]]).items():
                part = place / f".{name}.part"
                part.write_text(text.replace('"/run/', f'"{self.folder}/run/'))
                part.rename(place / name)

    def content(self, volume):
        if "configMap" in volume:
            return self.configs.get(volume["configMap"]["name"], {})
        files = {}
        for item in volume.get("downwardAPI", {}).get("items", []):
            name = re.fullmatch(r"metadata\.annotations\['(.*)'\]", item["fieldRef"]["fieldPath"])[1]
            files[item["path"]] = self.annotations[name]
        for source in volume.get("projected", {}).get("sources", []):
            secret = source["secret"]
            for item in secret["items"]:
                files[item["path"]] = self.secrets[secret["name"]][item["key"]]
        return files

    def path(self, path):
        return self.folder / str(path).lstrip("/")

    def env(self):
        env = dict(IMAGE_ENV)
        for variable in self.container["env"]:
            env[variable["name"]] = variable["value"]
        env["SCIM_BRIDGE_CONFIG"] = str(self.path(env["SCIM_BRIDGE_CONFIG"]))
        store = env["SCIM_BRIDGE__STORE__URL"]
        if store.startswith("embedded:/"):
            env["SCIM_BRIDGE__STORE__URL"] = f"embedded:{self.path(store.removeprefix('embedded:'))}"
        # Each pod has an address of its own; here all share one machine.
        for name in ("SCIM_BRIDGE__SERVER__LISTEN", "SCIM_BRIDGE__SERVER__ADMIN_LISTEN"):
            env[name] = re.sub(r"^(0\.0\.0\.0|\[::\])", "127.0.0.1", env[name])
        return env

    def args(self):
        return self.container["args"]
