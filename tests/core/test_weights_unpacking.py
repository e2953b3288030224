"""A checkpoint inside a zip archive is read as it is unpacked: right wherever one reads, and in one pass."""

from __future__ import annotations

import io
import pathlib
import random
import zipfile

import pytest
import torch

from lightsam_plugins.errors import WeightsError
from lightsam_plugins.weights import read_tensors, unpacking
from lightsam_plugins.weights.graph import Damaged
from lightsam_plugins.weights.unpacking import Unpacked

CONTENT = random.Random(0).randbytes(200_000)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each start of unpacking is noted, and only 5,000 bytes at the end are kept."""
    noted: list[int] = []
    start = Unpacked.__init__

    def noting(self: Unpacked, reopen, size: int) -> None:
        start(self, lambda: (noted.append(size), reopen())[1], size)

    monkeypatch.setattr(Unpacked, "__init__", noting)
    monkeypatch.setattr(unpacking, "TAIL", 5_000)
    return noted


def test_any_place_can_be_read(starts: list[int]) -> None:
    """Reads and seeks of all kinds give what a file in memory gives, and going on costs no new start."""
    chance, plain = random.Random(1), io.BytesIO(CONTENT)
    file = io.BufferedReader(Unpacked(lambda: io.BytesIO(CONTENT), len(CONTENT)), 1 << 12)

    for place in [*sorted(chance.sample(range(len(CONTENT)), 30)), 199_000, 196_000, 200_000, 300_000, 20]:
        assert file.seek(place) == plain.seek(place)
        count = chance.choice([1, 100, 30_000])
        assert file.read(count) == plain.read(count)
    assert len(starts) < 35
    assert file.seek(-300, io.SEEK_END) == plain.seek(-300, io.SEEK_END)
    assert file.read() == plain.read()


def test_reading_on_is_one_pass(starts: list[int]) -> None:
    """After the pass that compares the CRC, reading from front to end starts once, and the end is kept."""
    file = io.BufferedReader(Unpacked(lambda: io.BytesIO(CONTENT), len(CONTENT)))

    assert file.seek(-4_000, io.SEEK_END)
    assert file.read() == CONTENT[-4_000:]
    assert len(starts) == 1
    file.seek(0)
    assert file.read() == CONTENT
    assert len(starts) == 2


def test_going_back_for_ever_is_refused(starts: list[int]) -> None:
    """A file that would have to be unpacked anew for every record is refused."""
    file = Unpacked(lambda: io.BytesIO(CONTENT), len(CONTENT))

    def backwards() -> None:
        for place in range(100_000, 0, -1_000):
            file.seek(place)
            file.read(10)

    with pytest.raises(Damaged, match="records lie in no order"):
        backwards()
    assert len(starts) <= unpacking.MAX_RESTARTS + 1


def reordered(path: pathlib.Path, state: dict[str, torch.Tensor]) -> None:
    """A zip around a checkpoint whose records lie in the order of their names as texts, as torch had it once."""
    saved, sorted_again = io.BytesIO(), io.BytesIO()
    torch.save(state, saved)
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(sorted_again, "w") as target:
        for name in sorted(source.namelist()):
            target.writestr(name, source.read(name))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.pt", sorted_again.getvalue())


def test_storages_are_read_in_the_order_of_the_file(starts: list[int], tmp_path: pathlib.Path) -> None:
    """Records in another order than the names' cost no further pass, and each name has its numbers."""
    state = {f"layer{number}": torch.full((1000,), float(number)) for number in range(40)}
    reordered(tmp_path / "old.pt.zip", state)

    tensors = read_tensors(tmp_path / "old.pt.zip")

    assert list(tensors) == list(state)
    assert all(torch.equal(tensors[name], state[name]) for name in state)
    assert len(starts) <= 4  # CRC; the kind of file; its description; the storages


def test_an_archive_with_a_wrong_crc_is_refused(tmp_path: pathlib.Path) -> None:
    """A byte that changed in the file inside is noticed before any number is taken, whatever the format."""
    saved = io.BytesIO()
    torch.save({"a": torch.ones(3000)}, saved, _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(tmp_path / "w.zip", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("weights.pt", saved.getvalue())
    data = bytearray((tmp_path / "w.zip").read_bytes())
    data[data.index(b"\x00\x00\x80?\x00\x00\x80?") + 2] ^= 1
    (tmp_path / "w.zip").write_bytes(data)

    with pytest.raises(WeightsError, match="Bad CRC-32"):
        read_tensors(tmp_path / "w.zip")
