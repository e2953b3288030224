"""Writing a file in one step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lightsam_plugins.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it takes the place of `path` at the end.

    A reader sees the old file or the whole new one, never half of it. Folders are created.

    Raises:
        InputError: The file cannot be written.
    """
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"cannot write {str(path)!r}",
            got=error.strerror or str(error),
            hint="Choose a folder that you may write to and that has space left.",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()
