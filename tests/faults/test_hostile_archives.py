"""Archives that a person adds: whatever is in them, nothing is written outside a private folder, and nothing else
suffers.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.places import archives
from hermes_rescue.core.hermes.store import Store, find_store

from tests.conftest import LONG
from tests.core.conftest import SID, Hermes
from tests.core.conftest import hermes as hermes

INSIDE = f"hermes/webui/sessions/{SID}.json"


def session(hermes: Hermes) -> bytes:
    return json.dumps(hermes.session(hermes.turns("one", "two"))).encode()


def with_zip(hermes: Hermes, fill: Callable[[zipfile.ZipFile], object]) -> Store:
    path = hermes.home.parent / "old.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        fill(packed)
    return find_store(home=hermes.home, also=(path,))


def with_tar(hermes: Hermes, fill: Callable[[tarfile.TarFile], object]) -> Store:
    path = hermes.home.parent / "old.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        fill(packed)
    return find_store(home=hermes.home, also=(path,))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def notes(store: Store) -> list[str]:
    return [f.evidence for f in audit(store).store_findings if f.name == "damaged_file"]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_zip_of_an_old_home_gives_back_a_session_and_leaves_nothing(hermes: Hermes, watched: Path) -> None:
    store = with_zip(hermes, lambda packed: packed.writestr(INSIDE, session(hermes)))
    with Inventory(store):
        (private,) = watched.iterdir()
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(path.stat().st_mode) in (0o600, 0o700) for path in private.rglob("*"))
    api.apply(api.plan(store, (SID,)))
    assert hermes.texts() == hermes.said(hermes.turns("one", "two"))
    assert not any(watched.iterdir())


@pytest.mark.parametrize("name", [f"../../../../{SID}.json", f"/{SID}.json", f"..\\..\\{SID}.json", f"C:\\{SID}.json"])
def test_names_of_members_are_no_paths(hermes: Hermes, watched: Path, tmp_path: Path, name: str) -> None:
    store = with_zip(hermes, lambda packed: packed.writestr(name, session(hermes)))
    before = names(tmp_path)
    audit(store)
    assert names(tmp_path) == before


def add(packed: tarfile.TarFile, kind: bytes, name: str, **fields: Any) -> None:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    packed.addfile(info)


def test_links_and_devices_in_a_tar_are_passed_over(hermes: Hermes, watched: Path, tmp_path: Path) -> None:
    secret = tmp_path / f"{SID}.json"
    secret.write_bytes(session(hermes))

    def fill(packed: tarfile.TarFile) -> None:
        add(packed, tarfile.SYMTYPE, INSIDE, linkname=str(secret))
        add(packed, tarfile.LNKTYPE, "a.json", linkname=str(secret))
        add(packed, tarfile.CHRTYPE, "b.json", devmajor=1, devminor=3)
        add(packed, tarfile.FIFOTYPE, "c.json")

    assert audit(with_tar(hermes, fill)).sessions == ()


def test_a_link_in_a_zip_is_passed_over(hermes: Hermes, watched: Path, tmp_path: Path) -> None:
    secret = tmp_path / f"{SID}.json"
    secret.write_bytes(session(hermes))
    info = zipfile.ZipInfo(INSIDE)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert audit(with_zip(hermes, lambda packed: packed.writestr(info, str(secret)))).sessions == ()


def test_a_bomb_is_not_unpacked(hermes: Hermes, watched: Path) -> None:
    store = with_zip(hermes, lambda packed: packed.writestr(INSIDE, b" " * 2**27))
    with Inventory(store):
        assert sum(path.stat().st_size for path in watched.rglob("*") if path.is_file()) < 2**20
    assert any("too large" in note for note in notes(store))


def test_a_member_that_is_larger_than_it_says(hermes: Hermes, watched: Path) -> None:
    store = with_zip(hermes, lambda packed: packed.writestr(INSIDE, b" " * 2**22))
    (archive,) = store.also
    data = bytearray(archive.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with Inventory(store):
        unpacked = [path for path in watched.rglob("*") if path.is_file() and path.name != "owner.lock"]
        assert sum(path.stat().st_size for path in unpacked) <= 10
    assert notes(store)


def test_no_room(hermes: Hermes, watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = with_zip(hermes, lambda packed: packed.writestr(INSIDE, session(hermes)))
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("hermes_rescue.core.hermes.places.archives.shutil.disk_usage", lambda _: usage)
    assert any("no room" in note for note in notes(store))


def test_an_archive_with_very_many_members(hermes: Hermes, watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not LONG:
        monkeypatch.setattr(archives, "MOST_MEMBERS", 1_000)
    most = archives.MOST_MEMBERS

    def fill(packed: zipfile.ZipFile) -> None:
        for k in range(most + 1):
            packed.writestr(f"{k}.txt", b"")

    assert any(f"{most} members" in note for note in notes(with_zip(hermes, fill)))


def test_an_encrypted_archive_is_told(hermes: Hermes, watched: Path) -> None:
    store = with_zip(hermes, lambda packed: packed.writestr(INSIDE, session(hermes)))
    (archive,) = store.also
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert any("encrypted" in note for note in notes(store))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_torn_archive_is_told_and_stops_nothing(hermes: Hermes, watched: Path, kind: str, part: float) -> None:
    hermes.write_live(hermes.turns("one"))
    data = os.urandom(20_000).hex().encode()

    def fill_tar(packed: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("other.json")
        info.size = len(data)
        packed.addfile(info, io.BytesIO(data))

    store = (
        with_zip(hermes, lambda packed: packed.writestr("other.json", data))
        if kind == "zip"
        else with_tar(hermes, fill_tar)
    )
    (archive,) = store.also
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * part)])
    found = audit(store)
    assert [each.session_id for each in found.sessions] == [SID]
    assert notes(store)


def test_what_is_whole_of_a_damaged_member_is_used(hermes: Hermes, watched: Path) -> None:
    path = hermes.home.parent / "old.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(INSIDE, session(hermes))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"answer two", b"answer TWO"))
    store = find_store(home=hermes.home, also=(path,))
    assert notes(store)
    api.apply(api.plan(store, (SID,)))
    assert hermes.texts()[:3] == hermes.said(hermes.turns("one", "two"))[:3]


def test_what_a_process_left_that_died_is_swept(hermes: Hermes, watched: Path) -> None:
    left = watched / "hermes-rescue-abcd"
    left.mkdir(mode=0o700)
    (left / "x").write_bytes(b"x")
    (left / "owner.lock").write_text("held")  # by nobody any more
    made = watched / "hermes-rescue-efgh"
    made.mkdir(mode=0o700)
    (made / "owner.lock").touch()  # by another process, which is about to lock it
    with Inventory(with_zip(hermes, lambda packed: packed.writestr(INSIDE, session(hermes)))):
        assert not left.exists()
        assert made.exists()
    shutil.rmtree(made)
