"""Child processes get the environment that the tests have, whatever changes it meanwhile, and ports that nobody else is given."""

import itertools
import os
import socket

from lib import processes


def test_environment_has_no_settings_of_clients(monkeypatch):
    for name in ("PGHOST", "BYUNIQUE_LOG_LEVEL", "KAFKA_OPTS", "OTHER"):
        monkeypatch.setenv(name, "x")
    found = processes.environment()
    assert found["OTHER"] == "x" and not {"PGHOST", "BYUNIQUE_LOG_LEVEL", "KAFKA_OPTS"} & set(found)


class Fleeting(dict):
    """An environment in which a variable is gone once its name has been seen."""

    def __iter__(self):
        names = list(super().__iter__())
        self.pop("GONE", None)
        return iter(names)

    def items(self):
        return ((name, self[name]) for name in self)


def test_environment_while_a_variable_goes(monkeypatch):
    monkeypatch.setattr(os, "environ", Fleeting(STAYS="1", GONE="2"))
    assert processes.environment() == {"STAYS": "1"}


def test_ports_of_those_that_test_at_once():
    every = [set(itertools.islice(processes.ports_of("gw%d" % number), 5000)) for number in range(20)]
    assert len(set().union(*every)) == sum(map(len, every)) == 20000
    assert max(map(max, every)) < 32768  # where Linux begins with those of clients, unless it is told otherwise


def test_a_port_that_somebody_has(monkeypatch):
    taken, free = processes.free_port(), processes.free_port()
    monkeypatch.setattr(processes, "_PORTS", iter([taken, free]))
    with socket.create_server(("127.0.0.1", taken)):
        assert processes.free_port() == free
