"""The Debian package: built, judged by lintian, installed into a folder, run there, removed and purged."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib import byunique
from lib.servers import ROOT

CONFIGURATION = "etc/byunique/byunique.conf"


def need(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip("NOT TESTED: there is no %s on this machine" % tool)


def must(*command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Built from the objects that are there, else it would take a minute: only what knows the PREFIX is compiled anew."""
    need("dpkg-buildpackage", "dh", "dpkg")
    built = Path(byunique.PROGRAM).resolve().parent
    if "sanitize" in built.name:
        pytest.skip("NOT TESTED: packages are not made of a build with sanitizers")
    build = tmp_path_factory.mktemp("package") / "build"
    build.mkdir()
    shutil.copytree(built / "worker", build / "worker")
    must("make", "--no-print-directory", "deb", "REUSE=1", "BUILD=%s" % build, cwd=ROOT,
         env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")})
    [made] = (build / "deb").glob("byunique_*.deb")
    return made


@pytest.fixture
def root(package, tmp_path):
    """A folder in which dpkg has installed the package, its scripts included."""
    if os.getuid() != 0:
        pytest.skip("NOT TESTED: installing takes root")
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/updates").mkdir()
    (tmp_path / "var/lib/dpkg/status").touch()
    dpkg(tmp_path, "--install", package)
    return tmp_path


def dpkg(root, *arguments):
    return must("dpkg", "--root=%s" % root, "--force-script-chrootless", "--force-depends", *arguments)


def status(root):
    text = must("dpkg-query", "--admindir=%s/var/lib/dpkg" % root, "--show", "--showformat=${db:Status-Status}", "byunique")
    return text.strip()


def give_libraries(root):
    """Of this machine, as the packages that ours depends on are not installed in the folder."""
    text = must("ldd", root / "usr/bin/byunique")
    for library in re.findall(r"(/\S+) \(0x", text):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)


def run(root, *arguments):
    return subprocess.run([shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin"), str(root), "/usr/bin/byunique"] + list(arguments), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, env={})


def test_version_is_the_programs(package):
    version = must(byunique.PROGRAM, "--version").split()[1]
    assert package.name.startswith("byunique_%s_" % version)


def test_by_lintian(package):
    need("lintian")
    # Of the package alone: there is no archive that it goes into.
    said = must("lintian", "--no-cfg", "--allow-root", "--fail-on=error,warning,info,pedantic", "--display-info", "--pedantic",
                package)
    assert said == ""


def test_depends_on_what_it_is_linked_with(package):
    depends = must("dpkg-deb", "--field", package, "Depends")
    for library in ("libc6", "librdkafka1", "libavro", "libpq5", "libjansson4", "libcurl", "libnettle", "libmicrohttpd",
                    "zlib1g", "liblz4-1", "libjemalloc2"):
        assert re.search(r"(^|, )%s" % re.escape(library), depends), depends


def test_installed_and_run(root):
    assert status(root) == "installed"
    give_libraries(root)
    assert run(root, "--version").stdout.startswith("byunique ")
    assert "Commands:" in run(root, "help").stdout
    # Its own folder of schemas: what it can't read there it complains of, before it looks for any server.
    (root / "usr/share/byunique/schemas/broken.avsc").write_text("{")
    done = run(root, "-c", "/" + CONFIGURATION, "run")
    assert done.returncode != 0 and "/usr/share/byunique/schemas/broken.avsc" in done.stderr
    for page in ("man1/byunique.1", "man5/byunique.conf.5"):
        assert "byunique" in must("gzip", "-dc", root / "usr/share/man" / (page + ".gz"))


def test_completion_is_where_shells_look(root):
    for shell, ask, folder in (("zsh", "print -l $fpath", "/usr/share/zsh/vendor-completions"),
                               ("fish", "string join \\n $fish_complete_path", "/usr/share/fish/vendor_completions.d")):
        assert [path for path in (root / folder.lstrip("/")).iterdir() if "byunique" in path.name]
        if shutil.which(shell):
            assert folder in must(shell, "-c", ask, env={"PATH": os.environ["PATH"], "HOME": str(root)}).split()
    assert (root / "usr/share/bash-completion/completions/byunique").exists()


def test_nothing_is_started_or_enabled(root):
    """Not before it is configured; by an upgrade neither."""
    units = {path.name for path in (root / "lib/systemd/system").iterdir()}
    assert units == {"byunique.service", "byunique@.service"}
    wanted = list((root / "etc").rglob("*.wants"))
    assert wanted == []
    for script in ("preinst", "postinst", "postrm"):
        path = root / "var/lib/dpkg/info" / ("byunique." + script)
        assert not re.search(r"\b(re)?start\b", path.read_text() if path.exists() else ""), script


def test_configuration_stays_until_purged(root, package):
    configuration = root / CONFIGURATION
    assert configuration.stat().st_mode & 0o777 == 0o600
    configuration.write_text("log.level = warn\n")
    dpkg(root, "--install", package)  # again, as an upgrade does
    assert configuration.read_text() == "log.level = warn\n"
    dpkg(root, "--remove", "byunique")
    assert status(root) == "config-files"
    assert not (root / "usr/bin/byunique").exists() and configuration.read_text() == "log.level = warn\n"
    dpkg(root, "--purge", "byunique")
    assert not configuration.parent.exists()
    assert [path for path in root.rglob("*byunique*")] == []
