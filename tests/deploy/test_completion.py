"""Completion in real shells, against what --help says: every command, every option, every key."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

from lib import byunique
from lib.servers import ROOT

FOLDER = ROOT / "deploy/completion"
COMMON = {"--config", "--set", "--help"}

# Each prints the candidates for the last word, one a line; FILES where files are asked for.
BASH = """
source "$1"; shift
compopt() { :; }
compgen() { if [ "$1" = -f ]; then echo FILES; else builtin compgen "$@"; fi; }
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_byunique "$1" "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
file=$1; shift
compadd() { local at=${@[(i)--]} suffix=; [[ $1 == -S ]] && suffix=$2
            local each; for each in ${@[at+1,-1]}; do [[ $each == ${words[CURRENT]}* ]] && print -r -- $each$suffix; done; return 0 }
_files() { print FILES }
words=("$@") CURRENT=$#
source $file
"""
FISH = """
source $argv[1]
function __fish_complete_path; echo FILES; end
complete --do-complete (string join -- ' ' byunique (string escape -- $argv[3..-2]))" $argv[-1]"
"""


def help_lines(*words):
    done = subprocess.run([byunique.PROGRAM, "help"] + list(words), capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.splitlines()


def options_of(command):
    return {match[1]: match[2] for match in (re.match(r"  (--[a-z-]+) (\S*) ", line) for line in help_lines(*command.split()))
            if match}


COMMANDS = [line[2:].split("  ")[0] for line in help_lines() if re.match(r"  [a-z][a-z-]*( [a-z]+)?  ", line)]
FIRST_WORDS = {command.split()[0] for command in COMMANDS}
KEYS = [line.split()[0] for line in help_lines("config") if re.match(r"  [a-z.]+( =|$)", line)]
GROUPS = {command.split()[0] for command in COMMANDS if " " in command}


def complete(shell, folder, *words):
    """The candidates for the last of the words → a list. `byunique` is found by the PATH."""
    tool = shutil.which(shell)
    if tool is None:
        pytest.skip("NOT TESTED: there is no %s on this machine" % shell)
    link = folder / "byunique"
    if not link.exists():
        link.symlink_to(byunique.PROGRAM)
    environment = dict(os.environ, PATH="%s:%s" % (folder, os.environ["PATH"]), HOME=str(folder))
    script, file = {"bash": (["-c", BASH, "-"], "byunique.bash"), "zsh": (["-f", "-c", ZSH, "-"], "_byunique"),
                    "fish": (["--no-config", "-c", FISH], "byunique.fish")}[shell]
    done = subprocess.run([tool] + script + [str(FOLDER / file), "byunique"] + list(words), env=environment, cwd=folder,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines() if line]


shells = pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])


def test_what_help_says_is_read_right():
    assert {"run", "schema apply", "dead-letters resubmit", "help"} <= set(COMMANDS) and len(COMMANDS) > 15
    assert {"postgres", "commands.topic", "kafka.group.id"} <= set(KEYS) and len(KEYS) > 20
    assert options_of("submit")["--format"] == "csv|jsonl|avro"


@shells
def test_commands(shell, tmp_path):
    assert set(complete(shell, tmp_path, "")) == FIRST_WORDS
    assert complete(shell, tmp_path, "sub") == ["submit"]
    assert complete(shell, tmp_path, "-c", "x.conf", "-X", "log.level=info", "stat") == ["status"]
    for group in GROUPS:
        seconds = {command.split()[1] for command in COMMANDS if command.startswith(group + " ")}
        assert set(complete(shell, tmp_path, group, "")) == seconds
    assert set(complete(shell, tmp_path, "help", "")) == FIRST_WORDS | {"config"}
    assert complete(shell, tmp_path, "nonsense", "--zzz") == []


@shells
def test_options(shell, tmp_path):
    for command in COMMANDS:
        expected = set(options_of(command))
        assert COMMON <= expected
        assert set(complete(shell, tmp_path, *command.split(), "--")) == expected
    assert complete(shell, tmp_path, "submit", "x.csv", "--exten") == ["--extension"]


@shells
def test_keys(shell, tmp_path):
    for option in ("-X", "--set"):
        assert {word.rstrip("=") for word in complete(shell, tmp_path, option, "")} == set(KEYS)
    assert complete(shell, tmp_path, "run", "-X", "admin") == ["admin.listen="]


@shells
def test_arguments(shell, tmp_path):
    assert complete(shell, tmp_path, "-c", "") == ["FILES"]
    assert complete(shell, tmp_path, "submit", "--output", "") == ["FILES"]
    assert sorted(complete(shell, tmp_path, "submit", "x.csv", "--format", "")) == ["avro", "csv", "jsonl"]
    assert sorted(complete(shell, tmp_path, "replay", "failed", "--from", "")) == ["beginning", "end", "offset:", "time:"]
    assert complete(shell, tmp_path, "submit", "") == ["FILES"]
    assert complete(shell, tmp_path, "schema", "apply", "a.json", "") == ["FILES"]
    assert complete(shell, tmp_path, "load", "Phone", "") == ["FILES"]
    for no_file in (["run"], ["results"], ["results", "--batch"], ["schema", "list"]):
        assert complete(shell, tmp_path, *no_file, "") == []


# At a keyboard

AT_START = {
    "bash": (["--norc", "--noprofile", "-i"], "source %s" % (FOLDER / "byunique.bash")),
    "zsh": (["-f", "-i"], "fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D" % FOLDER),
}


@pytest.mark.parametrize("shell", sorted(AT_START))
def test_at_a_keyboard(shell, tmp_path):
    """Typed into an interactive shell on a terminal: the tab key does it, registered as it is when installed."""
    if shutil.which(shell) is None:
        pytest.skip("NOT TESTED: there is no %s on this machine" % shell)
    arguments, setup = AT_START[shell]
    (tmp_path / "byunique").symlink_to(byunique.PROGRAM)
    (tmp_path / "numbers.csv").touch()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execvpe(shell, [shell] + arguments, dict(os.environ, PATH="%s:%s" % (tmp_path, os.environ["PATH"]), TERM="dumb",
                                                    HOME=str(tmp_path), PS1="$ ", LC_ALL="C"))
    said = ""

    def until(pattern):
        nonlocal said
        deadline = time.monotonic() + 60
        while not re.search(pattern, said):
            assert time.monotonic() < deadline, "no %r in %r" % (pattern, said)
            if select.select([terminal], [], [], 1)[0]:
                said += os.read(terminal, 4096).decode(errors="replace")
                said = said.replace(" \b", "")  # zsh takes a blank back that it had written
        said = ""

    try:
        os.write(terminal, (setup + "; echo rea''dy\n").encode())
        until(r"(?m)^ready")
        for typed, completed in (("byunique dead-l\tresub\t--dry\t", "byunique dead-letters resubmit --dry-run"),
                                 ("byunique submit numb\t--exten\t", r"byunique submit numbers\.csv --extension"),
                                 ("byunique -X postgres.sch\t", "byunique -X postgres.schema=")):
            os.write(terminal, typed.encode())
            until(completed)
            os.write(terminal, b"\x15")  # the line is given up
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)
