"""What deploy/ starts containers with, against real servers: the init Job's line, the worker's, its probes."""

import subprocess

import pytest

from lib import byunique, processes, schemas
from lib.admin import AdminClient
from lib.servers import ROOT

yaml = pytest.importorskip("yaml", reason="NOT TESTED: PyYAML is not installed")

BASE = ROOT / "deploy/kubernetes/base"


def container(path):
    """Of a Deployment or a Job."""
    [found] = yaml.safe_load(path.read_text())["spec"]["template"]["spec"]["containers"]
    return found


def arguments(path):
    """What the container is started with, its configuration being the ConfigMap's file."""
    return [str(BASE / "byunique.conf") if word.startswith("/etc/") else word for word in container(path)["args"]]


def health_check(port):
    """The compose file's own command, as Docker runs it → whether the worker is healthy."""
    command = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["worker"]["healthcheck"]["test"]
    assert command[0] == "CMD" and "/9464 " in command[-1]
    words = [word.replace("$$", "$").replace("/9464 ", "/%d " % port) for word in command[1:]]
    return subprocess.run(words, timeout=20, capture_output=True).returncode == 0


@pytest.fixture
def in_cluster(site):
    """Settings as variables, which outrank the ConfigMap's file: those servers are not here."""
    settings = dict(site.settings, **{"admin.listen": "127.0.0.1:0"})
    return {"BYUNIQUE_" + key.upper().replace(".", "_"): value for key, value in settings.items()}


def test_init_job_then_worker(site, in_cluster, tmp_path):
    environment = dict(processes.environment(), **in_cluster)
    for said in ("created", "already there"):
        done = subprocess.run([byunique.PROGRAM] + arguments(BASE / "init.yaml"), env=environment, cwd="/", timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0 and said in done.stdout, done.stderr
    site.partitions = 8
    site.apply(schemas.PHONE)
    worker = byunique.Worker({}, tmp_path / "worker.log")
    worker.process = processes.start([byunique.PROGRAM] + arguments(BASE / "deployment.yaml"), worker.log_path, cwd="/",
                                     env=environment)
    site.workers.append(worker)
    admin = AdminClient(worker)
    probes = container(BASE / "deployment.yaml")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        admin.wait_health(probes[probe]["httpGet"]["path"], 200)
    assert health_check(admin.port)
    assert not health_check(processes.free_port())
    assert worker.stop() == 0


def test_not_healthy_without_servers(tmp_path):
    """Alive, so that Kubernetes does not start it again for nothing, and not ready."""
    worker = byunique.Worker({"admin.listen": "127.0.0.1:0", "postgres": "host=/nonexistent",
                              "kafka.bootstrap.servers": "127.0.0.1:1"}, tmp_path / "worker.log")
    worker.start()
    try:
        admin = AdminClient(worker)
        admin.wait_health("/livez", 200)
        admin.wait_health("/readyz", 503)
        assert not health_check(admin.port)
    finally:
        processes.stop(worker.process)
