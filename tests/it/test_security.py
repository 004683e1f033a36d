"""Servers that want to know who comes, and who say who they are; what little the worker may; and secrets, which stay it."""

import re
import threading
from pathlib import Path

import confluent_kafka
import psycopg
import pytest
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ResourcePatternType,
                                   ResourceType)

from lib import admin, byunique, processes, schemas
from lib.certificates import Authority
from lib.gen import Command, Message
from lib.secure import SecureKafka, SecurePostgres
from lib.servers import ROOT
from lib.site import new_id

STOPPED, USAGE = 1, 2
SECRET = "5ecret-%s-kilimanjaro"  # in every secret, so that one search finds them all
WRONG = SECRET % "wrong"
USERS = {name: SECRET % name for name in ("plain", "renewed", "given", "byunique", "operator")}
FIELDS = ("PhoneNumber", "string", "1"), ("description", "string", "new")


def phone(*values, customer="alice", command_id=None):
    return Command(command_id or new_id(), customer, "Phone", values or FIELDS)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("server", "server.example", "IP:127.0.0.1").issue("expired", "server.example", "IP:127.0.0.1", days=-1)
    made.issue("certified", "certified", password=SECRET % "key").issue("late", "certified", days=-1)
    return made


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("stranger")).issue("certified", "certified")


@pytest.fixture(scope="module")
def kafka(authority):
    server = SecureKafka(authority, USERS, trusted=("plain", "renewed", "given", "scram", "CN=certified"))
    try:
        server.create().add_scram_user("scram", SECRET % "scram")
        yield server
    finally:
        server.destroy()


@pytest.fixture(scope="module")
def postgres(authority):
    server = SecurePostgres(authority)
    try:
        server.create()
        with server.connect() as connection:
            connection.execute("CREATE ROLE remote")
            connection.execute("CREATE ROLE certified LOGIN IN ROLE byunique")
            connection.execute("CREATE ROLE secret LOGIN IN ROLE byunique, remote PASSWORD '%s'" % (SECRET % "postgres"))
        yield server
    finally:
        server.destroy()


@pytest.fixture
def secret_file(tmp_path):
    def make(text, name="secret", mode=0o600):
        path = tmp_path / name
        path.write_text(text + "\n")
        path.chmod(mode)
        return str(path)
    return make


def sasl(kafka, listener, user, mechanism="PLAIN", **more):
    return {"kafka.bootstrap.servers": kafka.at(listener), "kafka.security.protocol": kafka.LISTENERS[listener],
            "kafka.sasl.mechanism": mechanism, "kafka.sasl.username": user, **more}


def mutual(kafka, authority, certificate="certified", key="certified.key", host="127.0.0.1", own=None, **more):
    own = own or authority
    return {"kafka.bootstrap.servers": kafka.at("mutual", host), "kafka.security.protocol": "SSL",
            "kafka.ssl.ca.location": authority["ca.pem"], "kafka.ssl.certificate.location": own[certificate + ".pem"],
            "kafka.ssl.key.location": own[key], **more}


@pytest.fixture
def site_with(sites):
    """An installation with one partition, reached in this way."""
    def make(**settings):
        site = sites(partitions=1)
        site.settings.update(settings)
        return site
    return make


def tour(site, folder):
    """What the three people do, one program after the other."""
    site.init(schemas.PHONE)
    (folder / "phones.csv").write_text("customer_id,PhoneNumber,description\nalice,1,old\n")
    (folder / "updates.csv").write_text("customer_id,PhoneNumber,description\nalice,1,new\nalice,2,none\n")
    site.worker()
    byunique.must(site.settings, "load", "Phone", str(folder / "phones.csv"))
    done = byunique.run(site.settings, "submit", str(folder / "updates.csv"), "--extension", "Phone", "--batch", "b", "--wait")
    assert done.returncode == 3 and "204" in done.stdout and "RecordNotFound" in done.stdout, done.stderr
    site.sender.send([Message(0, b"k", b"garbage", [])])
    site.wait_results(3)
    site.stop()
    assert "RecordNotFound" in byunique.must(site.settings, "results", "--status", "error")
    assert "3 answered" in byunique.must(site.settings, "audit")
    assert "MalformedMessage" in byunique.must(site.settings, "dead-letters", "list")
    byunique.must(site.settings, "replay", "results", "--from", "beginning", "--yes")
    assert '"group":"%s"' % site.group in byunique.must(site.settings, "status", "--json")
    site.worker()
    site.wait_results(6)
    site.stop()


# --- ways in --------------------------------------------------------------------------------------------------------------


