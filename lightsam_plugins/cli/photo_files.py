"""Which photos of a folder are meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightsam_plugins.errors import InputError

_NAMES = (
    "jpg",
    "jpeg",
    "jfif",
    "png",
    "webp",
    "tif",
    "tiff",
    "bmp",
    "gif",
    "ppm",
    "pgm",
    "pbm",
    "jp2",
    "avif",
)
SUFFIXES = frozenset(f".{name}" for name in _NAMES)


def find_images(source: Path, *, recursive: bool, skip: Sequence[Path] = ()) -> dict[str, Path]:
    """The photos of a folder, or the one photo, by name.

    Args:
        source: A file, whatever its suffix, or a folder; there, hidden files and files of other
            types are passed over.
        recursive: Take the folders below too.
        skip: Folders below `source` not to enter, because results go there.

    Returns:
        Paths by their name relative to the folder, with ``/``, sorted.

    Raises:
        InputError: There is no such file or folder, or no photo in it.
    """
    if source.is_file():
        return {source.name: source}
    if not source.is_dir():
        raise InputError(
            f"no file or folder {str(source)!r}", hint="Check the path and the folder you are in."
        )
    barred = {folder.resolve() for folder in skip if source.resolve() in folder.resolve().parents}
    found = {}
    for path in sorted(source.rglob("*") if recursive else source.glob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith(".") for part in name.parts)
        meant = path.suffix.lower() in SUFFIXES and not hidden and not path.is_dir()
        if meant and not barred & set(path.resolve().parents):
            found[name.as_posix()] = path
    if not found:
        raise InputError(
            f"no photo in {str(source)!r}",
            expected=f"files ending in {' '.join(sorted(SUFFIXES))}",
            hint=None if recursive else "Use --recursive to look into the folders below it.",
        )
    return found
