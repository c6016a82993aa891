"""What is handed on besides the code: the man page, and completions of what can be typed."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import xml.etree.ElementTree
from pathlib import Path
from types import ModuleType

import pytest
from hermes_rescue.core.base.program import version
from hermes_rescue.core.terminal.commands import app

PACKAGING = Path(__file__).parents[1] / ".packaging"


@pytest.fixture(scope="module")
def share(documents: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    commands = documents.commands()
    for name, make in documents.DOCUMENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(make(commands))
    return folder


def test_every_command_and_option_is_in_the_man_page(documents: ModuleType, share: Path) -> None:
    page = (share / "man/man1/hermes-rescue.1").read_text().replace("\\-", "-")
    commands = documents.commands()
    top = set(app.commands)
    assert {command.name.split()[0] for command in commands if command.name} == top
    for command in commands[1:]:
        section = page.partition(f".SS {command.name}")[2].partition(".SS ")[0]
        assert section, command.name
        assert command.summary in section
        for option in command.options:
            assert ", ".join(option.names) in section, (command.name, option.names)


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here")
def test_man_shows_the_page_without_a_warning(share: Path) -> None:
    page = share / "man/man1/hermes-rescue.1"
    done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "EXIT STATUS" in done.stdout


def test_the_list_of_changes_has_this_version_and_its_date(documents: ModuleType, share: Path) -> None:
    date = documents.released()
    assert datetime.date.fromisoformat(date)
    assert f'"{date}" "Hermes Rescue {version()}"' in (share / "man/man1/hermes-rescue.1").read_text()


def completed(share: Path, *words: str) -> set[str]:
    """What bash offers after some words; the last one is what was begun."""
    script = share / "bash-completion/completions/hermes-rescue"
    program = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_hermes_rescue
printf '%s\\n' "${COMPREPLY[@]}"
"""
    typed = ["bash", "-c", program, "bash", str(script), "hermes-rescue", *words]
    return set(subprocess.run(typed, capture_output=True, text=True, check=True).stdout.split())


def test_bash_completes_commands_options_and_values(share: Path) -> None:
    assert completed(share, "re") == {"repair", "report"}
    assert {"--all", "--dry-run", "--home"} <= completed(share, "repair", "--")
    assert "--older-than" not in completed(share, "vault", "--")
    assert "prune" in completed(share, "vault", "")
    assert "--older-than" in completed(share, "vault", "prune", "--")
    assert completed(share, "export", "--form", "") == {"md", "html", "json", "pdf"}
    assert completed(share, "audit", "--home", "") == set()  # bash itself offers files then


@pytest.mark.parametrize(
    ("shell", "name"),
    [("zsh", "zsh/site-functions/_hermes-rescue"), ("fish", "fish/vendor_completions.d/hermes-rescue.fish")],
)
def test_the_other_shells_can_read_theirs(share: Path, shell: str, name: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-n", share / name], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Every session that has one right answer" in (share / name).read_text()


def test_fish_completes_commands_and_options(share: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    script = share / "fish/vendor_completions.d/hermes-rescue.fish"

    def offered(line: str) -> set[str]:
        asked = ["fish", "--no-config", "-c", f"source '{script}'; complete -C '{line}'"]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        return {each.partition("\t")[0] for each in done.stdout.splitlines()}

    assert offered("hermes-rescue re") == {"repair", "report"}
    assert {"--all", "--dry-run"} <= offered("hermes-rescue repair --")
    assert offered("hermes-rescue vault pr") == {"prune"}


def test_the_desktop_finds_the_window_by_one_name() -> None:
    entry = (PACKAGING / "hermes-rescue.desktop").read_text()
    about = xml.etree.ElementTree.parse(PACKAGING / "hermes-rescue.metainfo.xml").getroot()
    assert about.findtext("launchable") == "hermes-rescue.desktop"
    assert "\nExec=hermes-rescue-gui\n" in entry
    assert "\nIcon=hermes-rescue\n" in entry
