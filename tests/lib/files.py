"""CSV and JSON Lines files, and commands of the program that read one."""

import csv
import io
import json
import subprocess

from lib import byunique, processes


def csv_text(*rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def json_lines(*objects):
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)


def write(site, name, content):
    """A file in the site's folder, of text or bytes → its path."""
    path = site.folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def piped(settings, content, *command, timeout_s=60):
    """Run one command with `content` on its standard input → subprocess.CompletedProcess with text output."""
    done = subprocess.run([byunique.PROGRAM] + byunique.options(settings) + list(command), input=content.encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s, cwd="/",
                          env=processes.environment())
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