def test_passwords_over_tls(site_with, kafka, postgres, authority, secret_file, tmp_path):
    tour(site_with(**sasl(kafka, "sasl_ssl", "plain", **{
        "kafka.ssl.ca.location": authority["ca.pem"], "kafka.sasl.password.file": secret_file(USERS["plain"], "kafka"),
        "postgres": postgres.by_tls(authority, "secret", more="options='-c role=byunique'"),
        "postgres.password.file": secret_file(SECRET % "postgres", "postgres")})), tmp_path)


def test_certificates(site_with, kafka, postgres, authority, secret_file, tmp_path):
    key = "sslcert=%s sslkey=%s options='-c role=byunique'" % (authority["certified.pem"], authority["certified.key"])
    tour(site_with(**mutual(kafka, authority, key="certified.locked.key", **{
        "kafka.ssl.key.password.file": secret_file(SECRET % "key"),
        "postgres": postgres.by_tls(authority, "certified", more=key)})), tmp_path)


@pytest.fixture
def newer_librdkafka(monkeypatch):
    """That of the Python client, in place of the system's: librdkafka up to 2.6.0 can't do SCRAM with Kafka 4."""
    if "sanitize" in byunique.PROGRAM:
        pytest.skip("a sanitizer's runtime has to come before any other library")
    library, = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so*")
    environment = processes.environment
    monkeypatch.setattr(processes, "environment", lambda: dict(environment(), LD_PRELOAD=str(library)))


@pytest.mark.parametrize("mechanism, listener", [("SCRAM-SHA-256", "sasl"), ("SCRAM-SHA-512", "sasl_ssl")])
def test_scram(site_with, kafka, authority, secret_file, newer_librdkafka, mechanism, listener):
    site = site_with(**sasl(kafka, listener, "scram", mechanism, **{
        "kafka.ssl.ca.location": authority["ca.pem"],
        "kafka.sasl.password.file": secret_file(SECRET % "scram")})).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.worker()
    assert site.answers(phone())[0].status == 204
    site.stop()
    assert "nothing found" in byunique.must(site.settings, "audit")


# --- no way in ------------------------------------------------------------------------------------------------------------


def refusals_of_kafka(kafka, authority, stranger):
    ca = {"kafka.ssl.ca.location": authority["ca.pem"]}
    wrong = {"kafka.sasl.password": WRONG}
    return {
        "wrong password": (sasl(kafka, "sasl", "plain", **wrong), "Invalid username or password", "kafka.sasl."),
        "wrong SCRAM password": (sasl(kafka, "sasl", "scram", "SCRAM-SHA-512", **wrong), "invalid credentials", "kafka.sasl."),
        "wrong authority": (mutual(kafka, authority, **{"kafka.ssl.ca.location": stranger["ca.pem"]}),
                            "certificate verify failed", "kafka.ssl.ca.location"),
        "wrong host": (mutual(kafka, authority, host="localhost"), "certificate verify failed", "for the name in"),
        "expired": (dict(mutual(kafka, authority), **{"kafka.bootstrap.servers": kafka.at("expired")}),
                    "certificate verify failed", "must not have expired"),
        "no certificate": ({"kafka.bootstrap.servers": kafka.at("mutual"), "kafka.security.protocol": "SSL", **ca},
                           "SSL alert", "kafka.ssl.certificate.location"),
        "a stranger's certificate": (mutual(kafka, authority, own=stranger), "SSL alert", "kafka.ssl.certificate.location"),
    }


def refusals_of_postgres(postgres, authority, stranger):
    def by(user, more="", **options):
        return {"postgres": postgres.by_tls(authority, user, more=more, **options)}

    cert = "sslcert=%s sslkey=%s"
    return {
        "wrong password": (dict(by("secret"), **{"postgres.password": WRONG}), "password authentication failed",
                           "password"),
        "no password": (by("secret"), "no password supplied", "postgres.password.file"),
        "wrong authority": (by("secret", "sslrootcert=" + stranger["ca.pem"]), "certificate verify failed", "sslrootcert"),
        "wrong host": (by("secret", host="localhost"), "does not match host name", "by the name"),
        "no TLS": (by("secret", "sslmode=disable"), "no encryption", "pg_hba.conf"),
        "no certificate": (by("certified"), "requires a valid client certificate", "sslcert"),
        "a stranger's certificate": (by("certified", cert % (stranger["certified.pem"], stranger["certified.key"])),
                                     "alert unknown ca", "sslcert"),
        "an expired certificate": (by("certified", cert % (authority["late.pem"], authority["late.key"])),
                                   "certificate expired", "sslcert"),
        "no such file": (by("certified", "sslrootcert=/nonexistent"), "/nonexistent", "sslrootcert"),
    }


