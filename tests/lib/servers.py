"""A throw-away PostgreSQL cluster and a throw-away Apache Kafka broker.

Both live in a temporary folder, listen on free loopback ports and end with the tests. PostgreSQL's main process is
started directly, not by pg_ctl: then it is our child, and the signals that pg_ctl would send are ours to send.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from lib import processes, relay

ROOT = Path(__file__).resolve().parents[2]
KAFKA_JARS = ROOT / "build" / "kafka"
KAFKA_CONFIG = Path(__file__).resolve().parent / "kafka"


def postgres_bin():
    """The folder of initdb and postgres: Debian keeps them out of PATH."""
    candidates = []
    found = shutil.which("initdb")
    if found:
        candidates.append(Path(found).resolve().parent)
    if shutil.which("pg_config"):
        out = subprocess.run(["pg_config", "--bindir"], stdout=subprocess.PIPE, check=True, text=True).stdout
        candidates.append(Path(out.strip()))
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name))
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise RuntimeError("PostgreSQL's initdb was not found: install the package postgresql")


def unprivileged():
    """Popen options that run a program as another user where we are root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is no user to run it as")


class Postgres:
    """One cluster. Superuser `postgres` by trust; `guarded` needs its password; the worker's own role is `byunique`."""

    PASSWORD = "correct-horse"
    SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 50
shared_buffers = 64MB
fsync = off
full_page_writes = off
timezone = 'UTC'
log_min_messages = warning
"""
    ACCESS = """
