"""The admin server: figures that agree with what was done, health that follows the servers', and nothing told that nobody
may know."""

import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import zlib

import pytest

from lib import byunique, check, gen, processes, schemas
from lib.admin import LISTEN, AdminClient
from lib.servers import ROOT
from lib.site import new_id
from lib.wire import Command

USAGE = 2


def phone(text, number="1", customer="alice", command_id=None):
    return Command(command_id or new_id(), customer, "Phone",
                   (("PhoneNumber", "string", number), ("description", "string", text)))


@pytest.fixture
def phones(site):
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    return site


def started(site, **settings):
    admin = AdminClient(site.running(**dict(LISTEN, **settings)))
    admin.wait_health("/readyz", 200)
    return admin


# Figures


def test_metrics_agree_with_what_was_sent(phones):
    admin = started(phones)
    again = phone("same")
    commands = [phone("d%d" % number) for number in range(40)] + [again, again] + [
        phone("x", number="2"), phone("x", customer="bob"), phone("x", command_id="no uuid")]
    sent = phones.send(*[phones.message(command) for command in commands], gen.Message(0, b"alice", b"nonsense", []))
    results = phones.results_of(sent)
    metrics = admin.metrics()
    assert metrics.commands() == {"Done": 41, "Duplicate": 1, "RecordNotFound": 1, "CustomerNotFound": 1,
                                  "InvalidCommandId": 1, "MalformedMessage": 1}
    statuses = [str(result.status) for result in results]
    for status in set(statuses):
        assert metrics.sum("byunique_commands_total", status=status) == statuses.count(status)
    assert metrics.value("byunique_dead_letters_total") == 1
    assert metrics.value("byunique_repeats_total") == 0
    assert metrics.value("byunique_sessions_total") == 1
    assert metrics.value("byunique_rebalances_total", event="assigned") >= 1
    assert metrics.value("byunique_batch_commands_sum") == len(sent)
    assert metrics.value("byunique_answer_seconds_count") == len(sent)
    assert metrics.value("byunique_stage_seconds_count", stage="commit") >= 1
    assert metrics.value("byunique_postgres_connected") == metrics.value("byunique_group_member") == 1
    assert metrics.value("byunique_partitions_started") == phones.partitions
    assert metrics.value("byunique_last_result_timestamp_seconds") > metrics.value("process_start_time_seconds")
    assert metrics.value("process_resident_memory_bytes") > 1e6


def test_partitions_positions_and_lag(phones):
    """The worker is busy with a table that somebody has locked: the log goes on, the position does not."""
    admin = started(phones)
    phones.answers(*[phone("first", customer="nobody%d" % number) for number in range(20)])
    metrics = admin.wait_metric("byunique_partition_position", 20)
    assert {sample.labels["partition"] for sample in metrics.all("byunique_partition_position")} == set("0123")
    assert {sample.labels["topic"] for sample in metrics.all("byunique_partition_position")} == {phones.commands}
    admin.wait_metric("byunique_partition_lag", 0)
    admin.wait_metric("byunique_partition_unpublished", 0)
    locker = phones.second_connection()
    locker.execute("BEGIN")
    locker.execute("LOCK TABLE ext_phone IN ACCESS EXCLUSIVE MODE")
    for number in range(30):  # a few batches: what is fetched already is not the whole of it
        phones.send(phone("waits%d" % number))
    metrics = admin.wait_metric("byunique_partition_lag", 30)
    ends = {str(partition): end for partition, end in phones.admin.log_ends(phones.commands).items()}
    assert {sample.labels["partition"]: sample.value for sample in metrics.all("byunique_partition_log_end")} == ends
    locker.execute("COMMIT")
    admin.wait_metric("byunique_partition_lag", 0)
    admin.wait_metric("byunique_partition_position", 50)