def together(jobs):
    """Run functions at once → their results in order."""
    out = [None] * len(jobs)

    def do(number):
        out[number] = jobs[number]()

    threads = [threading.Thread(target=do, args=[number]) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return out


@pytest.mark.parametrize("server", ["kafka", "postgres"])
def test_refused_logins(sites, kafka, postgres, authority, stranger, server):
    """The worker says what, why and what to do, and ends: none of it passes by itself."""
    site = sites(partitions=1).init()
    cases = (refusals_of_kafka(kafka, authority, stranger) if server == "kafka" else
             refusals_of_postgres(postgres, authority, stranger))
    commands = [["run"], ["dead-letters", "list"] if server == "kafka" else ["schema", "list"]]
    ran = together([lambda settings=settings, command=command: byunique.run(dict(site.settings, **settings), *command)
                    for settings, _, _ in cases.values() for command in commands])
    for (case, (_, why, what_to_do)), worker, tool in zip(cases.items(), ran[::2], ran[1::2]):
        last = worker.stderr.splitlines()[-1]
        assert worker.returncode == STOPPED and "event=stopped" in last, "%s: %s" % (case, worker.stderr)
        assert why in last and what_to_do in last.partition("hint=")[2], "%s: %s" % (case, last)
        assert tool.returncode == STOPPED and why in tool.stderr, "%s: %s" % (case, tool.stderr)
        assert what_to_do in tool.stderr.partition("HINT: ")[2], "%s: %s" % (case, tool.stderr)
        assert SECRET[:7] not in worker.stderr + tool.stderr + tool.stdout


def test_expired_certificate_of_postgres(sites, postgres, authority):
    site = sites(partitions=1)
    settings = {"postgres": postgres.by_tls(authority, "secret", more="password=" + SECRET % "postgres")}

    def present(name):
        for end in ("pem", "key"):
            with open(postgres.folder / ("server." + end), "w") as file:
                file.write(Path(authority["%s.%s" % (name, end)]).read_text())
        site.db.execute("SELECT pg_reload_conf()")

    def refused():
        done = byunique.run(dict(site.settings, **settings), "init")
        return done.stderr if done.returncode != 0 else None

    present("expired")
    try:
        said = processes.wait_for(refused, "the expired certificate to be presented")
        assert "certificate verify failed" in said and "must not have expired" in said
    finally:
        present("server")
        processes.wait_for(lambda: not refused(), "the certificate to be good again")


def test_old_library_and_scram(site_with, kafka):
    """Debian 12's librdkafka is told from a wrong password."""
    site = site_with(**sasl(kafka, "sasl", "scram", "SCRAM-SHA-256", **{"kafka.sasl.password": SECRET % "scram"}))
    done = byunique.run(site.settings, "dead-letters", "list")
    if "there is no topic" in done.stderr:
        pytest.skip("this librdkafka is new enough")
    assert done.returncode == STOPPED and "SCRAM needs 2.6.1 or newer" in done.stderr


def test_refused_login_is_passing_when_the_secret_is_renewed(site_with, kafka, postgres, authority, secret_file):
    """With the secret in a file, a worker that was let in once waits for the new one; with any other, it ends."""
    def site_of(user, **more):
        site = site_with(**sasl(kafka, "sasl", user, **more)).init(schemas.PHONE)
        site.insert("Phone", "alice", PhoneNumber="1")
        site.running()
        return site

    files = {"kafka.sasl.password.file": secret_file(USERS["renewed"], "kafka"),
             "postgres": postgres.by_tls(authority, "secret", more="options='-c role=byunique'"),
             "postgres.password.file": secret_file(SECRET % "postgres", "postgres")}
    renewed = site_of("renewed", **files)
    given = site_of("given", **{"kafka.sasl.password": USERS["given"]})
    worker = renewed.workers[0]

    # PostgreSQL first, with Kafka as it was.
    seen = postgres.log.stat().st_size
    renewed.db.execute("ALTER ROLE secret PASSWORD '%s'" % (SECRET % "newer"))
    renewed.db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'secret'")
    sent = renewed.send(phone())
    processes.wait_for(lambda: b"password authentication failed" in postgres.log.read_bytes()[seen:], "a refused login")
    secret_file(SECRET % "newer", "postgres")
    assert renewed.results_of(sent)[0].status == 204

    kafka.kill()
    kafka.set_password("renewed", SECRET % "newer")
    kafka.set_password("given", SECRET % "newer")
    kafka.start()
    assert given.workers[0].wait(60) == STOPPED
    assert "Invalid username or password" in given.workers[0].log
    worker.wait_log("event=session_ended .*Invalid username or password", timeout_s=60)
    Path(files["kafka.sasl.password.file"]).unlink()  # a moment without any: nothing to end for
    worker.wait_log("event=session_ended .*kafka.sasl.password.file: the file can't be read", timeout_s=60)
    secret_file(SECRET % "newer", "kafka")
    assert renewed.answers(phone())[0].status == 204
    renewed.stop()
    assert SECRET[:7] not in worker.log + given.workers[0].log
    renewed.db.execute("ALTER ROLE secret PASSWORD '%s'" % (SECRET % "postgres"))


# --- rights in Kafka --------------------------------------------------------------------------------------------------------

PAGE = ROOT / "SECURITY.md"
RESOURCES = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP,
             "--transactional-id": ResourceType.TRANSACTIONAL_ID, "--cluster": ResourceType.BROKER}


