"""The chart, without a cluster: it renders, and what it renders is valid, safe and consistent."""

import base64
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gateway import config

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "ocm-gateway"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
HELM = Path(sys.executable).with_name("helm")
VALIDATE = Path(sys.executable).with_name("kubernetes-validate")
KUBERNETES = ("1.30", "1.33")

pytestmark = pytest.mark.skipif(not HELM.exists(), reason="helm is not installed")


def helm(*words):
    return subprocess.run([HELM, *words], capture_output=True, text=True, check=False, timeout=60)


def rendered(values, *words):
    done = helm("template", "release", str(CHART), "-f", str(values), *words)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


def pod_of(documents):
    [deployment] = of_kind(documents, "Deployment")
    return deployment["spec"]["template"]


def gateway_of(documents):
    spec = pod_of(documents)["spec"]
    containers = spec["containers"] + spec.get("initContainers", [])
    [gateway] = [one for one in containers if one["name"] == "gateway"]
    return gateway


every_example = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "helm" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_schema_and_page_are_those_of_the_present_configuration():
    made = generate()
    assert json.loads((CHART / "values.schema.json").read_text()) == made.values_schema(), (
        "run: make chart"
    )
    assert (CHART / "README.md").read_text() == made.readme(), "run: make chart"


@every_example
def test_the_chart_passes_lint(values):
    done = helm("lint", "--strict", str(CHART), "-f", str(values))
    assert done.returncode == 0, done.stdout


@every_example
@pytest.mark.parametrize("version", KUBERNETES)
def test_what_it_renders_is_valid_kubernetes(values, version, tmp_path):
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(rendered(values)))
    done = subprocess.run(
        [VALIDATE, "--strict", "-k", version, str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@every_example
def test_the_configuration_in_the_config_map_is_good(values, tmp_path):
    [file] = [
        one for one in of_kind(rendered(values), "ConfigMap") if "gateway.yaml" in one["data"]
    ]
    for name in ("storage", "state.key"):
        (tmp_path / name).write_text("x")
    text = file["data"]["gateway.yaml"].replace("/etc/ocm-gateway/secrets", str(tmp_path))
    settings = config.parse(yaml.safe_load(text))
    assert settings.public.listen == "0.0.0.0:8080"
    assert str(settings.state.folder) == "/var/lib/ocm-gateway"


@every_example
def test_the_pod_fits_the_restricted_security_level(values):
    documents = rendered(values)
    spec = pod_of(documents)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = gateway_of(documents)["securityContext"]
    assert security["readOnlyRootFilesystem"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["runAsUser"] > 0
    assert security["capabilities"] == {"drop": ["ALL"]}
    for volume in spec["volumes"]:
        assert not {"hostPath", "nfs"} & volume.keys()


@every_example
def test_services_and_monitors_select_the_pod(values):
    documents = rendered(values)
    labels = pod_of(documents)["metadata"]["labels"]
    ports = {port["name"] for port in gateway_of(documents)["ports"]}
    for service in of_kind(documents, "Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    [deployment] = of_kind(documents, "Deployment")
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    services = [one["metadata"]["labels"] for one in of_kind(documents, "Service")]
    for monitor in of_kind(documents, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert len([one for one in services if wanted <= one.items()]) == 1


@every_example
def test_no_secret_stands_in_the_environment_and_no_image_floats(values):
    gateway = gateway_of(rendered(values))
    assert not gateway["image"].endswith(":latest")
    assert "SECRET" not in json.dumps(gateway.get("env", []))


def test_the_management_port_is_on_no_way_from_outside():
    documents = rendered(CHART / "ci" / "fleet-values.yaml")
    [ingress] = of_kind(documents, "Ingress")
    [route] = of_kind(documents, "HTTPRoute")
    assert "management" not in json.dumps([ingress["spec"], route["spec"]])
    assert ingress["spec"]["rules"][0]["host"] == "cloud.example.org"
    assert route["spec"]["hostnames"] == ["cloud.example.org"]
    [policy] = of_kind(documents, "NetworkPolicy")
    public, management = policy["spec"]["ingress"]
    assert public["ports"][0]["port"] == "public"
    assert management["from"]


def test_a_native_sidecar_starts_first_and_a_storage_port_is_closed():
    documents = rendered(CHART / "ci" / "sidecar-values.yaml")
    spec = pod_of(documents)["spec"]
    [sidecar] = spec["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]
    assert [one["name"] for one in spec["containers"]] == ["storage"]
    [policy] = of_kind(documents, "NetworkPolicy")
    ports = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert ports == ["public"]


def test_a_classic_sidecar_is_a_second_container():
    spec = pod_of(rendered(CHART / "ci" / "sidecar-classic-values.yaml"))["spec"]
    assert [one["name"] for one in spec["containers"]] == ["gateway", "storage"]


def test_the_state_outlives_the_release_and_old_and_new_pod_never_share_it():
    documents = rendered(CHART / "ci" / "standalone-values.yaml")
    [claim] = of_kind(documents, "PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    [deployment] = of_kind(documents, "Deployment")
    assert deployment["spec"]["strategy"]["type"] == "Recreate"


def annotations_with(*changes):
    words = [word for change in changes for word in ("--set", change)]
    documents = rendered(CHART / "ci" / "standalone-values.yaml", *words)
    return pod_of(documents)["metadata"]["annotations"]


def test_pods_are_replaced_only_for_settings_that_need_a_restart():
    before = annotations_with()
    assert annotations_with("config.public.provider=renamed") == before
    assert annotations_with("config.public.workers=2") != before
    assert annotations_with("config.state.connections=7") != before


def test_secrets_that_are_given_become_files():
    documents = rendered(CHART / "ci" / "fleet-values.yaml")
    [secret] = of_kind(documents, "Secret")
    assert base64.b64decode(secret["data"]["state.key"]) == b"for the tests alone"
    mounts = {one["name"]: one for one in gateway_of(documents)["volumeMounts"]}
    assert mounts["secrets"]["mountPath"] == "/etc/ocm-gateway/secrets"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ("replicas=2", "needs PostgreSQL"),
        ("autoscaling.enabled=true", "needs PostgreSQL"),
        ("mode=sidecar", "needs sidecar.container"),
        ("mode=beside", "mode"),
        ("replcas=1", "replcas"),
        ("config.policy.defualt=deny", "defualt"),
        ("config.state.database=postgresql://db/ocm", "same key"),
        ("config.public.origin=null", "origin"),
    ],
)
def test_what_cannot_work_is_refused_in_words(changes, said):
    values = str(CHART / "ci" / "standalone-values.yaml")
    done = helm("template", "release", str(CHART), "-f", values, "--set", changes)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_alerts_in_the_chart_fire_when_they_should_and_only_then():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    for words in (
        ["check", "rules", str(CHART / "files" / "alerts.yaml")],
        ["test", "rules", str(Path(__file__).with_name("alerts_test.yaml"))],
    ):
        done = subprocess.run([promtool, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_unit_tested():
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load(Path(__file__).with_name("alerts_test.yaml").read_text())["tests"]
    fired = {
        alert["alertname"]
        for test in tests
        for alert in test["alert_rule_test"]
        if alert.get("exp_alerts")
    }
    assert {rule["alert"] for rule in rules} == fired