def test_messages_repeated_and_database_behind(phones):
    phones.worker()
    phones.wait_assigned(phones.workers[0])
    sent = phones.send(*[phone("d%d" % number) for number in range(25)])
    phones.results_of(sent)
    phones.stop()
    phones.admin.commit(phones.group, phones.commands, {partition: 0 for partition in range(phones.partitions)})
    admin = started(phones)
    metrics = admin.wait_metric("byunique_repeats_total", 25)
    assert metrics.commands() == {"Done": 25}
    assert metrics.value("byunique_database_behind_group_total") == 0
    phones.stop()
    phones.db.execute("UPDATE position SET next_offset = 0, published_offset = 0, last_offset = NULL, last_hash = NULL")
    phones.db.execute("DELETE FROM outcome")
    admin = started(phones)
    admin.wait_metric("byunique_commands_total", 25)
    partitions = len({record.at[0] for record in sent})
    admin.wait_metric("byunique_database_behind_group_total", partitions)


def test_retries_and_reconnects(phones):
    admin = started(phones)
    phones.answers(phone("one"))
    ended = phones.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'byunique'").fetchall()
    assert len(ended) == 2  # each of the connections
    phones.answers(phone("two"))  # over one of them; the other one is looked after now and then
    metrics = admin.wait_metric("byunique_postgres_reconnects_total", 2)
    assert metrics.value("byunique_postgres_connected") == 1
    assert metrics.sum("byunique_retries_total") == 1
    assert metrics.sum("byunique_retries_total", **{"class": "57"}) + metrics.sum(
        "byunique_retries_total", **{"class": "connection"}) == 1
    phones.db.execute("ALTER TABLE ext_phone ADD CHECK (description <> 'forbidden')")
    [good, bad] = phones.answers(phone("good"), phone("forbidden"), partition=0)
    assert (good.status, bad.status) == (204, 500)
    metrics = admin.metrics()
    assert metrics.value("byunique_retries_total", **{"class": "23"}) >= 1
    assert metrics.commands()["InternalError"] == metrics.value("byunique_dead_letters_total") == 1


def test_refused_partition(sites):
    site = sites(partitions=2).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    for partition in range(2):
        site.send(*[phone("d%d" % number) for number in range(4)], partition=partition)
    site.admin.delete_records(site.commands, 1, 2)
    site.admin.commit(site.group, site.commands, {1: 3})
    admin = started(site)
    metrics = admin.wait_metric("byunique_commands_total", 4)
    assert metrics.value("byunique_partitions_assigned") == 2
    assert metrics.value("byunique_partitions_started") == 1
    assert metrics.value("byunique_partitions_refused") == 1
    events = [event["event"] for event in admin.status()["events"]]
    assert "partition_refused" in events
    assert admin.health("/readyz") == (200, "ready\n")


def test_status_json_agrees_with_metrics(phones):
    admin = started(phones)
    phones.answers(phone("one"), phone("two"), phone("x", number="2"))
    metrics = admin.wait_metric("byunique_partition_position", 3)
    status = admin.status()
    assert {each["code"]: each["count"] for each in status["outcomes"] if each["count"]} == metrics.commands()
    assert status["topic"] == phones.commands and status["group"] == phones.group
    assert status["ready"] == status["alive"] == {"ok": True, "reason": None}
    assert sum(status["answer_seconds"]["buckets"]) == 3
    assert sorted(each["partition"] for each in status["partitions"]) == list(range(phones.partitions))
    assert sum(each["position"] for each in status["partitions"]) == 3


def test_every_metric_is_in_the_readme(phones):
    admin = started(phones)
    readme = (ROOT / "README.md").read_text()
    for family in admin.metrics().families.values():
        if not family.name.startswith("process_"):
            assert family.documentation
            assert re.search(r"`%s(_total)?[`{]" % family.name, readme), family.name