def commands_of(page, program):
    """The commands that the page shows, each as a list of words."""
    text = page.read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.startswith("    %s " % program)]


def shown_rights(site):
    """What SECURITY.md grants, for this installation's names → {principal: [AclBinding]}."""
    names = {"byunique.commands": site.commands, "byunique.results": site.results,
             "byunique.dead-letters": site.dead_letters, "byunique": site.group,
             "byunique-byunique-": "byunique-%s-" % site.group}
    out = {}
    for _, *words in commands_of(PAGE, "kafka-acls"):
        assert words[:4] == ["--bootstrap-server", "kafka:9092", "--command-config", "admin.properties"]
        assert words[4] == "--add"
        given = list(zip(words[5::2], words[6::2]))
        principal, = (value for name, value in given if name == "--allow-principal")
        pattern = ResourcePatternType.PREFIXED if ("--resource-pattern-type", "prefixed") in given else \
            ResourcePatternType.LITERAL
        operations = [value for name, value in given if name == "--operation"]
        for name, value in given:
            if name in RESOURCES:
                out.setdefault(principal, []).extend(AclBinding(
                    RESOURCES[name], names[value], pattern, principal, "*", AclOperation[re.sub(
                        "(?<=[a-z])(?=[A-Z])", "_", operation).upper()], AclPermissionType.ALLOW) for operation in operations)
    return out


class Rights:
    """Grants and revokes, and waits until the broker knows."""

    def __init__(self, kafka):
        self.kafka = kafka
        self.admin = AdminClient({"bootstrap.servers": kafka.servers, "log_level": 0})

    @staticmethod
    def _filter(acl):
        return confluent_kafka.admin.AclBindingFilter(acl.restype, acl.name, acl.resource_pattern_type, acl.principal,
                                                      acl.host, acl.operation, acl.permission_type)

    def _settle(self, acls, there):
        for acl in acls:
            processes.wait_for(lambda: bool(self.admin.describe_acls(self._filter(acl)).result()) == there, "an ACL")

    def grant(self, acls):
        for answer in self.admin.create_acls(acls).values():
            answer.result()
        self._settle(acls, True)

    def revoke(self, acls):
        for answer in self.admin.delete_acls([self._filter(acl) for acl in acls]).values():
            answer.result()
        self._settle(acls, False)


@pytest.fixture
def guarded(sites, kafka):
    """An installation whose worker and operator have the rights that SECURITY.md gives them, and none else."""
    site = sites(partitions=1).init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.rights = Rights(kafka)
    shown = shown_rights(site)
    assert set(shown) == {"User:byunique", "User:operator"}
    site.of_worker, site.of_operator = shown["User:byunique"], shown["User:operator"]
    site.rights.grant(site.of_worker + site.of_operator)
    site.settings.update(sasl(kafka, "sasl", "byunique", **{"kafka.sasl.password": USERS["byunique"]}))
    yield site
    site.rights.revoke(site.of_worker + site.of_operator)


def some_of_each(site):
    sent = site.send(phone(), phone(command_id="no id"))
    return sent + site.sender.send([Message(0, b"k", b"garbage", [])])


