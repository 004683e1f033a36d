"""The servers, started once, and a fresh installation of byunique for each test."""

import signal

import pytest

from lib import processes
from lib.servers import Kafka, Postgres
from lib.site import Site

# A test run that is told to end still stops its servers and removes their folders.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres():
    server = Postgres()
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture(scope="module")
def own_postgres():
    """For tests that stop, freeze or reconfigure it."""
    server = Postgres()
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def kafka():
    server = Kafka()
    try:
        yield server.create()
    finally:
        server.destroy()


@pytest.fixture
def sites(postgres, kafka, tmp_path, request):
    """Makes installations that are not yet initialised: sites(partitions=1, **settings)."""
    made = []

    def make(**options):
        made.append(Site(postgres, kafka, tmp_path, **options))
        return made[-1]

    request.node.sites = made
    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(sites):
    return sites()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the workers' logs, the test's own and what PostgreSQL's sessions do with a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for site in getattr(item, "sites", []):
            for worker in site.workers:
                report.sections.append((worker.log_path.name, processes.tail(worker.log_path)))
            for path in site.logs:
                report.sections.append((path.name, processes.tail(path, 300)))
        for server in {site.postgres for site in getattr(item, "sites", [])}:
            report.sections.append(("PostgreSQL's sessions", server.sessions()))
