"""The relay does to a connection what it is told, and knows the messages that a trap waits for."""

import socket
import socketserver
import struct
import threading

import pytest

from lib.processes import wait_for
from lib.relay import KafkaTap, PlainTap, PostgresTap, Relay, Trap


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            try:
                data = self.request.recv(1000)
                self.request.sendall(data or b"bye")
            except OSError:
                return
            if not data:
                return


@pytest.fixture
def relay():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    relay = Relay(server.server_address[1]).open()
    yield relay
    relay.close()
    server.shutdown()
    server.server_close()


def connect(relay, timeout_s=10):
    return socket.create_connection(("127.0.0.1", relay.port), timeout_s)


def asks(client, data):
    client.sendall(data)
    return client.recv(1000)


def is_reset(client):
    try:
        return client.recv(1000) == b""
    except ConnectionError:
        return True


def test_forwards_and_cuts(relay):
    one, other = connect(relay), connect(relay)
    assert (asks(one, b"a"), asks(other, b"b")) == (b"a", b"b")
    relay.cut()
    assert is_reset(one) and is_reset(other)
    assert asks(connect(relay), b"c") == b"c"


def test_stalls_and_goes_on(relay):
    client = connect(relay, timeout_s=1)
    relay.stall()
    client.sendall(b"a")
    with pytest.raises(socket.timeout):
        client.recv(10)
    late = connect(relay)  # accepted all the same
    relay.go_on()
    client.settimeout(10)
    assert client.recv(10) == b"a"
    assert asks(late, b"b") == b"b"


def test_a_stalled_connection_can_be_cut(relay):
    client = connect(relay)
    relay.stall()
    client.sendall(b"a")
    wait_for(lambda: relay.connections, "the connection")
    relay.cut()
    assert is_reset(client)


def test_refuses_and_accepts(relay):
    client = connect(relay)
    assert asks(client, b"a") == b"a"
    relay.refuse()
    with pytest.raises(ConnectionRefusedError):
        connect(relay)
    assert asks(client, b"b") == b"b"
    relay.accept()
    assert asks(connect(relay), b"c") == b"c"


def test_half_closes(relay):
    client = connect(relay)
    assert asks(client, b"a") == b"a"
    relay.half_close(to_client=False)
    assert client.recv(1000) == b"bye", "the server was told that no more comes, and its answer passed"
    deaf = connect(relay)
    assert asks(deaf, b"a") == b"a"
    relay.half_close(to_client=True)
    assert deaf.recv(1000) == b""
    deaf.sendall(b"still heard, never answered")


def test_traps_lose_and_hold(relay):
    client = connect(relay)
    trap = relay.arm(Trap("reply", ""))
    client.sendall(b"a")
    assert is_reset(client) and trap.sprung.is_set()
    client, trap = connect(relay, timeout_s=1), relay.arm(Trap("request", "", hold=True))
    client.sendall(b"b")
    trap.wait()
    with pytest.raises(socket.timeout):
        client.recv(10)
    relay.disarm()
    assert client.recv(10) == b"b"
    relay.arm(Trap("request", "", keep_out=True))
    client.sendall(b"c")
    assert is_reset(client)
    with pytest.raises(ConnectionRefusedError):
        connect(relay)


def test_a_server_that_is_away():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        relay = Relay(nobody.getsockname()[1]).open()
        try:
            assert is_reset(connect(relay))
        except ConnectionResetError:
            pass  # so soon that connecting meets it
        relay.close()


# Protocols, byte for byte and in pieces.

def names(split, data):
    """As the bytes come one by one."""
    return [(kind, name) for at in range(len(data)) for kind, name, _ in split(data[at:at + 1]) if name]


def pg(kind, body):
    return kind + struct.pack(">i", len(body) + 4) + body


STARTUP = struct.pack(">ii", 8, 80877103) + struct.pack(">ii", 8, 80877104) + struct.pack(">ii", 14, 196608) + b"user\0\0"


def test_postgres_messages():
    tap = PostgresTap()
    assert tap.requests(STARTUP)[-1][2].endswith(b"user\0\0")
    assert [each[2] for each in tap.replies(b"NN" + pg(b"R", b"\0\0\0\0"))] == [b"N", b"N", pg(b"R", b"\0\0\0\0")]
    batch = [(b"s1", b"BEGIN ISOLATION"), (b"s2", b"INSERT INTO outcome (a)"), (b"s3", b"COMMIT\n")]
    asked = b"".join(pg(b"P", name + b"\0" + text + b"\0\0\0") + pg(b"B", b"\0" + name + b"\0rest") for name, text in batch)
    assert names(tap.requests, asked + pg(b"S", b"")) == [("request", "begin"), ("request", "insert"),
                                                         ("request", "COMMIT")]
    assert names(tap.replies, pg(b"C", b"BEGIN\0") + pg(b"C", b"COMMIT\0")) == [("reply", "begin"), ("reply", "COMMIT")]
    assert names(tap.requests, pg(b"Q", b"BEGIN\0") + pg(b"Q", b"COMMIT\0")) == [("request", "begin"),
                                                                                ("request", "commit")]


def kafka(api, version, correlation, body=b""):
    frame = struct.pack(">hhi", api, version, correlation) + body
    return struct.pack(">i", len(frame)) + frame


def test_kafka_messages():
    tap = KafkaTap()
    asked = kafka(3, 0, 7) + kafka(26, 1, 8, b"id\1") + kafka(26, 3, 9, b"id\1\0") + kafka(26, 1, 10, b"id\0")
    assert names(tap.requests, asked) == [("request", "3"), ("request", "EndTxn"), ("request", "EndTxn"),
                                          ("request", "abort")]
    answered = b"".join(struct.pack(">ii", 6, correlation) + b"xx" for correlation in (8, 7, 10, 9))
    assert names(tap.replies, answered) == [("reply", "EndTxn"), ("reply", "3"), ("reply", "abort"), ("reply", "EndTxn")]


def test_plain_bytes_pass_as_they_come():
    assert PlainTap().requests(b"ab") == [("request", "", b"ab")]
