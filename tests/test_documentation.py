"""What the documentation names is there. (The links between pages of the site are checked when it is built.)"""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "src").rglob("*.md")]
NAMED = re.compile(r"\b(?:src|tests|benchmarks|conf|sweeps|web|docs)/[\w./]*\.\w+")  # files of the repository
LINKED = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")  # without links to other sites
COMMANDS = re.compile(r"^    .*train\.py.*(?:\\\n.*)*", re.MULTILINE)
CHOICES = re.compile(r"\b(experiment|model|reconstruction|loss|context|trainer|logger|data|sweep)=([\w,]+)(?=\s|$)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_or_links_to_exist(page: Path) -> None:
    text = page.read_text()
    named = {ROOT / name for name in NAMED.findall(text)} | {page.parent / name for name in LINKED.findall(text)}
    assert [str(path) for path in named if not path.exists() and path.stem != "NAME"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_choices_of_options_in_commands_exist(page: Path) -> None:
    for group, names in CHOICES.findall(" ".join(COMMANDS.findall(page.read_text()))):
        known = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        assert set(names.split(",")) <= known | {"NAME"}, group


def test_the_site_has_every_page() -> None:
    def pages(entries: list[object]) -> set[object]:
        found: set[object] = set()
        for entry in entries:
            value = next(iter(entry.values())) if isinstance(entry, dict) else entry
            found |= pages(value) if isinstance(value, list) else {value}
        return found

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert {path.name for path in (ROOT / "docs").glob("*.md")} | {"tutorial.ipynb"} == listed