def test_dashboard_and_alerts_ask_for_what_there_is(phones):
    """Every metric, label and value of a label that deploy/ names."""
    admin = started(phones)
    phones.answers(phone("one"))
    samples = admin.wait_metric("byunique_partition_log_end", 1).samples
    names = {sample.name for sample in samples}
    board = json.loads((ROOT / "deploy/grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += re.findall(r"^        expr: (.*)$", (ROOT / "deploy/prometheus-alerts.yaml").read_text(), re.MULTILINE)
    assert len(asked) > 30
    for expression in asked:
        for name in re.findall(r"\b(?:byunique|process)_\w+", expression):
            assert name in names, expression
        for name, selector in re.findall(r"\b(byunique_\w+)\{([^}]*)\}", expression):
            for label, how, value in re.findall(r'(\w+)(=~?)"([^"]*)"', selector):
                if label != "instance":
                    known = {sample.labels.get(label) for sample in samples if sample.name == name}
                    assert set(value.split("|") if how == "=~" else [value]) <= known, expression


def test_alert_rules_by_prometheus_own_tool():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NOT TESTED: there is no promtool on this machine")
    for arguments in ["check", "rules", "deploy/prometheus-alerts.yaml"], ["test", "rules", "tests/deploy/alerts_test.yaml"]:
        done = subprocess.run([promtool] + arguments, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


# Health


def test_health_follows_postgres_without_commands(phones):
    """Nobody sends anything: the worker notices all the same that its database goes and comes."""
    phones.postgres.stop(signal.SIGQUIT)
    try:
        admin = AdminClient(phones.worker(**LISTEN))
        status, text = admin.health("/readyz")
        assert status == 503 and "PostgreSQL" in text
        assert admin.health("/livez") == (200, "alive\n")
        assert admin.metrics().value("byunique_postgres_connected") == 0
    finally:
        phones.postgres.start()
    assert admin.wait_health("/readyz", 200) == "ready\n"
    assert admin.metrics().value("byunique_postgres_connected") == 1
    phones.postgres.stop(signal.SIGQUIT)
    try:
        assert "PostgreSQL" in admin.wait_health("/readyz", 503)
        assert admin.health("/livez") == (200, "alive\n")
        assert "postgres_away" in [event["event"] for event in admin.status()["events"]]
    finally:
        phones.postgres.start()
    admin.wait_health("/readyz", 200)
    phones.reconnect()
    assert phones.answers(phone("after"))[0].status == 204
    phones.stop()


def test_not_ready_without_the_group(phones):
    """Kafka is not there."""
    nowhere = {"kafka.bootstrap.servers": "127.0.0.1:%d" % processes.free_port()}
    admin = AdminClient(phones.worker(**dict(LISTEN, **nowhere)))
    admin.wait_metric("byunique_postgres_connected", 1)
    status, text = admin.health("/readyz")
    assert status == 503 and "consumer group" in text and "PostgreSQL" not in text
    assert admin.health("/livez")[0] == 200


def test_ready_without_partitions(sites):
    """A member for which the group has no partition left stands by."""
    site = sites(partitions=1).init(schemas.PHONE)
    first = started(site)
    second = AdminClient(site.worker(**LISTEN))
    second.wait_health("/readyz", 200)
    first.wait_health("/readyz", 200)
    shares = [admin.metrics().value("byunique_partitions_assigned") for admin in (first, second)]
    assert sorted(shares) == [0, 1]
    site.stop()


# Requests


@pytest.mark.parametrize("address", ["9464", "localhost", "localhost:", "localhost:http", "localhost:65536", "::1:9464",
                                     "[::1]", "[::1:9464", "[]:9464", "no.such.host.invalid:9464", "192.0.2.1:9464",
                                     "localhost:-1"])
def test_wrong_address(phones, address):
    done = byunique.run(phones.settings | {"admin.listen": address}, "run")
    assert done.returncode == USAGE, done.stderr
    assert "admin.listen" in done.stderr


def test_address_in_use(phones):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = byunique.run(phones.settings | {"admin.listen": "127.0.0.1:%d" % taken.getsockname()[1]}, "run")
    assert done.returncode == 1, done.stderr
    assert "admin.listen" in done.stderr and "in use" in done.stderr


def test_every_address_of_the_machine(phones):
    admin = started(phones, **{"admin.listen": ":0"})
    with socket.create_connection(("127.0.0.1", admin.port), timeout=10):
        pass


def test_an_ipv6_address(phones):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    admin = started(phones, **{"admin.listen": "[::1]:0"})
    assert admin.get("/livez") == "alive\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_only_get_and_head(phones, method):
    admin = started(phones)
    for body in None, b"x" * 200000:
        try:
            response = admin.ask("/metrics", method, body)
        except (BrokenPipeError, ConnectionResetError):
            assert body is not None  # it did not wait for all of that
        else:
            assert response.status in (405, 413) and (response.status == 413 or response.getheader("Allow") == "GET, HEAD")
    assert admin.get("/livez") == "alive\n"


def test_headers(phones):
    admin = started(phones)
    for path in "/", "/metrics", "/livez", "/readyz", "/status.json":
        response, head = admin.ask(path), admin.ask(path, "HEAD")
        assert response.status == head.status == 200 and head.text == ""
        assert response.getheader("Cache-Control") == "no-store"
        assert response.getheader("X-Content-Type-Options") == "nosniff"
        assert "default-src 'none'" in response.getheader("Content-Security-Policy")
    assert admin.ask("/metrics").getheader("Content-Type").startswith("text/plain; version=0.0.4")
    assert admin.ask("/nothing").status == 404
    assert admin.ask("/metrics?x=1").status == 200


def test_the_page_loads_nothing_from_elsewhere(phones):
    admin = started(phones)
    response, other = admin.ask("/"), admin.ask("/")
    policy = response.getheader("Content-Security-Policy")
    [nonce] = set(re.findall(r"'nonce-([0-9a-f]{32})'", policy))
    assert nonce not in other.getheader("Content-Security-Policy")
    assert "unsafe" not in policy and "http" not in policy
    assert re.findall(r'<(?:script|style)[^>]*>', response.text) == ['<style nonce="%s">' % nonce,
                                                                     '<script nonce="%s">' % nonce]
    assert not re.search(r'(src|href)\s*=\s*"(https?:)?//', response.text)
    assert not re.search(r'\son[a-z]+\s*=|\sstyle\s*=', response.text)
    assert "@NONCE@" not in response.text


NO_REQUESTS = {
    "nonsense": b"nonsense\r\n\r\n", "zeros": b"\0" * 1000, "version": b"GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100000 + b"\r\n\r\n",
    "long path": b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "parents": b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}


@pytest.mark.parametrize("name", NO_REQUESTS)
def test_what_is_no_request_is_let_go(phones, name):
    admin, bytes_sent = started(phones), NO_REQUESTS[name]
    with socket.create_connection((admin.host, admin.port), timeout=20) as connection:
        answer = b""
        try:
            connection.sendall(bytes_sent)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                answer += part
        except OSError:
            pass  # it did not hear to the end
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert b"root:" not in answer
    assert admin.get("/livez") == "alive\n"
    assert phones.answers(phone("one"))[0].status == 204


def test_idle_connections_do_not_shut_others_out_for_ever(phones):
    """More than it takes, all silent: after a while they are closed, and the worker goes on meanwhile."""
    admin = started(phones)
    idle = [socket.create_connection((admin.host, admin.port), timeout=20) for _ in range(150)]
    assert phones.answers(phone("one"))[0].status == 204

    def answers():
        try:
            return admin.health("/livez") == (200, "alive\n")
        except OSError:
            return False
    processes.wait_for(answers, "the admin server to have a place again", 60)
    for connection in idle:
        connection.close()


# The page


def chromium(*options):
    """Run a headless one → its standard output, and what the page's script or policy complained about."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("NOT TESTED: there is no Chromium on this machine")
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                               "--user-data-dir=" + profile, "--enable-logging=stderr", "--virtual-time-budget=20000",
                               "--timeout=60000", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=180, env=processes.environment())
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def element(dom, name):
    """The text of the element with this id, tags left out."""
    start = dom.index('id="%s"' % name)
    tag = re.search(r"<(\w+)[^<]*$", dom[:start]).group(1)
    return re.sub(r"<[^>]*>", " ", dom[dom.index(">", start) + 1:dom.index("</%s>" % tag, start)])


def test_page_in_a_browser(phones):
    admin = started(phones)
    phones.answers(*[phone("d%d" % number) for number in range(20)], phone("x", number="2"))
    phones.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'byunique'")
    phones.answers(phone("y"))
    admin.wait_metric("byunique_partition_position", 22)
    dom, complaints = chromium("--dump-dom", "http://%s:%d/" % (admin.host, admin.port))
    assert complaints == []
    assert element(dom, "state") == "ready"
    assert re.search(r"204 Done\s+[\d.,]+\s+21\s", element(dom, "outcomes"))
    assert re.search(r"404 RecordNotFound\s+[\d.,]+\s+1\s", element(dom, "outcomes"))
    assert len(re.findall(r"<tr>", dom[dom.index('id="partitions"'):dom.index('id="no-partitions"')])) == phones.partitions
    assert "postgres_away" in element(dom, "events")
    assert phones.commands in element(dom, "where")
    assert dom.count('<path class="one"') == 4


def test_page_says_what_is_wrong(phones):
    nowhere = {"kafka.bootstrap.servers": "127.0.0.1:%d" % processes.free_port()}
    admin = AdminClient(phones.worker(**dict(LISTEN, **nowhere)))
    admin.wait_metric("byunique_postgres_connected", 1)
    dom, complaints = chromium("--dump-dom", "http://%s:%d/" % (admin.host, admin.port))
    assert complaints == []
    assert element(dom, "state") == "not ready: not a member of the consumer group"


def test_page_is_dark_where_the_reader_is(phones, tmp_path):
    admin = started(phones)
    brightness = []
    for scheme in 1, 0:  # light, dark
        picture = tmp_path / ("%d.png" % scheme)
        chromium("--blink-settings=preferredColorScheme=%d" % scheme, "--window-size=400,800",
                 "--screenshot=%s" % picture, "http://%s:%d/" % (admin.host, admin.port))
        png, data, at = picture.read_bytes(), b"", 8
        while at < len(png):
            size, kind = struct.unpack(">I4s", png[at:at + 8])
            data += png[at + 8:at + 8 + size] if kind == b"IDAT" else b""
            at += size + 12
        brightness.append(sum(zlib.decompress(data)[1:4]) / 3)  # of the first pixel, which no filter changes
    assert brightness[0] > 200 and brightness[1] < 60


# Secrets


def test_nothing_of_a_command_is_told(phones):
    """Values, customers and ids of commands of every kind, in none of the pages, nor in the log."""
    secrets = ["kilimanjaro%d" % number for number in range(6)]
    admin = started(phones)
    phones.db.execute("ALTER TABLE ext_phone ADD CHECK (description <> '%s')" % secrets[0])
    phones.insert("Phone", secrets[1], PhoneNumber=secrets[2])
    commands = [phone(secrets[0]), phone(secrets[3], secrets[2], secrets[1]), phone("x", secrets[4]),
                phone("x", customer=secrets[5]), Command(new_id(), "alice", "Phone", (("PhoneNumber", "string", "1"), (
                    "description", "string", secrets[3] * 40))), phone("x", command_id=secrets[1])]
    results = phones.answers(*commands)
    assert [result.status for result in results] == [500, 204, 404, 404, 400, 400]
    everything = "".join(admin.get(path) for path in ("/", "/metrics", "/status.json")) + phones.workers[-1].log
    for secret in ["kilimanjaro"] + [command.command_id for command in commands]:
        assert secret not in everything


def test_counted_exactly_under_load_and_restarts(sites):
    """Commands of every kind, a worker killed between: each result that was published is counted by one of the workers."""
    site = sites(partitions=2)
    world = gen.World(77, 2)
    site.init(*schemas.ALL)
    site.fill(world.model)
    first = started(site, **{"batch.max.commands": 50})
    sent = site.send(*world.messages(1500))
    site.results_of(sent)
    before = first.metrics()
    assert sum(before.commands().values()) == 1500
    site.workers[0].kill()
    second = started(site, **{"batch.max.commands": 50})
    sent += site.send(*world.messages(500))
    site.results_of(sent)
    check.all_results(site, sent, check.run_model(world.model, sent), site.result_reader.to_end())
    counted = before.commands()
    for code, number in second.metrics().commands().items():
        counted[code] = counted.get(code, 0) + number
    expected = {}
    for result in site.result_reader.seen:
        code = result.code or ("Duplicate" if result.body["duplicate"] else "Done")
        expected[code] = expected.get(code, 0) + 1
    assert counted == expected


# systemd


def test_words_to_systemd(phones, tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        said = []

        def hear(wanted):
            while wanted not in said:
                said.extend(manager.recv(4096).decode().split("\n"))
        phones.worker()
        hear("READY=1")
        hear("STATUS=processing %d partitions" % phones.partitions)
        del said[:]
        for _ in range(3):
            hear("WATCHDOG=1")
            del said[:]
        phones.workers[0].signal(signal.SIGTERM)
        hear("STOPPING=1")
        assert phones.workers[0].wait() == 0
