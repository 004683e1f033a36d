"""`make install` and `make uninstall`: what lies where, and that the program runs from there."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lib import byunique, schemas, wire
from lib.gen import Message
from lib.servers import ROOT
from lib.site import new_id

FILES = {
    "bin/byunique", "lib/systemd/system/byunique.service", "share/byunique/byunique.conf",
    "share/byunique/schemas/UpdateByUnique.avsc", "share/byunique/schemas/UpdateResult.avsc",
    "share/byunique/examples/phone.json", "lib/systemd/system/byunique@.service", "share/man/man1/byunique.1",
    "share/man/man5/byunique.conf.5", "share/bash-completion/completions/byunique", "share/zsh/site-functions/_byunique",
    "share/fish/vendor_completions.d/byunique.fish"}


@pytest.fixture
def make(tmp_path):
    """Runs make on a copy of what is built: with another PREFIX, the program itself is another."""
    built = Path(byunique.PROGRAM).resolve().parent
    sanitize = ["SANITIZE=1"] if built.name == "sanitize" else []
    copy = tmp_path / "build" / ("sanitize" if sanitize else "")
    copy.mkdir(parents=True)
    shutil.copytree(built / "worker", copy / "worker")
    shutil.copy2(built / "byunique", copy / "byunique")

    def run(*arguments):
        done = subprocess.run(["make", "--no-print-directory", "BUILD=%s" % (tmp_path / "build")] + sanitize
                              + list(arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")})
        assert done.returncode == 0, done.stdout
    return run


def files_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def run_installed(program, *arguments):
    return subprocess.run([str(program)] + list(arguments), stdout=subprocess.PIPE, text=True, check=True, cwd="/",
                          timeout=20)


def test_staged(make, tmp_path):
    """As a packager does it: into a folder of its own, to be moved to the root later."""
    stage = tmp_path / "stage"
    make("install", "DESTDIR=%s" % stage, "PREFIX=/usr")
    assert files_in(stage) >= {"usr/" + name for name in FILES}
    unit = (stage / "usr/lib/systemd/system/byunique.service").read_text()
    assert "@" not in unit.replace("~@", "").replace("=@", "")  # no placeholder left; sets of system calls begin with @
    assert "ExecStart=/usr/bin/byunique " in unit
    assert str(stage) not in unit
    assert run_installed(stage / "usr/bin/byunique", "--version").stdout.startswith("byunique ")
    make("uninstall", "DESTDIR=%s" % stage, "PREFIX=/usr")
    assert files_in(stage) == set()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_unit(make, tmp_path):
    """systemd understands every line of the unit, also as a template, and finds little exposed."""
    make("install", "PREFIX=%s" % (tmp_path / "usr"))
    unit = tmp_path / "usr/lib/systemd/system/byunique.service"
    template = tmp_path / "byunique@1.service"
    shutil.copy(unit.with_name("byunique@.service"), template)
    assert "Description=byunique %i: " in template.read_text()
    for path in (unit, template):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert (done.returncode, done.stdout) == (0, "")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout


def test_schemas_folder(make, site, tmp_path, monkeypatch):
    """The installed program knows its own folder: a writer's schema put there is understood, with nothing configured."""
    make("install", "PREFIX=%s" % (tmp_path / "usr"))
    older = wire.plain(wire.COMMAND_SCHEMA)
    older["fields"] = [field for field in older["fields"] if field["name"] not in ("batch_id", "issued_at")]
    (tmp_path / "usr/share/byunique/schemas/older.avsc").write_text(json.dumps(older))
    monkeypatch.setattr(byunique, "PROGRAM", str(tmp_path / "usr/bin/byunique"))
    del site.settings["schemas.dir"]
    site.init(schemas.PHONE)
    site.insert("Phone", "alice", PhoneNumber="1")
    site.worker()
    value = wire.with_schema(older, {"command_id": new_id(), "customer_id": "alice", "ext_name": "Phone",
                                     "attributes": {"PhoneNumber": "1", "prefix": "+33"}})
    [result] = site.results_of(site.send(Message(None, b"alice", value, [])))
    assert (result.status, result.code) == (204, None)
    assert site.db.execute("SELECT prefix FROM ext_phone").fetchall() == [("+33",)]
