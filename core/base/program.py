"""This program itself: its version, and the other people's work that it is made with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution

NAME = "hermes-rescue"
LICENCE = "MIT"

_OURS = ("dev", "dist")
"""Our extras whose packages no installed program needs."""

_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)""")
_LICENCE = re.compile(r"\.dist-info/(?:.*/)?(?:LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """What somebody else has written and this program is made with: ``licence`` by its name, ``texts`` to be handed on
    with it.
    """

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]


def version() -> str:
    """The version of this program, "" where it runs without having been installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(NAME).version
    except PackageNotFoundError:
        return ""


def parts() -> list[Part]:
    """Every package of this installation that the program needs, and what a bundle has besides them, by name."""
    from importlib.resources import files

    found: dict[str, Part] = {}
    _gather(NAME, found)
    found.pop(NAME, None)
    licences = files("hermes_rescue.resources").joinpath("licences", "bundled")
    if licences.is_dir():
        for text in licences.iterdir():
            name = text.name.removesuffix(".txt")
            found[name] = Part(name, "", "", (text.read_text("utf-8"),))
    return sorted(found.values(), key=lambda part: part.name.casefold())


def licences() -> str:
    """The licences of all parts: a list of them, then the texts, each once."""
    listed: list[str] = []
    texts: dict[str, list[str]] = {}
    for part in parts():
        line = " ".join(filter(None, (part.name, part.version)))
        listed.append(f"{line}: {part.licence}" if part.licence else line)
        for text in part.texts:
            texts.setdefault(text.strip("\n"), []).append(line)
    return "\n".join(
        (
            f"Hermes Rescue {version()} has the {LICENCE} licence. It is made with:",
            "",
            *listed,
            *(f"\n{'=' * 40}\n{', '.join(names)}\n\n{text}" for text, names in texts.items()),
        )
    )


def _gather(name: str, found: dict[str, Part]) -> None:
    """Add a package and all that it needs, as far as they are installed."""
    from importlib.metadata import PackageNotFoundError, distribution

    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return
    try:
        package = distribution(name)
    except PackageNotFoundError:  # an extra that is not installed, or of another system
        return
    about = package.metadata
    licence = next((about[each] for each in ("License-Expression", "License") if each in about), "")
    if not licence or "\n" in licence:
        kinds = [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
        licence = ", ".join(each.rpartition(" :: ")[2] for each in kinds)
    found[key] = Part(about["Name"], package.version, licence, tuple(_texts(package, licence)))
    for requirement in package.requires or []:
        extra = _EXTRA.search(requirement)
        needed = _PACKAGE.match(requirement)
        if needed is not None and (extra is None or (name == NAME and extra[1] not in _OURS)):
            _gather(needed[0], found)


def _texts(package: Distribution, licence: str) -> Iterator[str]:
    """The texts of a package's licences: its own, else ours where it names them without having them, as Qt's does."""
    from importlib.resources import files

    is_there = False
    for path in package.files or []:
        if _LICENCE.search(path.as_posix()):
            is_there = True
            yield path.read_text("utf-8")
    if not is_there:
        for text in sorted(files("hermes_rescue.resources").joinpath("licences").iterdir(), key=lambda each: each.name):
            if text.name.removesuffix(".txt") in licence:
                yield text.read_text("utf-8")