def test_least_rights_in_kafka(guarded, kafka, tmp_path):
    """All programs work with what SECURITY.md lists."""
    guarded.worker()
    assert [result.status for result in guarded.results_of(some_of_each(guarded))] == [204, 400, 400]
    guarded.stop()
    assert "topic_settings_unknown" not in guarded.workers[0].log
    operator = dict(guarded.settings, **{"kafka.sasl.username": "operator", "kafka.sasl.password": USERS["operator"]})
    (tmp_path / "b.csv").write_text("customer_id,PhoneNumber,description\nalice,1,new\n")
    byunique.must(operator, "init")
    byunique.must(operator, "submit", str(tmp_path / "b.csv"), "--extension", "Phone")
    for command in (["results"], ["status"], ["audit"], ["dead-letters", "list"], ["replay", "apply"],
                    ["replay", "results", "--from", "beginning", "--yes"], ["replay", "failed", "--all", "--yes"],
                    ["replay", "again", "--from", "beginning", "--to", "offset:3", "--yes"],
                    ["dead-letters", "resubmit", "--all", "--yes"]):
        byunique.must(operator, *command)
    guarded.worker()
    guarded.wait_results(3 + 3 + 1 + 2 + 1)
    guarded.stop()


def test_rights_to_make_topics(guarded, sites):
    """`init` needs Create, and says for which topic."""
    fresh = sites(partitions=1)
    fresh.settings.update({key: value for key, value in guarded.settings.items() if key.startswith("kafka.")})
    fresh.settings.update({"kafka.sasl.username": "operator", "kafka.sasl.password": USERS["operator"]})

    def of(operation):
        return [AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:operator", "*", operation,
                           AclPermissionType.ALLOW) for topic in (fresh.commands, fresh.results, fresh.dead_letters)]

    guarded.rights.grant(of(AclOperation.READ))
    done = byunique.run(fresh.settings, "init", "--partitions", "1")
    assert done.returncode == STOPPED and "can't create the topic \"%s\"" % fresh.commands in done.stderr
    assert "AUTHORIZATION_FAILED" in done.stderr and "SECURITY.md" in done.stderr
    guarded.rights.grant(of(AclOperation.CREATE))
    byunique.must(fresh.settings, "init", "--partitions", "1")
    guarded.rights.revoke(of(AclOperation.READ) + of(AclOperation.CREATE))


def test_each_right_is_needed_and_named(guarded):
    """A worker without one of them says which, and ends; without the right to describe settings it goes on."""
    named = {ResourceType.TRANSACTIONAL_ID: "byunique-%s-" % guarded.group}
    for acl in guarded.of_worker:
        guarded.rights.revoke([acl])
        worker = guarded.worker()
        sent = some_of_each(guarded)
        if acl.operation == AclOperation.DESCRIBE_CONFIGS:
            guarded.results_of(sent)
            assert "event=topic_settings_unknown topic=%s " % acl.name in worker.log
            guarded.stop()
        else:
            assert worker.wait(60) == STOPPED, acl
            last = worker.log.splitlines()[-1]
            assert "event=stopped" in last and named.get(acl.restype, acl.name) in last, "%s: %s" % (acl, last)
        guarded.rights.grant([acl])


def test_writing_is_needed_beside_describing(guarded):
    """A topic that is seen, but may not be written to, shows up in the middle of a transaction."""
    for topic in (guarded.results, guarded.dead_letters):
        write, = (acl for acl in guarded.of_worker if acl.name == topic and acl.operation == AclOperation.WRITE)
        describe = AclBinding(write.restype, topic, write.resource_pattern_type, write.principal, "*",
                              AclOperation.DESCRIBE, AclPermissionType.ALLOW)
        guarded.rights.grant([describe])
        guarded.rights.revoke([write])
        worker = guarded.worker()
        some_of_each(guarded)
        assert worker.wait(60) == STOPPED
        assert topic in worker.log.splitlines()[-1].partition("hint=")[2]
        assert "_STATE" not in worker.log  # the cause, not what came of it
        guarded.rights.grant([write])
        guarded.rights.revoke([describe])


# --- rights in PostgreSQL -----------------------------------------------------------------------------------------------------


@pytest.fixture
def owned(sites, postgres):
    """An installation with roles: the database's owner makes them; `hand` is a worker, `eye` a reader."""
    site = sites(partitions=1)
    site.settings["postgres.roles"] = site.schema
    site.db.execute("ALTER ROLE byunique CREATEROLE")
    site.init(schemas.PHONE)
    site.db.execute("ALTER ROLE byunique NOCREATEROLE")
    for user, role in (("hand", "worker"), ("eye", "reader")):
        site.db.execute("CREATE ROLE %s LOGIN IN ROLE %s_%s" % (user, site.schema, role))
    site.insert("Phone", "alice", PhoneNumber="1")
    yield site
    site.close()
    with postgres.connect() as connection:
        connection.execute("DROP ROLE hand, eye")


def as_user(site, user):
    return dict(site.settings, postgres=site.postgres.conninfo(user=user))


