"""The servers as they stand in a company: they want to know who comes, and say who they are."""

import os
import shutil

from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from lib import processes
from lib.servers import Kafka, Postgres


class SecureKafka(Kafka):
    """A broker with a listener for each way in, and ACLs. The plain one is the tests' own: whoever comes by it may do all.

    sasl: SASL_PLAINTEXT; sasl_ssl: SASL_SSL; mutual: SSL, with a certificate of the client; expired: SSL, with one of its own
    that is over. PLAIN knows the users given; SCRAM's are made by an administrator. A certificate's user is its subject.
    Who is `trusted` needs no ACL, as whoever comes without saying who he is."""

    LISTENERS = {"sasl": "SASL_PLAINTEXT", "sasl_ssl": "SASL_SSL", "mutual": "SSL", "expired": "SSL"}
    SECURITY = """
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users={trusted}
"""
    PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required %s;"
    SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"

    def __init__(self, authority, users, trusted=()):
        """authority: a certificates.Authority with the names `server` and `expired`; users: {name: password} of PLAIN."""
        super().__init__()
        self.users = dict(users)
        self.ports = {name: processes.free_port() for name in self.LISTENERS}
        inner = "PLAINTEXT://127.0.0.1:{port},RELAYED://127.0.0.1:{%s},"
        own = ",".join("%s://127.0.0.1:%d" % (name.upper(), port) for name, port in self.ports.items())
        self.settings += self.SECURITY.format(
            trusted=";".join("User:" + name for name in ("ANONYMOUS",) + tuple(trusted)),
            listeners=inner % "behind" + "CONTROLLER://127.0.0.1:{controller}," + own, advertised=inner % "relay" + own,
            protocols=",".join(["PLAINTEXT:PLAINTEXT,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT"] + [
                "%s:%s" % (name.upper(), protocol) for name, protocol in self.LISTENERS.items()]))
        known = " ".join('user_%s="%s"' % each for each in users.items())
        for name, protocol in self.LISTENERS.items():
            self.settings += self._listener(name, protocol, authority, known)

    def _listener(self, name, protocol, authority, known):
        lines = []
        if "SASL" in protocol:
            lines += ["plain.sasl.jaas.config=" + self.PLAIN % known, "scram-sha-256.sasl.jaas.config=" + self.SCRAM,
                      "scram-sha-512.sasl.jaas.config=" + self.SCRAM]
        if "SSL" in protocol:
            store = authority["%s.store.pem" % ("expired" if name == "expired" else "server")]
            lines += ["ssl.keystore.type=PEM", "ssl.keystore.location=" + store, "ssl.truststore.type=PEM",
                      "ssl.truststore.location=" + authority["ca.pem"]]
        if name == "mutual":
            lines += ["ssl.client.auth=required"]
        return "".join("listener.name.%s.%s\n" % (name, line) for line in lines)

    def set_password(self, user, password):
        """Of PLAIN. Known when the broker is started again."""
        text = self.properties.read_text()
        self.properties.write_text(text.replace('user_%s="%s"' % (user, self.users[user]), 'user_%s="%s"' % (user, password)))
        self.users[user] = password

    def add_scram_user(self, user, password):
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # one of a user at a time
            wanted = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 4096), password.encode())
            for answer in admin.alter_user_scram_credentials([wanted]).values():
                answer.result()

    def at(self, listener, host="127.0.0.1"):
        return "%s:%d" % (host, self.ports[listener])


class SecurePostgres(Postgres):
    """Over TCP: `certified` shows a certificate, `secret` and everybody in the role `remote` a password, both by TLS alone."""

    ACCESS = """
local all all trust
hostssl all certified 127.0.0.1/32 cert
hostnossl all certified 127.0.0.1/32 reject
hostssl all +remote 127.0.0.1/32 scram-sha-256
hostnossl all +remote 127.0.0.1/32 reject
host all all 127.0.0.1/32 trust
"""

    def __init__(self, authority):
        super().__init__()
        for file in ("server.pem", "server.key", "ca.pem"):
            path = self.folder / file
            shutil.copy(authority[file], path)
            os.chmod(path, 0o600)
            if self.as_user:
                os.chown(path, self.as_user["user"], self.as_user["group"])
        self.more_settings = "ssl = on\nssl_cert_file = '{0}/server.pem'\nssl_key_file = '{0}/server.key'\n" \
                             "ssl_ca_file = '{0}/ca.pem'\n".format(self.folder)

    def by_tls(self, authority, user, host="127.0.0.1", more=""):
        """The worker's connection string, sslmode=verify-full."""
        return "host=%s port=%d user=%s dbname=byunique sslmode=verify-full sslrootcert=%s %s" % (
            host, self.port, user, authority["ca.pem"], more)
