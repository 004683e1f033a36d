"""A schema registry with Confluent's REST API, in this process: ids and GUIDs, subjects, versions, references, the error
codes of the original; basic and bearer authentication, TLS; and everything that can go wrong with one."""

import base64
import json
import ssl
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from lib import processes

TYPE = "application/vnd.schemaregistry.v1+json"


class Refusal(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class Store:
    """What a registry keeps; outlives the servers that show it."""

    def __init__(self):
        self.schemas = []   # id - 1 → {"schema", "schemaType"?, "references"?, "guid"}
        self.subjects = {}  # subject → list of ids; a version is its place, from 1
        self.deleted = set()  # (subject, version), softly
        self.lock = threading.RLock()

    @staticmethod
    def _canonical(body):
        text = body["schema"]
        try:
            text = json.dumps(json.loads(text)) if body.get("schemaType", "AVRO") == "AVRO" else text
        except ValueError:
            raise Refusal(422, 42201, "Invalid schema")
        return text, body.get("schemaType", "AVRO"), json.dumps(body.get("references") or [])

    def _find(self, body):
        wanted = self._canonical(body)
        return next((number for number, known in enumerate(self.schemas, 1) if self._canonical(known) == wanted), None)

    def add(self, body):
        """A schema → its id."""
        with self.lock:
            number = self._find(body)
            if number is None:
                known = {"schema": body["schema"], "guid": str(uuid.uuid4())}
                known.update({key: body[key] for key in ("schemaType", "references") if body.get(key)})
                if known.get("schemaType") == "AVRO":
                    del known["schemaType"]
                self.schemas.append(known)
                number = len(self.schemas)
            return number

    def register(self, subject, schema, references=(), **more):
        """A schema (of Python's objects) under a subject → (id, guid)."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        number = self._register(subject, dict(more, schema=text, references=list(references)))
        return number, self.schemas[number - 1]["guid"]

    def _register(self, subject, body):
        with self.lock:
            number = self.add(body)
            versions = self.subjects.setdefault(subject, [])
            if number not in versions:
                versions.append(number)
            return number

    # The API: path → answer

    def by_id(self, number):
        if not number.isdigit():
            raise Refusal(404, 404, "HTTP 404 Not Found")
        if not 1 <= int(number) <= len(self.schemas):
            raise Refusal(404, 40403, "Schema %s not found" % number)
        return self.schemas[int(number) - 1]

    def by_guid(self, guid):
        for known in self.schemas:
            if known["guid"] == guid:
                return known
        raise Refusal(404, 40403, "Schema not found")

    def _versions(self, subject):
        if subject not in self.subjects:
            raise Refusal(404, 40401, "Subject '%s' not found." % subject)
        return self.subjects[subject]

    def version(self, subject, version, deleted):
        versions = self._versions(subject)
        at = len(versions) if version == "latest" else int(version)
        if not 1 <= at <= len(versions) or ((subject, at) in self.deleted and not deleted):
            raise Refusal(404, 40402, "Version %s not found." % version)
        return self._entry(subject, at)

    def _entry(self, subject, version):
        number = self.subjects[subject][version - 1]
        return dict(self.schemas[number - 1], subject=subject, version=version, id=number)

    def look_up(self, subject, body):
        versions, number = self._versions(subject), self._find(body)
        if number not in versions:
            raise Refusal(404, 40403, "Schema not found")
        return self._entry(subject, versions.index(number) + 1)

    def answer(self, method, path, query, body):
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if method == "GET" and parts[:2] == ["schemas", "ids"] and len(parts) == 3:
            return self.by_id(parts[2])
        if method == "GET" and parts[:2] == ["schemas", "guids"] and len(parts) == 3:
            return self.by_guid(parts[2])
        if method == "GET" and parts == ["subjects"]:
            return list(self.subjects)
        if parts[0] == "subjects" and len(parts) == 4 and parts[2] == "versions":
            return self.version(parts[1], parts[3], "deleted=true" in query)
        if method == "GET" and parts[0] == "subjects" and len(parts) == 3:
            return list(range(1, len(self._versions(parts[1])) + 1))
        if method == "POST" and parts[0] == "subjects" and len(parts) == 3:
            number = self._register(parts[1], body)
            return {"id": number, "guid": self.schemas[number - 1]["guid"], "version":
                    self.subjects[parts[1]].index(number) + 1, **self.schemas[number - 1]}
        if method == "POST" and parts[0] == "subjects" and len(parts) == 2:
            return self.look_up(parts[1], body)
        raise Refusal(404, 404, "HTTP 404 Not Found")


class Registry:
    """One server before a Store. `authorization`: the header's value that it wants. `certificate`: (file, key file) for
    TLS; `client_ca`: it wants a certificate from its clients."""

    def __init__(self, store=None, authorization=None, certificate=None, client_ca=None):
        self.store = store or Store()
        self.authorization, self.certificate, self.client_ca = authorization, certificate, client_ca
        self.port = processes.free_port()
        self.requests = []  # "GET /path", as they came
        self.trouble = None  # request → None, or (status, content type, bytes[, headers]) in place of an answer
        self.silent = threading.Event()  # set: requests are not answered
        self._released = threading.Event()
        self.server = None

    @property
    def url(self):
        return "%s://127.0.0.1:%d" % ("https" if self.certificate else "http", self.port)

    def start(self):
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in one piece: the second of two would wait for the first one's acknowledgement

            def log_message(self, *_):
                pass

            def do_GET(self):
                registry._serve(self)

            do_POST = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            if self.client_ca:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def _serve(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        sent = handler.rfile.read(length)
        request = "%s %s" % (handler.command, handler.path)
        self.requests.append(request)
        while self.silent.is_set():
            if self._released.wait(0.1):
                return
        if self.server is None:  # connections that were kept end with the server
            handler.close_connection = True
            return
        status, kind, body, *more = (self.trouble and self.trouble(request)) or self._answer(handler, sent)
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        for name, value in more[0] if more else ():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _answer(self, handler, sent):
        split = urlsplit(handler.path)
        try:
            if self.authorization and handler.headers.get("Authorization") != self.authorization:
                raise Refusal(401, 401, "Unauthorized")
            with self.store.lock:
                answer = self.store.answer(handler.command, split.path, split.query, json.loads(sent) if sent else None)
            return 200, TYPE, json.dumps(answer).encode()
        except Refusal as refusal:
            return refusal.status, TYPE, json.dumps({"error_code": refusal.code, "message": str(refusal)}).encode()

    def asked(self, text):
        return sum(text in request for request in self.requests)

    def stop(self):
        server, self.server = self.server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def close(self):
        self._released.set()
        self.silent.clear()
        self.stop()


def failing(status, kind="application/json", body=b"{}"):
    return lambda request: (status, kind, body)


def basic(user, password):
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()