def assert_refused(site, user, *statements):
    with site.postgres.connect(user=user) as connection:
        connection.execute("SET search_path = " + site.schema)
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


SINGLE = {"name": "Note", "type": "multi-valued", "unique": ["number"],
          "attributes": [{"name": "number", "type": "integer", "mandatory": True}, {"name": "text", "type": "string"}]}


def test_roles_are_enough(owned, tmp_path):
    """A worker and a reader do all that is theirs, over an upgrade and with extensions made later, too."""
    owned.apply(SINGLE)
    assert "roles %s_worker, %s_reader" % (owned.schema, owned.schema) in byunique.must(owned.settings, "init")
    roles = byunique.must(owned.settings, "init", "--json")
    assert '"roles": ["%s_worker", "%s_reader"]' % (owned.schema, owned.schema) in roles
    owned.insert("Note", "alice", number=1)
    short = {"idempotency.retention": "1s", "outcome.retention": "1s"}
    worker = owned.worker(postgres=as_user(owned, "hand")["postgres"], **short,
                          **{"postgres.require.least.privilege": "true"})
    note = Command(new_id(), "alice", "Note", (("number", "int", 1), ("text", "string", "x")))
    sent = owned.send(phone(), note, phone(("PhoneNumber", "string", "2")), phone(command_id="no id"))
    assert [result.status for result in owned.results_of(sent)] == [204, 204, 404, 400]
    assert "needless_rights" not in worker.log

    reader = as_user(owned, "eye")
    (tmp_path / "b.csv").write_text("customer_id,PhoneNumber,description\nalice,1,new\n")
    for command in (["status"], ["audit"], ["results"], ["schema", "list"], ["dead-letters", "list"],
                    ["replay", "apply"], ["submit", str(tmp_path / "b.csv"), "--extension", "Phone"]):
        byunique.must(reader, *command)
    owned.wait_results(5)
    processes.wait_for(lambda: owned.db.execute("SELECT count(*) FROM outcome").fetchone() == (0,),
                       "housekeeping by the worker's role", alive=worker.process)
    owned.stop()
    owned.settings.update({"idempotency.retention": "1s", "outcome.retention": "1s"})
    byunique.must(as_user(owned, "eye"), "replay", "results", "--from", "beginning", "--yes")
    owned.worker(postgres=as_user(owned, "hand")["postgres"])
    assert {result.status for result in owned.wait_results(10)[5:]} == {410}
    owned.stop()


def test_roles_have_nothing_else(owned, tmp_path):
    assert_refused(owned, "hand", "DROP TABLE outcome", "ALTER TABLE ext_phone ADD COLUMN more text", "CREATE TABLE t ()",
                   "INSERT INTO extension (name, type) VALUES ('X', 'classifier')", "UPDATE attribute SET length = 1",
                   "UPDATE state SET catalogue_version = 9", "UPDATE installation SET id = gen_random_uuid()",
                   "INSERT INTO migration VALUES (9)", "INSERT INTO profile VALUES ('x')", "DELETE FROM profile",
                   "INSERT INTO ext_phone (customer_id, phonenumber) VALUES ('x', '1')", "DELETE FROM ext_phone",
                   "TRUNCATE outcome", "UPDATE outcome SET encoding = 1", "UPDATE refusal SET code = 1",
                   "DELETE FROM position", "DROP SCHEMA %s CASCADE" % owned.schema)
    assert_refused(owned, "eye", "SELECT * FROM ext_phone", "SELECT * FROM profile", "UPDATE position SET next_offset = 0",
                   "INSERT INTO refusal VALUES (1, 1, 1)", "DELETE FROM outcome", "DELETE FROM refusal",
                   "UPDATE state SET catalogue_version = 9", "SELECT FROM position FOR UPDATE", "CREATE TABLE t ()")
    (tmp_path / "b.csv").write_text("customer_id,PhoneNumber\nalice,2\n")
    (tmp_path / "n.json").write_text('{"name": "N", "type": "classifier", "attributes": [{"name": "a", "type": "string"}]}')
    for user, command in (("eye", ["run"]), ("hand", ["load", "Phone", str(tmp_path / "b.csv")]),
                          ("hand", ["schema", "apply", str(tmp_path / "n.json")])):
        done = byunique.run(as_user(owned, user), *command)
        assert done.returncode == STOPPED and "permission denied" in done.stderr and "postgres.roles" in done.stderr, done.stderr


