"""A TCP relay in front of a server. It cuts, stalls and half-closes connections, refuses new ones, and knows the protocol
well enough to meet one message in flight: a Trap loses or holds it, so that a reply gets lost with certainty."""

import socket
import struct
import threading

from lib import processes

BUFFER_BYTES = 65536
LOOK_S = 0.05


class Gone(Exception):
    """The connection was cut."""


class Trap:
    """Meets the first message of a kind ("request", "reply") and name. It goes no further: the connection is cut, or, with
    hold, the message and what follows it wait for release(). keep_out: from then on nobody gets through or in."""

    def __init__(self, kind, name, hold=False, keep_out=False):
        self.kind, self.name, self.hold, self.keep_out = kind, name, hold, keep_out
        self.sprung, self.released = threading.Event(), threading.Event()

    def release(self):
        self.released.set()

    def wait(self, timeout_s=60):
        """Wait until it has met its message."""
        assert self.sprung.wait(timeout_s), "no %s of %s passed by within %s s" % (self.kind, self.name, timeout_s)


# What passes by: a tap cuts each direction of one connection into messages, (kind, name, bytes).

class PlainTap:
    """Any protocol: what comes together is one message."""

    def requests(self, data):
        return [("request", "", data)]

    def replies(self, data):
        return [("reply", "", data)]


class Frames:
    """Bytes that come in pieces → whole frames. size(buffer) tells how long the first one is, None: not known yet."""

    def __init__(self):
        self.buffer = bytearray()

    def cut(self, data, size):
        self.buffer += data
        out = []
        while True:
            length = size(self.buffer)
            if length is None or len(self.buffer) < length:
                return out
            out.append(bytes(self.buffer[:length]))
            del self.buffer[:length]
            self.passed(out[-1])

    def passed(self, frame):
        """Called with each frame, before the next one is looked at."""


class PostgresTap(Frames):
    """PostgreSQL's protocol 3.0. A COMMIT is named so when its transaction stores outcomes: those of a batch, as opposed to
    those that claim partitions or do the housekeeping."""

    SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
    BATCH = "INSERT INTO outcome"

    def __init__(self):
        super().__init__()
        self.answers = Frames()
        self.started = False
        self.single_bytes = 0  # answers to requests for encryption are one byte each
        self.texts = {}        # prepared statement → its text
        self.transaction = []  # texts since BEGIN

    def requests(self, data):
        return [("request", self._name(self._text(frame)), frame) for frame in self.cut(data, self._request_size)]

    def replies(self, data):
        return [("reply", self._name(self._tag(frame)), frame) for frame in self.answers.cut(data, self._reply_size)]

    def _request_size(self, buffer):
        if not self.started:
            return int.from_bytes(buffer[:4], "big") if len(buffer) >= 4 else None
        return 1 + int.from_bytes(buffer[1:5], "big") if len(buffer) >= 5 else None

    def passed(self, frame):
        if self.started:
            return
        if int.from_bytes(frame[4:8], "big") in (self.SSL_REQUEST, self.GSS_REQUEST):
            self.single_bytes += 1
        else:
            self.started = True

    def _reply_size(self, buffer):
        if self.single_bytes and buffer:
            self.single_bytes -= 1
            return 1
        return 1 + int.from_bytes(buffer[1:5], "big") if len(buffer) >= 5 else None

    def _text(self, frame):
        """The SQL that the message runs, if it does."""
        kind, body = frame[:1], frame[5:]
        if kind == b"P":
            name, text = body.split(b"\0")[:2]
            self.texts[name] = text.decode(errors="replace").strip()
            return ""
        text = ""
        if kind == b"B":
            text = self.texts.get(body.split(b"\0")[1], "")
        elif kind == b"Q":
            text = body.rstrip(b"\0").decode(errors="replace").strip()
        if text.startswith("BEGIN"):
            self.transaction = []
        if text:
            self.transaction.append(text)
        return text

    @staticmethod
    def _tag(frame):
        return frame[5:].rstrip(b"\0").decode(errors="replace") if frame[:1] == b"C" else ""

    def _name(self, text):
        if text.startswith("COMMIT") and any(self.BATCH in each for each in self.transaction):
            return "COMMIT"
        return text.split(" ")[0].lower()


class KafkaTap(Frames):
    """Kafka's protocol. Requests have names where tests need them; an EndTxn that aborts is called "abort"."""

    NAMES = {22: "InitProducerId", 24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn", 28: "TxnOffsetCommit",
             0: "Produce"}

    def __init__(self):
        super().__init__()
        self.answers = Frames()
        self.asked = {}  # correlation id → name

    @staticmethod
    def _size(buffer):
        return 4 + int.from_bytes(buffer[:4], "big") if len(buffer) >= 4 else None

    def requests(self, data):
        out = []
        for frame in self.cut(data, self._size):
            api, version, correlation = struct.unpack(">hhi", frame[4:12])
            name = self.NAMES.get(api, str(api))
            if name == "EndTxn" and not frame[-1 if version < 3 else -2]:
                name = "abort"
            self.asked[correlation] = name
            out.append(("request", name, frame))
        return out

    def replies(self, data):
        return [("reply", self.asked.pop(int.from_bytes(frame[4:8], "big"), "?"), frame)
                for frame in self.answers.cut(data, self._size)]


