"""The command line from outside: help, exit codes, configuration, init and schema."""

import copy
import json
import os
import re
import shlex
import subprocess

import pytest

from lib import byunique, processes, schemas
from lib.servers import ROOT

COMMANDS = ["run", "init", "schema apply", "schema list", "schema show", "load", "submit", "results", "audit",
            "archive", "replay results", "replay apply", "replay failed", "replay again", "replay adopt", "replay archive",
            "replay", "dead-letters list", "dead-letters show", "dead-letters resubmit", "status", "demo", "help"]
RESERVED = ["enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "isolation.level",
            "partition.assignment.strategy", "group.instance.id", "transactional.id", "enable.idempotence", "acks"]
SECRET = "hunter2"


def program(*arguments, env=None, **options):
    """Run the program with these arguments alone → subprocess.CompletedProcess."""
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([byunique.PROGRAM] + list(arguments), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, timeout=60, cwd="/", env=dict(processes.environment(), **(env or {})), **options)


def refused(*arguments, code=2, **options):
    """Run the program, which has to refuse: nothing on stdout → its standard error."""
    done = program(*arguments, **options)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("byunique: ")
    return done.stderr


def changed(schema, **attribute):
    schema = copy.deepcopy(schema)
    schema["attributes"].append(attribute)
    return schema


# Help and usage