def test_who_may_not_create_roles(sites, postgres):
    """It says what to ask for, and takes roles that are there."""
    site = sites(partitions=1)
    site.settings["postgres.roles"] = "Ro le\"s_%s" % site.schema
    done = byunique.run(site.settings, "init")
    assert done.returncode == STOPPED and "can't create the role" in done.stderr and "NOLOGIN" in done.stderr
    for kind in ("worker", "reader"):
        site.db.execute('CREATE ROLE "Ro le""s_%s_%s" NOLOGIN' % (site.schema, kind))
    byunique.must(site.settings, "init")
    assert site.db.execute("SELECT has_table_privilege(%s, 'position', 'UPDATE')", [
        'Ro le"s_%s_worker' % site.schema]).fetchone() == (True,)


def test_needless_rights(sites, postgres):
    """They are told once, and refused if that is asked for."""
    site = sites(partitions=1).init(schemas.PHONE)
    worker = site.running()
    warned = [line for line in worker.log.splitlines() if "event=needless_rights" in line]
    assert len(warned) == 1 and "level=warn" in warned[0] and "role=byunique" in warned[0]
    for right in ("owns the database", "owns the schema", "owns tables", "may change the catalogue", "may insert or delete"):
        assert right in warned[0]
    site.stop()
    for user, right in (("byunique", "owns tables"), ("postgres", "it is a superuser")):
        settings = dict(as_user(site, user), **{"postgres.require.least.privilege": "true"})
        done = byunique.run(settings, "run")
        assert done.returncode == STOPPED and "may do more than a worker needs" in done.stderr and right in done.stderr
    done = byunique.run(dict(site.settings, **{"postgres.require.least.privilege": "maybe"}), "run")
    assert done.returncode == USAGE and "true or false" in done.stderr


def test_roles_as_the_page_makes_them(sites, postgres, kafka):
    """The statements of SECURITY.md, one after the other, with the programs in between."""
    page = PAGE.read_text()
    statements = re.findall("^    (CREATE .*?;)", page, re.MULTILINE)
    assert len(statements) == 4 and page.count("    byunique -c owner.conf init\n") == 1
    site = sites(partitions=1)
    made = "byunique_owner", "byunique_worker", "byunique_reader", "worker", "alice"

    def user(name):
        return dict(site.settings, postgres=postgres.conninfo(user=name, dbname="crm"), **{"postgres.roles": "byunique"})

    with postgres.connect(dbname="postgres") as connection:
        try:
            for statement in statements[:2]:
                connection.execute(statement)
            byunique.must(user("byunique_owner"), "init", "--partitions", "1")
            for statement in statements[2:]:
                connection.execute(statement)
            worker = site.worker(**dict(user("worker"), **{"postgres.require.least.privilege": "true"}))
            site.wait_assigned(worker)
            assert worker.stop() == 0
            assert site.group in byunique.must(user("alice"), "status", "--json")
        finally:
            connection.execute("DROP DATABASE IF EXISTS crm WITH (FORCE)")
            for name in made:
                connection.execute("DROP ROLE IF EXISTS " + name)


# --- secrets --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings, says", [
    ({"kafka.sasl.password.file": "/nonexistent"}, "kafka.sasl.password.file: the file can't be read"),
    ({"postgres.password.file": "/nonexistent"}, "postgres.password.file: the file can't be read"),
    ({"postgres.password.file": "{open}"}, "may be written to by others"),
    ({"kafka.ssl.key.password.file": "{open}"}, "may be written to by others"),
    ({"schema.registry.url": "http://127.0.0.1:1", "schema.registry.token.file": "{open}"}, "may be written to by others"),
    ({"postgres.password": SECRET, "postgres.password.file": "{closed}"}, "either the password or its file"),
    ({"postgres.password.file": "{closed}", "postgres": "password=" + WRONG}, "in `postgres` as well"),
    ({"postgres": "postgresql://u:%s@x@127.0.0.1:1/x" % WRONG}, "more than one way"),
    ({"postgres": "postgresql://u:%s/x@127.0.0.1:1/x" % WRONG}, "more than one way"),
    ({"postgres": "postgresql://u:1/%s@127.0.0.1/x" % WRONG}, "more than one way"),
    ({"postgres": "host=127.0.0.1 password=a %s" % WRONG}, "not a valid libpq connection string"),
    ({"postgres": "host=127.0.0.1 password='%s" % WRONG}, "not a valid libpq connection string"),
    ({"postgres": "postgresql://u:%%zz%s@127.0.0.1:1/x" % WRONG}, "not a valid libpq connection string")])
