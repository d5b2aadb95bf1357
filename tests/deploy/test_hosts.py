"""What runs the gateway without Helm: the systemd unit, the compose file, the Kustomize component;
and the bill of materials."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from gateway import config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "ocm-gateway.service"
LOCK = ROOT / "requirements.lock"


def ran(*words):
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/ocm-gateway/bin/ocm-gateway", sys.executable))
    done = ran("systemd-analyze", "verify", "--man=no", str(unit))
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert ours == []


def test_the_unit_has_little_right_to_the_machine():
    done = ran("systemd-analyze", "security", "--offline=true", str(UNIT))
    found = re.search(r"exposure level for .*: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < 2


def test_compose_opens_nothing_to_the_world_and_its_configuration_is_good(tmp_path):
    [public] = (
        yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]["gateway"],
    )
    assert public["read_only"]
    assert public["cap_drop"] == ["ALL"]
    assert [port.startswith("127.0.0.1:") for port in public["ports"]] == [True]
    (tmp_path / "storage").write_text("x")
    text = (DEPLOY / "compose/gateway.yaml").read_text().replace("/run/secrets", str(tmp_path))
    settings = config.parse(yaml.safe_load(text))
    assert settings.public.listen == "0.0.0.0:8080"
    assert config.warnings(settings) == ["storage.url is plain http to another machine"]


STORAGE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "storage", "labels": {"ocm-gateway/sidecar": "true"}},
    "spec": {
        "selector": {"matchLabels": {"app": "storage"}},
        "template": {
            "metadata": {"labels": {"app": "storage"}},
            "spec": {"containers": [{"name": "storage", "image": "storage:1"}]},
        },
    },
}


@pytest.fixture
def rendered(tmp_path):
    """What Kustomize makes of a labelled Deployment, one without the label, and the component."""
    shutil.copytree(DEPLOY / "kustomize" / "sidecar", tmp_path / "sidecar")
    other = json.loads(json.dumps(STORAGE))
    other["metadata"] = {"name": "other"}
    work = tmp_path / "work"
    work.mkdir()
    (work / "storage.yaml").write_text(yaml.safe_dump_all([STORAGE, other]))
    (work / "gateway.yaml").write_text("public: {origin: https://cloud.example.org}\n")
    (work / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["storage.yaml"],
                "components": ["../sidecar"],
                "images": [{"name": "ocm-gateway", "newTag": "1"}],
                "configMapGenerator": [{"name": "ocm-gateway", "files": ["gateway.yaml"]}],
            }
        )
    )
    done = ran("kubectl", "kustomize", str(work))
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_the_component_puts_a_native_sidecar_beside_what_is_labelled_only(rendered):
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in rendered
        if one["kind"] == "Deployment"
    }
    assert "initContainers" not in pods["other"]
    [gateway] = pods["storage"]["initContainers"]
    assert gateway["restartPolicy"] == "Always"
    assert gateway["image"] == "ocm-gateway:1"
    assert gateway["startupProbe"]
    security = gateway["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["runAsNonRoot"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert [one["name"] for one in pods["storage"]["containers"]] == ["storage"]
    volumes = {one["name"]: one for one in pods["storage"]["volumes"]}
    assert {one["name"] for one in gateway["volumeMounts"]} == set(volumes)
    # The generated name, so that a changed configuration is found.
    assert volumes["ocm-config"]["configMap"]["name"].startswith("ocm-gateway-")


def test_what_kustomize_makes_is_valid_kubernetes(rendered, tmp_path):
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(rendered))
    validate = Path(sys.executable).with_name("kubernetes-validate")
    done = ran(str(validate), "--strict", "-k", "1.33", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_bill_of_materials_has_every_package_of_the_lock():
    spec = importlib.util.spec_from_file_location("sbom", DEPLOY / "sbom.py")
    sbom = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sbom)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = LOCK.read_text()
    found = sbom.bill(lock, project, "1.2.3")
    assert found == sbom.bill(lock, project, "1.2.3")
    locked = set(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE))
    parts = found["components"]
    assert {(one["name"], one["version"]) for one in parts} == locked
    hashes = sum(len(one["externalReferences"][0]["hashes"]) for one in parts)
    assert hashes == lock.count("--hash=sha256:")
    assert len(found["dependencies"][0]["dependsOn"]) == len(project["dependencies"])
    assert found["metadata"]["component"]["purl"] == "pkg:pypi/ocm-gateway@1.2.3"
