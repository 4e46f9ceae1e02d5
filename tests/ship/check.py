"""What is shipped beside the program is whole: manifests, compose file, configs, unit.

Run by run.sh, with the program's path and a scratch folder.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from kubernetes_validate import validate

PROGRAM, SCRATCH = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
# The oldest that is still maintained, so that what passes is known to all that are in use.
KUBERNETES = "1.31"


def check_config(text, place):
    """The program itself says that a config has no problem."""
    file = SCRATCH / "checked.toml"
    file.write_text(text)
    named = set(re.findall(r'_env = "([A-Z_]+)"', text)) | {"OPENAI_API_KEY"}
    env = {**os.environ, **{name: "x" * 24 for name in named}}
    done = subprocess.run([PROGRAM, "check", "--config", file], env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{place}: {done.stdout}{done.stderr}"


def kubernetes():
    """Every manifest fits its schema, and they fit each other."""
    all_of = list(yaml.safe_load_all((DEPLOY / "kubernetes/pointsman.yaml").read_text()))
    for one in all_of:
        validate(one, KUBERNETES, strict=True)
    by_kind = {it["kind"]: it for it in all_of}
    check_config(by_kind["ConfigMap"]["data"]["pointsman.toml"], "the ConfigMap")
    pod = by_kind["StatefulSet"]["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    for selector in (
        by_kind["Service"]["spec"]["selector"],
        by_kind["StatefulSet"]["spec"]["selector"]["matchLabels"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels, selector
    [container] = pod["spec"]["containers"]
    ports = {it["name"] for it in container["ports"]}
    assert {it["targetPort"] for it in by_kind["Service"]["spec"]["ports"]} <= ports
    mounts = {it["name"] for it in container["volumeMounts"]}
    volumes = {it["name"] for it in pod["spec"]["volumes"]}
    claims = {it["metadata"]["name"] for it in by_kind["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    assert mounts == volumes | claims, (mounts, volumes, claims)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def compose():
    """Files, volumes and services that are named are there, nothing listens beyond this machine."""
    folder = DEPLOY / "compose"
    whole = yaml.safe_load((folder / "compose.yaml").read_text())
    for name, config in whole["configs"].items():
        if "file" in config:
            assert (folder / config["file"]).is_file(), name
        if "content" in config:
            assert yaml.safe_load(config["content"])["apiVersion"] == 1, name
    for name, service in whole["services"].items():
        assert all(it.startswith("127.0.0.1:") for it in service.get("ports", [])), name
        assert all(it["source"] in whole["configs"] for it in service.get("configs", [])), name
        named = {it.split(":")[0] for it in service["volumes"]}
        assert named <= set(whole["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(whole["services"]), name
    built = whole["services"]["pointsman"]["build"]
    assert (folder / built["context"] / built["dockerfile"]).is_file()
    text = (folder / "pointsman.toml").read_text()
    check_config(text, "compose's config")
    given = whole["services"]["pointsman"]["environment"]
    assert set(re.findall(r'_env = "([A-Z_]+)"', text)) <= set(given), given
    rules = yaml.safe_load((folder / "prometheus.yml").read_text())["rule_files"]
    mounted = {it["target"] for it in whole["services"]["prometheus"]["configs"]}
    assert set(rules) <= mounted, rules


def image():
    """What the image is made of is there, and what it does not need is left out."""
    text = (DEPLOY / "docker/Dockerfile").read_text()
    root = DEPLOY.parent
    assert "USER 65532" in text and "ENTRYPOINT" in text
    left_out = (root / ".dockerignore").read_text().split()
    assert "target" in left_out and ".git" in left_out


kubernetes()
compose()
image()
print("manifests, compose file, configs and image: whole")
