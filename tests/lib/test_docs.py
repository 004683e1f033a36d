"""What the documents point at is there."""

import re

from lib.servers import ROOT


def test_guarantees_name_tests_that_exist():
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", (ROOT / "docs/guarantees.md").read_text())
    assert len(named) > 40
    for file, name in named:
        text = (ROOT / "tests/it" / file).read_text()
        assert not name or re.search(r"^def %s\(" % name, text, re.MULTILINE), "%s has no %s" % (file, name)


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / name for name in ("README.md", "SECURITY.md", "deploy/README.md")] + list((ROOT / "docs").glob("*.md"))
    found = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())]
    assert len(found) > 10
    for page, link in found:
        assert (page.parent / link).exists(), "%s: %s" % (page, link)