def test_help():
    done = program("--help")
    assert (done.returncode, done.stderr) == (0, "")
    listed = re.findall(r"^  ([a-z-]+(?: [a-z]+)?)  ", done.stdout, re.MULTILINE)
    assert listed == COMMANDS
    assert "-c FILE" in done.stdout and "-X key=value" in done.stdout
    assert program("-h").stdout == program("help").stdout == done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command):
    done = program(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("byunique %s: " % command)
    assert "\nUsage: byunique [-c FILE] [-X key=value]... %s" % command in done.stdout
    assert "Examples:\n  byunique " in done.stdout
    assert program("--help", *command.split()).stdout == done.stdout
    assert program("help", *command.split()).stdout == done.stdout
    # Help is given whatever the rest of the line, or the configuration, is worth.
    assert program("-c", "/no/such/file", "-X", "no.such=key", *command.split(), "-h").stdout == done.stdout


def invocations(line):
    """The program's own arguments in a line of shell, once for each time that it is called in it."""
    for part in re.split(r" \| |; | && |\$\(", line):
        match = re.match(r"(?:sudo )?byunique (.*)", part.strip())
        if match:
            words = re.split(r" >|  +# ?|   +", match[1].replace("…", "x").replace("{1..4}", "1"))[0]
            yield [word for word in shlex.split(words.rstrip("&) ")) if word != "..."]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_of_a_command(command):
    """Each example is a command line that the program takes: with --help behind it, names are looked at and nothing is done."""
    lines = program(*command.split(), "--help").stdout.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    calls = [words for line in lines for words in invocations(line)]
    assert len(calls) == len(lines)
    for words in calls:
        done = program(*words, "--help")
        assert (done.returncode, done.stderr) == (0, ""), words
    assert any(" ".join(command.split()) in " ".join(words) for words in calls)


@pytest.mark.parametrize("path", ["README.md", "deploy/README.md", "docs/recovery.md"])
def test_command_lines_of_a_document(path):
    text = re.sub(r"\\\n +", "", (ROOT / path).read_text())  # lines that go on
    calls = [words for line in re.findall(r"^    (?:\$ )?(?!byunique \[)(.*byunique .*)$", text, re.MULTILINE)
             for words in invocations(line)]
    calls += [words for code in re.findall(r"`(byunique [^`\[\]|]+)`", text) for words in invocations(" ".join(code.split()))]
    assert len(calls) > 5
    for words in calls:
        done = program(*words, "--help")
        assert "COMMAND" in words or (done.returncode, done.stderr) == (0, ""), words


def test_help_of_a_group():
    done = program("schema", "--help")
    assert done.returncode == 0
    assert all("schema %s  " % word in done.stdout for word in ("apply", "list", "show"))
    assert "results" not in done.stdout


def test_help_on_configuration():
    text = program("help", "config").stdout
    for key in ("kafka.bootstrap.servers = localhost:9092", "kafka.group.id = byunique", "postgres",
                "postgres.schema = byunique", "commands.topic = byunique.commands", "results.topic = byunique.results",
                "dead.letter.topic = byunique.dead-letters", "schema.registry.url", "schemas.dir", "batch.max.commands = ",
                "idempotency.retention = 7d", "outcome.retention = 7d", "shutdown.timeout = 20s", "admin.listen",
                "log.level = info", "log.format = text"):
        assert "\n  %s" % key in text


def test_version():
    done = program("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"byunique \d+\.\d+\.\d+\n", done.stdout)


def test_no_command():
    done = program()
    assert (done.returncode, done.stdout) == (2, "")
    assert "Commands:" in done.stderr


@pytest.mark.parametrize("arguments, said", [
    ("rnu", "byunique run"),
    ("resluts", "byunique results"),
    ("schema aply x", "byunique schema apply"),
    ("shema show Phone", "byunique schema show"),
    ("xyzzy", "byunique --help"),
    ("schema", "byunique schema --help"),
    ("init --partition 3", "--partitions"),
    ("init --partitions", "--partitions needs an argument"),
    ("init --partitions=many", "whole number"),
    ("init --partitions=0", "whole number"),
    ("init --partitions=", "whole number"),
    ("init --json=yes", "--json takes no argument"),
    ("init -json", "--json"),
    ("init -z", "no option -z"),
    ("init extra", "too much"),
    ("schema apply", "FILE..."),
    ("schema show", "schema show NAME"),
    ("schema show a b", "schema show NAME"),
    ("schema show -- --json b", "too much"),
    ("-c", "-c needs an argument"),
    ("init -X", "-X needs an argument"),
    ("init -X commands.topic", "key = value"),
    ("--vresion", "--version"),
    ("version", "byunique --version"),
    ("config", "byunique help config"),
    ("help confg", "byunique help config"),
    ("--json status", "byunique COMMAND --json"),
    ("submit --batch", "byunique submit --help"),
    ("-X log.level=info demo", "-X"),
])
def test_wrong_usage(arguments, said):
    assert said in refused(*arguments.split())


def test_output_that_can_not_be_written():
    with open("/dev/full", "w") as full:
        done = program("--help", stdout=full)
    assert done.returncode == 1
    assert "No space left" in done.stderr


def test_reader_that_has_gone():
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as pipe:
        done = program("--help", stdout=pipe)
    assert (done.returncode, done.stderr) == (1, "")


def test_closed_output():
    done = subprocess.run(["sh", "-c", 'exec "$0" --version >&-', byunique.PROGRAM], stderr=subprocess.PIPE, text=True,
                          timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("byunique: can't write to standard output")


# Configuration


def test_unknown_key_in_a_file(tmp_path):
    path = tmp_path / "byunique.conf"
    path.write_text("# here\n\nlog.level = info\npostgres.scheme = %s\n" % SECRET)
    error = refused("-c", str(path), "init")
    assert "%s:4: " % path in error and "postgres.schema" in error
    assert refused("init", "--config=%s" % path) == error


@pytest.mark.parametrize("key, nearest", [
    ("kafka.sasl.pasword", "kafka.sasl.password"), ("bootstrap.servers", "kafka.bootstrap.servers"),
    ("retention", "outcome.retention"), ("command.topic", "commands.topic")])
def test_unknown_key_of_an_option(key, nearest):
    error = refused("-X", "%s=%s" % (key, SECRET), "init")
    assert key in error and nearest in error and SECRET not in error


@pytest.mark.parametrize("variable, nearest", [
    ("BYUNIQUE_POSTGRES_SCHEME", "BYUNIQUE_POSTGRES_SCHEMA"),
    ("BYUNIQUE_KAFKA_SASL_PASS", "BYUNIQUE_KAFKA_SASL_PASSWORD")])
def test_unknown_variable(variable, nearest):
    error = refused("init", env={variable: SECRET})
    assert variable in error and nearest in error and SECRET not in error


@pytest.mark.parametrize("setting", [
    "log.level=%s", "shutdown.timeout=%s", "batch.max.commands=%s", "commands.topic=%s !", "kafka.linger.ms=%s",
    "kafka.security.protocol=%s", "kafka.rebalance_cb=%s", "results.topic=", "kafka.group.id="])
def test_bad_value(setting):
    error = refused("-X", setting.replace("%s", SECRET), "init")
    assert setting.split("=")[0] in error and SECRET not in error


@pytest.mark.parametrize("key", RESERVED)
def test_reserved_key(key):
    for error in (refused("-X", "kafka.%s=1" % key, "init"),
                  refused("init", env={"BYUNIQUE_KAFKA_" + key.upper().replace(".", "_"): "1"})):
        assert "kafka.%s is not for you to set\nDETAIL: " % key in error


def test_missing_file():
    error = refused("-c", "/no/such/file", "init")
    assert "/no/such/file" in error and "byunique help config --sample" in error


def test_topics_must_differ():
    assert "different topics" in refused("-X", "results.topic=a", "-X", "commands.topic=a", "init")


def test_sources_override_each_other(site, tmp_path):
    """The file names a database that is not there, the environment a schema that nobody wants, and -X the right one."""
    path = tmp_path / "byunique.conf"
    path.write_text("".join("%s = %s\n" % pair for pair in dict(
        site.settings, postgres="host=127.0.0.1 port=1", **{"postgres.schema": "of_the_file"}).items()))
    env = {"BYUNIQUE_POSTGRES": site.settings["postgres"], "BYUNIQUE_POSTGRES_SCHEMA": "of_the_environment"}
    done = program("init", "-c", str(path), "-X", "postgres.schema=" + site.schema, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("schema %s: created" % site.schema)
    names = {name for name, in site.db.execute("SELECT nspname FROM pg_namespace")}
    assert site.schema in names and not names & {"of_the_file", "of_the_environment"}


# init


def init(site, *options):
    return json.loads(byunique.must(site.settings, "init", "--json", *options))


def topics(site, *, created, partitions):
    return [{"name": name, "created": created, "partitions": partitions}
            for name in (site.commands, site.results, site.dead_letters)]


def test_init(site):
    first = init(site, "--partitions", "3", "--replication-factor", "1")
    assert first["schema"] == site.schema and first["from_version"] == 0 and first["version"] >= 1
    assert first["topics"] == topics(site, created=True, partitions=3)
    again = init(site, "--partitions", "3")
    assert again == dict(first, from_version=first["version"], topics=topics(site, created=False, partitions=3))
    site.db.execute("SELECT FROM profile")


def test_init_by_default(site):
    assert init(site)["topics"] == topics(site, created=True, partitions=8)


def test_init_says_what_it_did(site):
    lines = byunique.must(site.settings, "init", "--partitions", "1").splitlines()
    assert lines[0].startswith("schema %s: created" % site.schema)
    assert lines[1:] == ["topic %s: created, 1 partition" % name
                         for name in (site.commands, site.results, site.dead_letters)]
    lines = byunique.must(site.settings, "init", "--partitions", "2").splitlines()
    assert lines[0].startswith("schema %s: already there" % site.schema)
    for line in lines[1:]:
        assert "already there, 1 partition, not the 2 asked for" in line


def test_init_follows_the_commands_topic(site):
    byunique.must(dict(site.settings, **{"results.topic": site.results + ".old", "dead.letter.topic": ""}),
                  "init", "--partitions", "5")
    done = init(site)
    assert [(topic["created"], topic["partitions"]) for topic in done["topics"]] == [(False, 5), (True, 5), (True, 5)]


def test_init_without_dead_letters(site):
    site.settings["dead.letter.topic"] = ""
    assert [topic["name"] for topic in init(site)["topics"]] == [site.commands, site.results]


def test_several_at_once(site):
    command = [byunique.PROGRAM] + byunique.options(site.settings) + ["init", "--json", "--partitions", "2"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=processes.environment()) for _ in range(4)]
    done = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0] * 4, done
    said = [json.loads(stdout) for stdout, _ in done]
    assert sorted(each["from_version"] for each in said)[0] == 0
    assert sum(each["from_version"] == 0 for each in said) == 1
    for number in range(3):
        assert sum(each["topics"][number]["created"] for each in said) == 1
        assert {each["topics"][number]["partitions"] for each in said} == {2}


def test_no_database(site):
    site.settings["postgres"] = "host=127.0.0.1 port=1 password=" + SECRET
    done = byunique.run(site.settings, "init")
    assert (done.returncode, done.stdout) == (1, "")
    assert SECRET not in done.stderr


# schema


@pytest.fixture
def ready(site):
    byunique.must(site.settings, "init", "--partitions", "1")
    return site


def write(site, name, content):
    path = site.folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return str(path)


def shown(site, name):
    return json.loads(byunique.must(site.settings, "schema", "show", name))


def listed(site):
    return json.loads(byunique.must(site.settings, "schema", "list", "--json"))


def test_schema_apply(ready):
    phone, everything = write(ready, "phone.json", schemas.PHONE), write(ready, "all.json", [schemas.EVERYTHING])
    assert byunique.must(ready.settings, "schema", "apply", phone, everything) == "Phone: created\nEverything: created\n"
    more = write(ready, "more.json", changed(schemas.PHONE, name="carrier", type="string", length=10))
    said = json.loads(byunique.must(ready.settings, "schema", "apply", "--json", more, everything))
    assert said == [{"name": "Phone", "change": "altered"}, {"name": "Everything", "change": "unchanged"}]
    assert ready.db.execute("SELECT carrier FROM ext_phone").fetchall() == []
    assert "carrier" in [attribute["name"] for attribute in shown(ready, "Phone")["attributes"]]


def test_schema_show_gives_back_what_was_applied(ready):
    ready.apply(schemas.PHONE, schemas.EVERYTHING)
    for schema in (schemas.PHONE, schemas.EVERYTHING):
        assert shown(ready, schema["name"].upper()) == schema
    text = byunique.must(ready.settings, "schema", "show", "phone")
    assert byunique.must(ready.settings, "schema", "apply", write(ready, "same.json", text)) == "Phone: unchanged\n"


def test_schema_show_of_an_unknown_one(ready):
    done = byunique.run(ready.settings, "schema", "show", "Phone")
    assert (done.returncode, done.stdout) == (1, "") and "schema apply" in done.stderr
    ready.apply(schemas.PHONE, schemas.EVERYTHING)
    done = byunique.run(ready.settings, "schema", "show", "Fone")
    assert (done.returncode, done.stdout) == (1, "") and "Phone" in done.stderr


def test_schema_list(ready, sites):
    assert byunique.must(ready.settings, "schema", "list") == "" and listed(ready) == []
    ready.apply(schemas.PHONE, schemas.EVERYTHING)
    lines = byunique.must(ready.settings, "schema", "list").splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["Everything", "multi-valued", str(len(schemas.EVERYTHING["attributes"]))],
        ["Phone", "multi-valued", str(len(schemas.PHONE["attributes"]))]]
    assert lines[0].endswith("unique: label, Number")
    assert listed(ready) == [schemas.EVERYTHING, schemas.PHONE]
    # What is listed can be applied elsewhere.
    other = sites()
    byunique.must(other.settings, "init", "--partitions", "1")
    byunique.must(other.settings, "schema", "apply", write(other, "list.json", listed(ready)))
    assert listed(other) == listed(ready)


def test_loose_schema(ready):
    loose = write(ready, "loose.json", """{"name": "Loose", "type": "Multi-Valued", "unique": ["a"], "attributes": [
        {"name": "a", "type": "STRING", "length": "3", "mandatory": "true"},
        {"name": "b", "type": "Integer", "mandatory": "FALSE"}]}""")
    byunique.must(ready.settings, "schema", "apply", loose)
    assert shown(ready, "loose") == {
        "name": "Loose", "type": "multi-valued", "unique": ["a"], "attributes": [
            {"name": "a", "type": "string", "length": 3, "mandatory": True}, {"name": "b", "type": "integer"}]}


BAD = '{"name": "Bad", "type": "multi-valued", "unique": ["a"], "attributes": [\n {"name": "a", "type": "string"},\n %s]}'


@pytest.mark.parametrize("attribute, reason", [
    ('{"name": "b", "type": "text"}', "type"),
    ('{"name": "b", "type": "integer", "length": 5}', "length"),
    ('{"name": "b", "type": "string", "length": "many"}', "length"),
    ('{"name": "b", "type": "string", "mandatory": "perhaps"}', "mandatory"),
    ('{"name": "customer_id", "type": "string"}', "customer_id"),
    ('{"name": "Xmin", "type": "string"}', "Xmin"),
    ('{"name": "A", "type": "string"}', "A"),
    ('{"name": "b", "type": "string",}', ""),
    ('{"name": "b c", "type": "string"}', "letter"),
])
def test_bad_schema(ready, attribute, reason):
    good, path = write(ready, "good.json", schemas.PHONE), write(ready, "bad.json", BAD % attribute)
    done = byunique.run(ready.settings, "schema", "apply", good, path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "%s:3: " % path in done.stderr and reason in done.stderr
    assert listed(ready) == []


@pytest.mark.parametrize("unique", ["[]", '[["a"]]', '"none"', '["b"]'])
def test_bad_unique(ready, unique):
    path = write(ready, "bad.json", '{"name": "Bad", "type": "multi-valued",\n "unique": %s,\n'
                 ' "attributes": [{"name": "a", "type": "string"}]}' % unique)
    done = byunique.run(ready.settings, "schema", "apply", path)
    assert done.returncode == 2 and "%s:2: " % path in done.stderr and "unique" in done.stderr


def test_schema_given_twice(ready):
    one, two = write(ready, "one.json", schemas.PHONE), write(ready, "two.json", dict(schemas.PHONE, name="PHONE"))
    done = byunique.run(ready.settings, "schema", "apply", one, two)
    assert done.returncode == 2 and one in done.stderr and two in done.stderr
    assert listed(ready) == []


def test_incompatible_change(ready):
    ready.apply(schemas.PHONE)
    retyped = copy.deepcopy(schemas.PHONE)
    retyped["attributes"][0]["type"] = "string"
    shorter = copy.deepcopy(schemas.PHONE)
    shorter["attributes"][3]["length"] = 10
    for schema, reason in ((retyped, "type"), (shorter, "length"),
                           (dict(schemas.PHONE, attributes=schemas.PHONE["attributes"][:-1]), "missing"),
                           (dict(schemas.PHONE, type="single-valued", unique=[]), "type"),
                           (changed(schemas.PHONE, name="x", type="string", mandatory=True), "mandatory")):
        files = [write(ready, "new.json", schemas.EVERYTHING), write(ready, "bad.json", schema)]
        done = byunique.run(ready.settings, "schema", "apply", *files)
        assert done.returncode == 2 and done.stdout == "", done.stderr
        assert "Phone" in done.stderr and reason in done.stderr
        assert listed(ready) == [schemas.PHONE]


def test_schema_before_init(site):
    for command in (["list"], ["show", "Phone"], ["apply", write(site, "phone.json", schemas.PHONE)]):
        done = byunique.run(site.settings, "schema", *command)
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert "byunique init" in done.stderr