def test_wrong_secrets(site, secret_file, settings, says):
    files = {"open": secret_file(SECRET, "open", 0o666), "closed": secret_file(SECRET, "closed")}
    settings = {key: value.replace("{open}", files["open"]).replace("{closed}", files["closed"])
                for key, value in settings.items()}
    done = byunique.run(dict(site.settings, **settings), "run")
    assert done.returncode == USAGE and says in done.stderr, done.stderr
    assert SECRET[:7] not in done.stderr + done.stdout


def test_readable_secret_is_told(site, secret_file, postgres):
    settings = dict(site.settings, **{"postgres.password.file": secret_file("x", "p", 0o644),
                                      "kafka.sasl.password.file": secret_file("x", "k", 0o604)})
    log = byunique.run(settings, "run").stderr  # there was no init
    assert log.count("event=secret_readable") == 2 and "key=postgres.password.file" in log


def programs(folder):
    rows = folder / "rows.csv"
    rows.write_text("customer_id,PhoneNumber,description\nalice,1,new\n")
    schema = ROOT / "schemas/examples/phone.json"
    return [["init", "--partitions", "1"], ["schema", "apply", str(schema)], ["schema", "list"], ["schema", "show", "Phone"],
            ["load", "Phone", str(rows)], ["submit", str(rows), "--extension", "Phone", "--batch", "b"],
            ["results", "--json"], ["audit"], ["status", "--json"], ["dead-letters", "list"],
            ["dead-letters", "show", "0:0"], ["dead-letters", "resubmit", "--all", "--yes"], ["replay", "apply"],
            ["replay", "results", "--from", "beginning", "--yes"], ["replay", "failed", "--all", "--yes"],
            ["replay", "again", "--from", "beginning", "--to", "end", "--yes"],
            ["replay", "adopt", "--group", "--yes"], ["help", "config"]]


def test_secrets_are_told_nowhere(site_with, kafka, postgres, authority, tmp_path):
    """Every program, with all there is to be logged, let in and refused: no secret in its output, log, metrics or status."""
    secrets = {"kafka.sasl.password": USERS["plain"], "kafka.ssl.key.password": SECRET % "key",
               "kafka.sasl.oauthbearer.config": "x=" + SECRET % "bearer", "postgres.password": SECRET % "postgres",
               "schema.registry.user": "u", "schema.registry.password": SECRET % "registry"}
    site = site_with(**sasl(kafka, "sasl_ssl", "plain", **dict(secrets, **{
        "kafka.ssl.ca.location": authority["ca.pem"], "kafka.debug": "all", "log.level": "debug",
        "kafka.ssl.certificate.location": authority["certified.pem"],
        "kafka.ssl.key.location": authority["certified.locked.key"],
        "postgres": postgres.by_tls(authority, "secret", more="options='-c role=byunique'")})))
    good = dict(site.settings)
    first = [byunique.run(good, *command) for command in programs(tmp_path)[:5]]
    worker = site.worker(**admin.LISTEN)
    site.wait_assigned(worker)
    client = admin.AdminClient(worker)
    client.wait_health("/readyz", 200)
    pages = "".join(client.get(page) for page in ("/metrics", "/readyz", "/status.json", "/"))
    assert "byunique_" in pages
    assert SECRET[:7] not in Path("/proc/%d/cmdline" % worker.process.pid).read_text()
    assert worker.stop() == 0
    bad = dict(good, **{"kafka.sasl.password": WRONG, "kafka.ssl.key.password": WRONG,
                        "postgres.password": WRONG})
    half = dict(good, **{"kafka.sasl.password": WRONG})
    url = dict(good, **{"postgres.password": "", "postgres": "postgresql://secret:%s@127.0.0.1:%d/byunique" % (
        WRONG, postgres.port)})
    missing = dict(good, **{"schema.registry.url": "http://u:%s@127.0.0.1:1" % WRONG, "schema.registry.password": "",
                            "schema.registry.user": ""})
    cases = [(good, command) for command in programs(tmp_path)[5:]]
    cases += [(bad, command) for command in programs(tmp_path)] + [(half, ["run"]), (half, ["results"]), (url, ["run"])]
    cases += [(missing, ["submit", str(tmp_path / "rows.csv"), "--extension", "Phone"])]
    done = first
    while cases:
        done += together([lambda case=case: byunique.run(case[0], *case[1]) for case in cases[:6]])
        cases = cases[6:]
    everything = pages + worker.log + "".join(each.stdout + each.stderr for each in done)
    assert "Client configuration" in worker.log and "sasl.password = [redacted]" in worker.log
    assert {each.returncode for each in done} >= {0, 1}
    found = [line for line in everything.splitlines() if SECRET[:7] in line]
    assert not found, found[:3]
