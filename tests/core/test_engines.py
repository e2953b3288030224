"""Engines: the same embeddings by other means, made once."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from seeded import Patches, photo, seeded_network

import lightsam_plugins as ls
from lightsam_plugins.engines import converted, openvino_engine, store
from lightsam_plugins.engines.store import stored
from lightsam_plugins.errors import DeviceError, EngineError, MissingExtra, OptionError
from lightsam_plugins.models.fastsam import FastSam
from lightsam_plugins.registry import model_card
from lightsam_plugins.segmenter import Segmenter

IMAGE, BOX = photo(120, 160), [20, 10, 130, 100]
# One of each family; what is slow at its real size is in miniature, see `seeded`.
FAMILIES = [
    "nano",
    "edgesam",
    "efficientsam-ti",
    "efficientvit-sam-l0",
    "mobilesamv2",
    "repvit-sam",
    "sam-vit-b",
    "tinysam",
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests here: a model is converted once."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(autouse=True)
def _in_kept(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTSAM_CACHE", str(kept))


@pytest.fixture
def cache(_in_kept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nothing was converted in yet."""
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path))
    return tmp_path / "engines"


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each conversion by OpenVINO."""
    done = []
    convert = openvino_engine.convert

    def counted(program: torch.export.ExportedProgram, folder: Path) -> None:
        done.append(folder.name)
        convert(program, folder)

    monkeypatch.setattr(openvino_engine, "convert", counted)
    return done


def both(name: str, engine: str, dtype: torch.dtype = torch.float32) -> tuple[Segmenter, Segmenter]:
    """A model run by torch in float32, and the same in an engine."""
    card = model_card(name)
    return Segmenter(seeded_network(name), card), Segmenter(seeded_network(name), card, "cpu", dtype, engine)


def small(
    engine: str = "torch", dtype: torch.dtype = torch.float32, network: Patches | None = None
) -> Segmenter:
    """Such an encoder in an engine; it cannot be prompted."""
    return Segmenter(network or Patches(), model_card("nano"), "cpu", dtype, engine)


def apart(one: ls.Embedding, other: ls.Embedding) -> float:
    """The largest relative error of a feature."""
    errors = [
        float((other.features[name].float() - right.float()).norm() / right.float().norm())
        for name, right in one.features.items()
    ]
    return max(errors)


@pytest.mark.parametrize("name", FAMILIES)
def test_openvino_encodes_what_torch_encodes(name: str) -> None:
    """Of every family the embeddings are equal, and each is used by the model that did not make it."""
    here, there = both(name, "openvino")
    mine, theirs = here.embed(IMAGE), there.embed(IMAGE)

    assert apart(mine, theirs) < 1e-5
    assert (mine.model, mine.frame) == (theirs.model, theirs.frame)
    expected = here.segment(mine, boxes=BOX).dense()
    for masks in (here.segment(theirs, boxes=BOX), there.segment(mine, boxes=BOX)):
        assert np.mean(masks.dense() != expected) < 1e-3


def test_onnx_runtime_encodes_what_torch_encodes() -> None:
    """ONNX Runtime makes the embedding that torch makes."""
    here, there = both("efficientvit-sam-l0", "onnxruntime")

    assert apart(here.embed(IMAGE), there.embed(IMAGE)) < 1e-5


def test_torch_compile_encodes_what_torch_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled by torch, the encoder makes the same embedding."""
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)  # no pool of processes for one kernel
    assert apart(small().embed(IMAGE), small("compile").embed(IMAGE)) < 1e-5


