"""The admin server of a worker, as an HTTP client and Prometheus see it."""

import http.client
import json
import re

from prometheus_client.parser import text_string_to_metric_families

from lib import processes

LISTEN = {"admin.listen": "127.0.0.1:0"}


class Metrics:
    """One scrape. The parser is Prometheus' own, and strict about names, types and escapes."""

    def __init__(self, text):
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def all(self, name, **labels):
        return [sample for sample in self.samples
                if sample.name == name and labels.items() <= sample.labels.items()]

    def value(self, name, **labels):
        """The value of the one sample with these labels."""
        [sample] = self.all(name, **labels)
        return sample.value

    def sum(self, name, **labels):
        return sum(sample.value for sample in self.all(name, **labels))

    def commands(self):
        """{code: number}, those above 0."""
        return {sample.labels["code"]: sample.value for sample in self.all("byunique_commands_total") if sample.value}


class AdminClient:
    def __init__(self, worker):
        # In both formats of the log.
        self.host, port = re.search(r"admin_listening\W+address\W+?(\[.*?\]|[^\s:\"]+):(\d+)",
                                    worker.wait_log("admin_listening.*\n").string).groups()
        self.port, self.worker = int(port), worker

    def ask(self, path, method="GET", body=None, headers=()):
        """→ the response, its body in .text."""
        connection = http.client.HTTPConnection(self.host.strip("[]"), self.port, timeout=20)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            response.text = response.read().decode()
            return response
        finally:
            connection.close()

    def get(self, path):
        response = self.ask(path)
        assert response.status == 200, (path, response.status, response.text)
        return response.text

    def metrics(self):
        return Metrics(self.get("/metrics"))

    def status(self):
        return json.loads(self.get("/status.json"))

    def health(self, path):
        response = self.ask(path)
        return response.status, response.text

    def wait_health(self, path, status, timeout_s=60):
        """Wait until it answers with this status → its text."""
        return processes.wait_for(lambda: [text for got, text in [self.health(path)] if got == status],
                                  "%s to be %d" % (path, status), timeout_s, alive=self.worker.process)[0]

    def wait_metric(self, name, value, timeout_s=60, **labels):
        """Wait until the sum of these samples has this value → the scrape."""
        scrapes = []

        def reached():
            scrapes.append(self.metrics())
            return scrapes[-1].sum(name, **labels) == value
        processes.wait_for(reached, "%s %s to be %s" % (name, labels, value), timeout_s, pause_s=0.1,
                           alive=self.worker.process)
        return scrapes[-1]
