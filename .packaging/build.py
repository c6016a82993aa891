"""Makes all that is handed on, into ``dist``: wheel and sdist, the bundles, the terminal as one file, checksums.

``make dist`` runs it with the tools of the extra ``dist``. It takes what is installed in its own environment.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from hermes_rescue.core.base.program import version

NAME = "hermes-rescue"
ROOT = Path(__file__).parents[1]
HERE = ROOT / ".packaging"
BUILD, DIST = ROOT / "build", ROOT / "dist"


def main() -> None:
    """Build everything anew."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    python("-m", "build", "--no-isolation", "--outdir", str(DIST), str(ROOT))
    share = BUILD / "share"
    shutil.rmtree(share, ignore_errors=True)
    python(HERE / "documents.py", share)
    icons = BUILD / "icons"
    python(HERE / "icons.py", icons)
    shutil.copytree(icons / "hicolor", share / "icons" / "hicolor")
    shutil.copytree(ROOT / "resources" / "systemd", share / "systemd" / "user")
    for name, place in ((f"{NAME}.desktop", "applications"), (f"{NAME}.metainfo.xml", "metainfo")):
        (share / place).mkdir(exist_ok=True)
        shutil.copy(HERE / name, share / place / name)
    bundles = BUILD / "bundles"
    python(
        *("-m", "PyInstaller", "--noconfirm", "--distpath", bundles, "--workpath", BUILD / "pyinstaller"),
        HERE / f"{NAME}.spec",
    )
    hand_on(bundles, share)


def hand_on(bundles: Path, share: Path) -> None:
    """Put the bundles into ``dist``, with the documents in the folder, and write the checksums of all."""
    system = f"{version()}-{platform.system().lower()}-{platform.machine().lower()}"
    suffix = ".exe" if sys.platform == "win32" else ""
    for single in (NAME, f"{NAME}-gui"):
        shutil.copy2(bundles / f"{single}-single{suffix}", DIST / f"{single}-{system}{suffix}")
    folder = bundles / NAME
    shutil.copytree(share, folder / "share", dirs_exist_ok=True)
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
    listed = subprocess.run([folder / f"{NAME}{suffix}", "licences"], capture_output=True, check=True).stdout
    (folder / "LICENCES-OF-OTHERS.txt").write_bytes(listed)
    with tarfile.open(DIST / f"{NAME}-{system}.tar.xz", "w:xz") as archive:
        archive.add(folder, f"{NAME}-{version()}")  # no name that another file here has: it would be replaced
    made = sorted(DIST.iterdir())
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made]
    (DIST / "SHA256SUMS").write_text("".join(sums))
    for path in made:
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path.relative_to(ROOT)}")


def python(*arguments: object) -> None:
    """Run Python with some arguments in the folder of the project; ends this program where that fails."""
    done = subprocess.run([sys.executable, *map(str, arguments)], cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