class Connection:
    """One client's connection, and ours to the server."""

    def __init__(self, relay, client, server):
        self.relay, self.client, self.server = relay, client, server
        self.tap = relay.tap()
        self.is_cut = False
        self.closed_to = set()  # the sides that were told that no more comes
        for source, sink, split in ((client, server, self.tap.requests), (server, client, self.tap.replies)):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pump, args=(source, sink, split), daemon=True).start()

    def _pump(self, source, sink, split):
        try:
            while True:
                data = source.recv(BUFFER_BYTES)
                if not data:
                    break
                for kind, name, message in split(data):
                    self.relay.meet(self, kind, name)
                    self.relay.wait_flowing(self)
                    if sink not in self.closed_to:
                        sink.sendall(message)
            self._close_to(sink)
        except (OSError, Gone):
            self.cut()
        if {self.client, self.server} <= self.closed_to:
            self.cut()

    def _close_to(self, sink):
        self.closed_to.add(sink)
        sink.shutdown(socket.SHUT_WR)

    def half_close(self, to_client):
        """One side is told that no more comes; what it says itself still passes."""
        try:
            self._close_to(self.client if to_client else self.server)
        except OSError:
            self.cut()

    def cut(self):
        """Both sides see the connection reset."""
        self.is_cut = True
        self.relay.forget(self)
        for each in (self.client, self.server):
            try:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            except OSError:
                pass
            each.close()


class Relay:
    def __init__(self, target_port, tap=PlainTap):
        self.target_port, self.tap = target_port, tap
        self.port = processes.free_port()
        self.flowing = threading.Event()
        self.flowing.set()
        self.turn = threading.RLock()  # of what follows
        self.connections, self.trap, self.closed = set(), None, False
        self.listener, self.is_listening = None, False

    def open(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.settimeout(LOOK_S)
        self.accept()
        threading.Thread(target=self._accept_all, daemon=True).start()
        return self

    def close(self):
        if self.listener is None:
            return  # never opened
        self.closed = True
        self.heal()
        self.cut()
        self.listener.close()

    # Faults

    def cut(self):
        """Every connection is reset; new ones are welcome."""
        with self.turn:
            connections = list(self.connections)
        for each in connections:
            each.cut()

    def stall(self):
        """Connections are accepted, nothing is forwarded, until go_on()."""
        self.flowing.clear()

    def go_on(self):
        self.flowing.set()

    def half_close(self, to_client):
        with self.turn:
            connections = list(self.connections)
        for each in connections:
            each.half_close(to_client)

    def refuse(self):
        """Nobody listens any more, until accept(). The connections that there are stay, and so does the port ours."""
        with self.turn:
            if self.is_listening:
                self.listener.shutdown(socket.SHUT_RDWR)
            self.is_listening = False

    def accept(self):
        with self.turn:
            if not self.is_listening:
                self.listener.listen(64)
            self.is_listening = True

    def arm(self, trap):
        with self.turn:
            self.trap = trap
        return trap

    def disarm(self):
        """No trap any more; what one holds goes on."""
        with self.turn:
            trap, self.trap = self.trap, None
        if trap is not None:
            trap.release()

    def heal(self):
        """As if nothing had ever happened, but for connections that are gone."""
        self.disarm()
        self.go_on()
        self.accept()

    # The machinery

    def _accept_all(self):
        while not self.closed:
            try:
                self._connect(self.listener.accept()[0])
            except OSError:
                threading.Event().wait(LOOK_S)  # nobody came, or nobody is let in

    def _connect(self, client):
        client.settimeout(None)
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), 10)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            return
        server.settimeout(None)
        with self.turn:
            self.connections.add(Connection(self, client, server))

    def forget(self, connection):
        with self.turn:
            self.connections.discard(connection)

    def wait_flowing(self, connection):
        while not self.flowing.wait(LOOK_S):
            if connection.is_cut:
                raise Gone

    def meet(self, connection, kind, name):
        """A message is about to be forwarded. Raises Gone when it shall not be."""
        with self.turn:
            trap = self.trap
            if trap is None or trap.sprung.is_set() or (trap.kind, trap.name) != (kind, name):
                return
            if trap.keep_out:
                self.refuse()
            trap.sprung.set()
        if trap.hold:
            while not trap.released.wait(LOOK_S):
                if connection.is_cut:
                    raise Gone
            return
        if trap.keep_out:
            self.cut()
        raise Gone
