"""Child processes get the environment that the tests have, whatever changes it meanwhile."""

import os

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
