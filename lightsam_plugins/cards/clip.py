"""CLIP, which text prompts need: no model of the family, and fetched as ``text``."""

from __future__ import annotations

from lightsam_plugins.model_spec import ModelSpec, WeightFile

NAME = "text"  # of the extra, of the prompt, and of what `lightsam download` fetches for them
FILES = ("model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json")
BY_HAND = (
    f"Run `lightsam download {NAME}` with the network on, or download {', '.join(FILES)} of a CLIP elsewhere and pass "
    "scorer=lightsam_plugins.text_clip.ClipScorer(FOLDER) to lightsam_plugins.text.choose."
)

_REPO = "openai/clip-vit-base-patch32"
# `main` has pickles only. This commit, of a conversion that was never merged, has the same as safetensors; sizes and
# hashes are those that several unrelated projects pin (third parties, as OpenAI publishes none).
_REVISION = "b33cedfd0df4e43b8238760678fcc89e1a0d38b3"


def _file(filename: str, size: int, sha256: str) -> WeightFile:
    return WeightFile(filename, size, sha256, repo=_REPO, revision=_REVISION)


CLIP = ModelSpec(
    name="clip-vit-base-patch32",
    builder="transformers:CLIPModel",
    weights=_file(FILES[0], 605_157_884, "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d"),
    more_weights=(
        _file(FILES[1], 4_186, "b575ef3c36f2a057fa19e221650105052d61cc9c1a972ec15019c6261ec98770"),
        _file(FILES[2], 316, "910e70b3956ac9879ebc90b22fb3bc8a75b6a0677814500101a4c072bd7857bd"),
        _file(FILES[3], 2_224_041, "b556ac8c99757ffb677208af34bc8c6721572114111a6e0aaf5fa69ff0b8d842"),
    ),
    params=151_277_313,
    encoder_side=224,
    prompt_side=224,
    prompts=frozenset({"text"}),
    licence_code="MIT",
    licence_weights="MIT",
    paper="https://arxiv.org/abs/2103.00020",
    repository="https://github.com/openai/CLIP",
    speed="medium",
)