local all all trust
host all guarded 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
    SESSIONS = r"""
SELECT format('%s %s %s %s, blocked by %s, since %s: %s', pid, usename, state, concat_ws(' ', wait_event_type, wait_event),
              pg_blocking_pids(pid), query_start, left(regexp_replace(query, '\s+', ' ', 'g'), 200))
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid"""

    def __init__(self, more_settings=""):
        self.more_settings = more_settings
        self.folder = Path(tempfile.mkdtemp(prefix="byunique-pg-"))
        self.port = processes.free_port()
        self.log = self.folder / "log"
        self.process = None
        self.relay = relay.Relay(self.port, relay.PostgresTap)
        self.as_user = unprivileged()
        if self.as_user:
            os.chown(self.folder, self.as_user["user"], self.as_user["group"])

    def create(self):
        data = self.folder / "data"
        subprocess.run([str(postgres_bin() / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C", "--no-sync"], check=True, stdout=subprocess.DEVNULL, cwd="/",
                       env=processes.environment(), **self.as_user)
        with open(data / "postgresql.conf", "a") as file:
            file.write(self.SETTINGS + self.more_settings)
            file.write("port = %d\nunix_socket_directories = '%s'\n" % (self.port, self.folder))
        (data / "pg_hba.conf").write_text(self.ACCESS)
        self.start()
        with self.connect(dbname="postgres") as connection:
            connection.execute("CREATE ROLE byunique LOGIN")
            connection.execute("CREATE ROLE guarded LOGIN PASSWORD '%s'" % self.PASSWORD)
            connection.execute("CREATE DATABASE byunique OWNER byunique")
        self.relay.open()
        return self

    def start(self):
        self.process = processes.start([str(postgres_bin() / "postgres"), "-D", str(self.folder / "data")], self.log,
                                       death_signal=signal.SIGINT, cwd="/", env=processes.environment(), **self.as_user)
        try:
            processes.wait_for(self._answers, "PostgreSQL", alive=self.process)
        except BaseException:
            print(processes.tail(self.log))
            self.stop()
            raise

    def stop(self, sig=signal.SIGINT):
        """SIGINT is pg_ctl's `fast`, SIGQUIT its `immediate`: as if the power had failed."""
        processes.stop(self.process, sig)
        self.process = None

    def restart(self, sig=signal.SIGQUIT):
        self.stop(sig)
        self.start()

    def back_up(self):
        """A copy of all files, at rest."""
        self.stop()
        self._copy("data", "backup")
        self.start()

    def restore(self):
        """All is as it was at back_up(), whatever happened since."""
        self.stop(signal.SIGQUIT)
        self._copy("backup", "data")
        self.start()

    def _copy(self, source, target):
        shutil.rmtree(self.folder / target, ignore_errors=True)
        subprocess.run(["cp", "-a", str(self.folder / source), str(self.folder / target)], check=True)

    def freeze(self):
        """All of it stands still; the kernel goes on taking connections for it."""
        for pid in [self.process.pid] + processes.children(self.process.pid):
            self._signal(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in processes.children(self.process.pid) + [self.process.pid]:
            self._signal(pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass  # a session that has just ended

    def destroy(self):
        self.relay.close()
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self):
        try:
            self.connect(dbname="postgres").close()
            return True
        except psycopg.OperationalError:
            return False

    def conninfo(self, user="byunique", dbname="byunique"):
        return "host=127.0.0.1 port=%d user=%s dbname=%s" % (self.port, user, dbname)

    @property
    def relayed(self):
        """The worker's connection string, by way of the relay."""
        return "host=127.0.0.1 port=%d user=byunique dbname=byunique" % self.relay.port

    def connect(self, user="postgres", dbname="byunique"):
        return psycopg.connect(self.conninfo(user, dbname), autocommit=True, connect_timeout=5)

    def sessions(self):
        """What each session does, for the report of a failure."""
        try:
            with self.connect() as connection:
                return "\n".join(text for [text] in connection.execute(self.SESSIONS))
        except Exception as error:  # whatever it is, it must not take the place of what failed
            return "(%s)" % error


class PgBouncer:
    """A pooler in front of a Postgres, for the role `byunique`."""

    SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
"""

    def __init__(self, postgres, mode, size=10):
        self.folder = Path(tempfile.mkdtemp(prefix="byunique-bouncer-"))
        self.port = processes.free_port()
        (self.folder / "users").write_text('"byunique" ""\n"postgres" ""\n')
        (self.folder / "ini").write_text(self.SETTINGS.format(server=postgres.port, port=self.port, folder=self.folder,
                                                              mode=mode, size=size))
        os.chmod(self.folder, 0o755)
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        self.process = processes.start([program, str(self.folder / "ini")], self.folder / "log", cwd="/",
                                       env=processes.environment(), **unprivileged())
        processes.wait_for(self._answers, "pgbouncer", alive=self.process)

    def conninfo(self):
        return "host=127.0.0.1 port=%d user=byunique dbname=byunique" % self.port

    def _answers(self):
        try:
            psycopg.connect(self.conninfo(), connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False

    def destroy(self):
        processes.stop(self.process, signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)


class Kafka:
    """One broker that is its own controller (KRaft). Clients that bootstrap by `relayed` are told to come back by way of the
    relay, for whatever they want."""

    SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},RELAYED://127.0.0.1:{behind},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},RELAYED://127.0.0.1:{relay}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A transaction whose worker is gone for good is aborted soon after its time-out, not up to ten seconds later.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
"""
    CLUSTER_ID = "byunique-tests-cluster"
    JAVA = ["-Xmx512m", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

    def __init__(self, settings=""):
        """settings: lines that are added to the broker's own."""
        self.settings = self.SETTINGS + settings
        self.folder = Path(tempfile.mkdtemp(prefix="byunique-kafka-"))
        self.port = processes.free_port()
        self.relay = relay.Relay(processes.free_port(), relay.KafkaTap)
        self.log = self.folder / "log"
        self.properties = self.folder / "server.properties"
        self.process = None

    @property
    def servers(self):
        return "127.0.0.1:%d" % self.port

    @property
    def relayed(self):
        return "127.0.0.1:%d" % self.relay.port

    def _java(self, main, *arguments):
        config = "-Dlog4j2.configurationFile=%s" % (KAFKA_CONFIG / "log4j2.properties")
        return ["java"] + self.JAVA + [config, "-cp", str(KAFKA_JARS / "*"), main] + list(arguments)

    def create(self):
        self.properties.write_text(self.settings.format(
            port=self.port, behind=self.relay.target_port, relay=self.relay.port, folder=self.folder,
            controller=processes.free_port()))
        done = subprocess.run(self._java("kafka.tools.StorageTool", "format", "--config", str(self.properties),
                                         "--cluster-id", self.CLUSTER_ID),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/")
        if done.returncode != 0:
            raise RuntimeError("Kafka's storage could not be formatted: %s" % done.stdout)
        self.start()
        processes.wait_for(self._coordinates, "Kafka's group coordinator", timeout_s=60, alive=self.process)
        self.relay.open()
        return self

    def start(self):
        self.process = processes.start(self._java("kafka.Kafka", str(self.properties)), self.log, cwd="/")
        try:
            processes.wait_for(self._answers, "Kafka", timeout_s=60, alive=self.process)
        except BaseException:
            print(processes.tail(self.log))
            processes.stop(self.process, signal.SIGKILL)
            raise

    def kill(self):
        """As if the machine had lost power; start() brings it back."""
        processes.stop(self.process, signal.SIGKILL)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def destroy(self):
        self.relay.close()
        self.kill()  # nothing of it is needed any more
        shutil.rmtree(self.folder, ignore_errors=True)

    def _coordinates(self):
        """The first question makes the broker create and load its offsets; until then it refuses others."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "first", "log_level": 0})
        try:
            consumer.committed([TopicPartition("any", 0)], timeout=2)
            return True
        except KafkaException:
            return False
        finally:
            consumer.close()

    def _answers(self):
        try:
            admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0, "socket.timeout.ms": 2000})
            return bool(admin.list_topics(timeout=1).brokers)
        except Exception:  # whatever the client says before the broker is there
            return False
