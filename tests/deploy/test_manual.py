"""The manual pages, made of the program's own help."""

import re
import shutil
import subprocess

import pytest

from lib import byunique
from lib.servers import ROOT


@pytest.fixture(scope="module", params=["1", "5"])
def page(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("man") / ("byunique.1" if request.param == "1" else "byunique.conf.5")
    done = subprocess.run([str(ROOT / "deploy/man"), byunique.PROGRAM, request.param], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    path.write_bytes(done.stdout)
    return path


def shown(path):
    """As it is read on a terminal, each blank one: lines are filled."""
    done = subprocess.run(["mandoc", "-T", "ascii", str(path)], capture_output=True, text=True, timeout=60, check=True)
    return re.sub(r"\s+", " ", re.sub(r".\x08", "", done.stdout))


def help_of(*words):
    return subprocess.run([byunique.PROGRAM, "help"] + list(words), capture_output=True, text=True, timeout=20,
                          check=True).stdout


def need(tool):
    if shutil.which(tool) is None:
        pytest.skip("NOT TESTED: there is no %s on this machine" % tool)


def test_by_mandoc(page):
    need("mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(page)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    broken = page.with_suffix(".broken")
    broken.write_text(page.read_text().replace(".El", ".Ed", 1))
    assert subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(broken)], capture_output=True).returncode != 0


def test_by_man(page):
    need("groff")
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", str(page)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_that_help_says_is_missing(page):
    need("mandoc")
    text = shown(page)
    if page.suffix == ".5":
        said = help_of("config")
    else:
        commands = [line[2:].split("  ")[0] for line in help_of().splitlines() if re.match(r"  [a-z][a-z-]*( [a-z]+)?  ", line)]
        assert len(commands) > 15
        said = "".join(help_of(*command.split()).split("\n\n", 2)[2] for command in commands).replace("Options:\n", "")
    missing = [line for line in said.splitlines() if ascii_only(line) not in text]
    assert missing == []


def ascii_only(line):
    """With single blanks; what mandoc makes of other characters is not for here."""
    return re.sub(r"\s+", " ", line.split("…")[0]).strip()