def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch cannot compile, the error says what it needs and what works without."""

    def compiler(function: object) -> Callable[[torch.Tensor], None]:
        def fail(images: torch.Tensor) -> None:
            raise RuntimeError("no g++")

        return fail

    monkeypatch.setattr(torch, "compile", compiler)

    with pytest.raises(
        EngineError, match=r"torch cannot compile the encoder of 'nano' here: got RuntimeError: no g\+\+"
    ):
        small("compile").embed(IMAGE)


def test_bfloat16_is_only_used_when_asked_for() -> None:
    """In float32 the error is that of float32, also where the CPU has bfloat16; features have the dtype asked for."""
    here, exact = both("nano", "openvino")
    _, rounded = both("nano", "openvino", torch.bfloat16)
    embedding = rounded.embed(IMAGE)

    assert apart(here.embed(IMAGE), exact.embed(IMAGE)) < 1e-6
    assert 1e-4 < apart(here.embed(IMAGE), embedding) < 2e-2
    assert {tensor.dtype for tensor in embedding.features.values()} == {torch.bfloat16}
    assert len(rounded.segment(IMAGE, boxes=BOX)) == 1


def test_letterboxes_of_any_sides() -> None:
    """FastSAM's maps are torch's for images of other sides than the one that was converted, in one list."""
    card = model_card("fastsam-s")
    network = FastSam((8, 16, 32, 32, 32), (1, 1, 1, 1, 1), 32).eval()
    here, there = Segmenter(network, card), Segmenter(network, card, engine="openvino")
    images = [photo(120, 160), photo(160, 90), photo(120, 160, 1)]

    for mine, theirs in zip(here.embed(images), there.embed(images), strict=True):
        assert mine.features.keys() == theirs.features.keys()
        right = mine.features["prototypes"]
        assert (theirs.features["prototypes"] - right).norm() < 1e-5 * right.norm()


def test_an_encoder_is_converted_once(conversions: list[str], cache: Path) -> None:
    """The second model of the same weights takes the first one's, other weights are converted anew."""
    small("openvino")
    small("openvino", torch.bfloat16)
    assert len(conversions) == 1

    other = Patches()
    other.layer.weight.data += 1
    small("openvino", network=other)
    assert len(conversions) == 2


