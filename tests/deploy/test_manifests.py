"""Kubernetes manifests, compose file and Dockerfile: right by their own tools' schemas, and right about the program: keys,
commands, ports, users, times."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from lib import byunique, processes
from lib.servers import ROOT

yaml = pytest.importorskip("yaml", reason="NOT TESTED: PyYAML and the validators of tests/requirements.txt are not installed")

DEPLOY = ROOT / "deploy"
BASE, KEDA = DEPLOY / "kubernetes/base", DEPLOY / "kubernetes/keda"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
OLDEST, NEWEST = "1.28", "1.36"
WATCHDOG_S = 10  # how long after shutdown.timeout a worker ends that reaches no broker: docs/design.md


def manifests(folder):
    """The resources of a kustomization → {(kind, name): resource}."""
    out = {}
    for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        if (folder / name).is_dir():
            out.update(manifests(folder / name))
            continue
        for each in yaml.safe_load_all((folder / name).read_text()):
            out[each["kind"], each["metadata"]["name"]] = each
    return out


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


def pods():
    return [pod_of(each) for each in manifests(BASE).values() if each["kind"] in ("Deployment", "Job")]


def worker():
    return pod_of(manifests(BASE)["Deployment", "byunique"])


def settings_of(path):
    return dict(re.findall(r"^([a-z.]+) *= *(.*)$", path.read_text(), re.MULTILINE))


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def start(arguments, variables, code):
    """Run the program with a configuration that is to be understood, and a database that is not there: code tells which of
    the two it complains of."""
    environment = dict(processes.environment(), **variables)
    environment["BYUNIQUE_POSTGRES"] = "host=/nonexistent"
    done = subprocess.run([byunique.PROGRAM] + arguments, cwd="/", env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stderr


# Kubernetes


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_by_kubernetes_schemas(version):
    validate = pytest.importorskip("kubernetes_validate", reason="NOT TESTED: kubernetes-validate is not installed")
    found = manifests(KEDA)
    assert {kind for kind, _ in found} == {"Namespace", "Job", "Deployment", "Service", "PodDisruptionBudget", "ScaledObject"}
    for (kind, _), manifest in found.items():
        if kind != "ScaledObject":
            validate.validate(manifest, version, strict=True)
    broken = manifests(BASE)["Deployment", "byunique"]
    pod_of(broken)["containers"][0]["livenesProbe"] = {}
    with pytest.raises(Exception, match="livenesProbe"):
        validate.validate(broken, version, strict=True)


def test_by_keda_schema():
    """Taken in and written out again, nothing is missing: KEDA knows every field. What a trigger's metadata may hold, the
    schema does not tell."""
    models = pytest.importorskip("cloudcoil.models.keda.v1alpha1", reason="NOT TESTED: KEDA's models are not installed")
    scaled = manifests(KEDA)["ScaledObject", "byunique"]
    known = models.ScaledObject.model_validate(scaled).model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert known == scaled
    scaled["spec"]["minReplicas"] = 1
    assert models.ScaledObject.model_validate(scaled).model_dump(by_alias=True, exclude_unset=True, mode="json") != scaled


@pytest.mark.parametrize("folder", [BASE, KEDA])
def test_by_kustomize(folder):
    tool = shutil.which("kustomize") or shutil.which("kubectl")
    if tool is None:
        pytest.skip("NOT TESTED: there is neither kustomize nor kubectl on this machine")
    verb = "build" if tool.endswith("kustomize") else "kustomize"
    done = subprocess.run([tool, verb, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    built = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    configuration = built["ConfigMap"]["metadata"]["name"]
    for kind in ("Deployment", "Job"):
        assert pod_of(built[kind])["volumes"][0]["configMap"]["name"] == configuration
    assert ("replicas" in built["Deployment"]["spec"]) == (folder == BASE)


def test_pods_have_no_more_rights_than_they_need():
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    for pod in pods():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": int(user[1]), "runAsGroup": int(user[2]),
                                          "seccompProfile": {"type": "RuntimeDefault"}}
        for container in pod["containers"]:
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                    "capabilities": {"drop": ["ALL"]}}
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_variables_of_services_do_no_harm():
    """A service named byunique makes Kubernetes set these in every pod of the namespace: off here, and harmless elsewhere."""
    assert ("Service", "byunique") in manifests(BASE)
    assert all(pod["enableServiceLinks"] is False for pod in pods())
    start(["schema", "list"], {"BYUNIQUE_SERVICE_HOST": "10.0.0.1", "BYUNIQUE_SERVICE_PORT_METRICS": "9464",
                               "BYUNIQUE_PORT": "tcp://10.0.0.1:9464", "BYUNIQUE_PORT_9464_TCP_ADDR": "10.0.0.1"}, code=1)


def test_configuration_is_understood():
    """Every key of the file and every variable, by the program itself; what it complains of is the database."""
    path = "/etc/byunique/byunique.conf"
    for pod in pods():
        [container] = pod["containers"]
        assert container["volumeMounts"] == [{"name": "configuration", "mountPath": os.path.dirname(path), "readOnly": True}]
        assert container["args"][:2] == ["-c", path]
        variables = {each["name"]: "hunter2" for each in container["env"]}
        assert all("secretKeyRef" in each["valueFrom"] for each in container["env"])
        for arguments in (["schema", "list"], ["init"]):
            start(["-c", str(BASE / "byunique.conf")] + arguments, variables, code=1)
    # Also what is commented out.
    keys = re.findall(r"^#([a-z.]+) =", (BASE / "byunique.conf").read_text(), re.MULTILINE)
    assert keys
    start(["-X", "kafka.sasl.username=u", "schema", "list"], {}, code=1)
    known = start(["-X", "kafka.no.such=1", "schema", "list"], {}, code=2)
    for key in keys:
        assert key.startswith("kafka.") and key not in known


def test_commands_are_understood():
    """The arguments of containers and services, up to where a server is missing."""
    lines = [container["args"][2:] for pod in pods() for container in pod["containers"]]
    lines += [service["command"] for service in compose()["services"].values() if service.get("image", "").startswith("byunique:")]
    assert ["init", "--partitions", "8"] in lines and ["run"] in lines and len(lines) >= 7
    for line in lines:
        if line[0] == "run":
            continue  # waits for its servers; tests/it/test_deploy.py runs it
        words = [word.replace("/usr/share/byunique/examples", str(ROOT / "schemas/examples")) for word in line]
        error = start(words, {}, code=0 if words == ["help"] else 1)
        assert "usage:" not in error


def test_ports_and_probes_agree():
    settings = settings_of(BASE / "byunique.conf")
    [container] = worker()["containers"]
    [port] = container["ports"]
    assert settings["admin.listen"] == ":%d" % port["containerPort"]
    service = manifests(BASE)["Service", "byunique"]["spec"]
    assert service["ports"] == [{"name": port["name"], "port": port["containerPort"], "targetPort": port["name"]}]
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    annotations = manifests(BASE)["Deployment", "byunique"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_a_stop_gets_the_time_that_it_needs():
    settings = settings_of(BASE / "byunique.conf")
    assert worker()["terminationGracePeriodSeconds"] > seconds(settings["shutdown.timeout"]) + WATCHDOG_S
    default = subprocess.run([byunique.PROGRAM, "help", "config"], capture_output=True, text=True, timeout=20).stdout
    default = seconds(re.search(r"shutdown\.timeout = (\S+)", default)[1])
    assert seconds(compose()["services"]["worker"]["stop_grace_period"]) > default + WATCHDOG_S


def test_selectors_find_the_workers_and_no_others():
    found = manifests(BASE)
    deployment = found["Deployment", "byunique"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert found["Service", "byunique"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget", "byunique"]["spec"]["selector"]["matchLabels"] == labels
    for spread in worker()["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == labels
    job = found["Job", "byunique-init"]["spec"]["template"]["metadata"]["labels"]
    assert any(job.get(name) != value for name, value in labels.items())


def test_scaling_agrees_with_topic_group_and_partitions():
    spec = manifests(KEDA)["ScaledObject", "byunique"]["spec"]
    assert ("Deployment", spec["scaleTargetRef"]["name"]) in manifests(BASE)
    [trigger] = spec["triggers"]
    settings, metadata = settings_of(BASE / "byunique.conf"), trigger["metadata"]
    assert metadata["bootstrapServers"] == settings["kafka.bootstrap.servers"]
    assert metadata["consumerGroup"] == settings["kafka.group.id"]
    assert metadata["topic"] == settings["commands.topic"]
    assert all(isinstance(value, str) for value in metadata.values())
    # The names that KEDA's Kafka scaler reads; what it does not know it passes over in silence.
    assert metadata.keys() <= {
        "bootstrapServers", "consumerGroup", "topic", "lagThreshold", "activationLagThreshold", "offsetResetPolicy",
        "allowIdleConsumers", "scaleToZeroOnInvalidOffset", "excludePersistentLag", "limitToPartitionsWithLag", "version",
        "partitionLimitation", "sasl", "tls"}
    [init] = pod_of(manifests(BASE)["Job", "byunique-init"])["containers"]
    assert init["args"][-2:] == ["--partitions", str(spec["maxReplicaCount"])]
    assert spec["minReplicaCount"] <= spec["maxReplicaCount"]


# Compose


def test_by_compose_schema():
    spec = pytest.importorskip("compose_spec", reason="NOT TESTED: compose-spec is not installed")
    text = (DEPLOY / "compose.yaml").read_text()
    # YAML's merge keys are resolved first: this reader takes them for unknown ones.
    resolved = compose()
    assert "<<" in text and resolved["services"]["worker"]["environment"]["BYUNIQUE_KAFKA_BOOTSTRAP_SERVERS"]
    spec.PyCompose.from_yaml(yaml.safe_dump(resolved)).validate()
    resolved["services"]["worker"]["comand"] = []
    with pytest.raises(ValueError, match="comand"):
        spec.PyCompose.from_yaml(yaml.safe_dump(resolved))


def test_compose_holds_together():
    services = compose()["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted["condition"] != "service_healthy" or "healthcheck" in services[name]
    ours = {name: service for name, service in services.items() if service.get("image", "").startswith("byunique:")}
    for service in ours.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        variables = {name: value for name, value in service["environment"].items() if name != "BYUNIQUE_POSTGRES"}
        start(["schema", "list"], variables, code=1)
    version = re.search(r"^VERSION +:= (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert {service["image"] for service in ours.values()} == {"byunique:" + version}
    [image] = yaml.safe_load((BASE / "kustomization.yaml").read_text())["images"]
    assert (image["name"], image["newTag"]) == ("byunique", version)
    assert all(container["image"] == image["name"] for pod in pods() for container in pod["containers"])
    # Examples are where the image has them.
    installed = subprocess.run(["make", "-n", "install", "PREFIX=/usr"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "/usr/share/byunique/examples" in installed.stdout


# The image


def test_by_hadolint():
    hadolint = shutil.which("hadolint", path=os.path.dirname(sys.executable)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("NOT TESTED: hadolint is not installed")
    done = subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    done = subprocess.run([hadolint, "-"], input="FROM debian\nRUN cd /tmp\n", capture_output=True, text=True, timeout=60)
    assert done.returncode != 0


def test_image_has_the_libraries_that_the_program_needs():
    """The packages that Debian says the libraries of the program stand in, on the Debian that the image is made of."""
    release = dict(re.findall(r"^(\w+)=\"?([^\"\n]*)", open("/etc/os-release").read(), re.MULTILINE))
    if shutil.which("dpkg-query") is None or release.get("VERSION_CODENAME") != "bookworm":
        pytest.skip("NOT TESTED: this is not the Debian of the image")
    if re.search(r"sanitize", byunique.PROGRAM):
        pytest.skip("NOT TESTED: a program with sanitizers needs their libraries")
    dynamic = subprocess.run(["objdump", "-p", byunique.PROGRAM], capture_output=True, text=True, check=True).stdout
    needed = {name for name in re.findall(r"NEEDED +(\S+)", dynamic)} - {"libc.so.6"}
    packages = set(re.search(r"no-install-recommends ca-certificates (.*) \\", DOCKERFILE)[1].split())
    for name in needed:
        found = subprocess.run(["dpkg-query", "--search", "*/" + name], capture_output=True, text=True).stdout
        assert {line.split(":")[0] for line in found.splitlines()} & packages, "%s: %s" % (name, found)