def test_other_code_is_another_copy(
    conversions: list[str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that an earlier version of the networks' code made of the same weights is not taken."""
    small("openvino")
    (tmp_path / "network.py").write_text("x = 1\n", "utf-8")
    monkeypatch.setattr(store, "_NETWORKS", tmp_path)
    small("openvino")
    assert len(conversions) == 2


@pytest.mark.parametrize("damage", ["cut off", "removed", "no contents"])
def test_a_damaged_copy_is_made_again(conversions: list[str], cache: Path, damage: str) -> None:
    """Whatever happened to the files in the cache, the next load repairs them."""
    small("openvino")
    (folder,) = (path for path in cache.iterdir() if path.is_dir())
    weights, contents = folder / "encoder.bin", folder / "contents.json"
    if damage == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (weights if damage == "removed" else contents).unlink()

    there = small("openvino")

    assert len(conversions) == 2
    assert apart(small().embed(IMAGE), there.embed(IMAGE)) < 1e-5


def test_what_was_stopped_half_way_is_not_used(cache: Path) -> None:
    """A conversion that fails leaves nothing that a later load would take for whole."""

    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored("it", fail)
    made = stored("it", lambda folder: (folder / "whole").write_bytes(b"2") and None)

    assert {path.name for path in made.iterdir()} == {"whole", "contents.json"}


def test_two_processes_convert_once(cache: Path) -> None:
    """Two processes that ask at the same time both get a whole folder, which one of them filled."""
    code = (
        "import sys, time\n"
        "from lightsam_plugins.engines.store import stored\n"
        "def make(folder):\n"
        "    print('made')\n"
        "    time.sleep(0.5)\n"
        "    (folder / 'one').write_text('1')\n"
        "print((stored('it', make) / 'one').read_text())"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
        for _ in range(2)
    ]
    said = [process.communicate()[0].split() for process in running]

    assert sorted(said, key=len) == [["1"], ["made", "1"]]


def test_threads_share_a_model() -> None:
    """Several threads encode by one model at once, each its own image."""
    model = small("openvino")
    images = [photo(100, 120, seed) for seed in range(4)]
    alone = [model.embed(image) for image in images]
    found: dict[int, ls.Embedding] = {}
    threads = [
        threading.Thread(target=lambda row=row: found.update({row: model.embed(images[row])}))
        for row in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(apart(alone[row], found[row]) == 0 for row in range(4))


def test_torchs_number_of_threads_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO is given as many threads as torch has, also after a change."""
    model = small("openvino")
    given = []
    opened = openvino_engine.open_session

    def watched(folder: Path, shape: tuple[int, ...], threads: int, *, bfloat16: bool) -> object:
        given.append(threads)
        return opened(folder, shape, threads, bfloat16=bfloat16)

    monkeypatch.setattr(openvino_engine, "open_session", watched)
    before = torch.get_num_threads()
    try:
        for threads in (1, 1, 2):
            torch.set_num_threads(threads)
            model.embed(IMAGE)
    finally:
        torch.set_num_threads(before)

    assert given == [1, 2]


def test_load_takes_an_engine(tmp_path: Path) -> None:
    """`load` passes it on, takes the CPU by itself, and the model says what it is run by."""
    path = tmp_path / "mine.safetensors"
    save_file({name: t.contiguous() for name, t in seeded_network("nano").state_dict().items()}, path)
    model = ls.load("nano", weights=path, engine="openvino")

    assert repr(model) == "Segmenter('nano', device='cpu', dtype='float32', engine='openvino')"
    assert model.engine == "openvino"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"engine": "openvin"}, OptionError, "unknown engine: expected one of .* Did you mean 'openvino'"),
        (
            {"engine": "openvino", "dtype": "float16"},
            DeviceError,
            "does not compute in float16: expected dtype",
        ),
        ({"engine": "onnxruntime", "dtype": "bfloat16"}, DeviceError, "does not compute in bfloat16"),
        ({"engine": "openvino", "device": "tpu"}, DeviceError, "device 'tpu' is not there"),
    ],
)
def test_what_an_engine_cannot_do(arguments: dict[str, str], error: type[Exception], message: str) -> None:
    """A name or a precision that does not go with an engine is refused, with what does."""
    with pytest.raises(error, match=message):
        ls.load("nano", **arguments)


def test_an_engine_stays_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in an engine cannot be moved to a GPU: the error says what to do."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    model = small("openvino")

    with pytest.raises(DeviceError, match=r"the engine 'openvino' does not run on cuda: .* Leave engine out"):
        model.to("cuda:0")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without OpenVINO the error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "openvino", None)

    with pytest.raises(
        MissingExtra, match=r'openvino, which is not installed: .* pip install "lightsam-plugins\['
    ):
        ls.load("nano", engine="openvino")


def test_a_network_that_cannot_be_converted(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """An engine that fails is named, with what it said, and nothing is left in the cache."""

    def fail(program: object, folder: Path) -> None:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(openvino_engine, "convert", fail)

    with pytest.raises(
        EngineError, match="the encoder of 'nano' cannot be converted for openvino: got NotImpl"
    ):
        small("openvino")
    assert not [
        path for path in cache.iterdir() if path.suffix != ".lock" and (path / "contents.json").exists()
    ]


def test_an_engine_that_answers_otherwise(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Before an engine is used its answer is compared with torch's, and a wrong one is refused."""
    monkeypatch.setattr(converted, "TOLERANCE", 0.0)

    with pytest.raises(
        EngineError, match="openvino answers otherwise than torch for the encoder of 'nano', map"
    ):
        small("openvino")


def test_what_torch_cannot_export(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """A network whose work depends on the image is refused by name."""
    network = Patches()
    monkeypatch.setattr(
        network, "encode", lambda images: {"all": images[images > 0]} if images.sum() > 0 else {}
    )

    with pytest.raises(EngineError, match="the encoder of 'nano' cannot be exported from torch: got "):
        small("openvino", network=network)


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the cache is no folder the error names it and the variable to set."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LIGHTSAM_CACHE", str(tmp_path / "file"))

    with pytest.raises(EngineError, match="cannot be stored in .* Point LIGHTSAM_CACHE to a folder"):
        small("openvino")
