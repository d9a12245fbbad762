"""What can be served, and what is said of what cannot."""

import json
import shutil
from pathlib import Path

import pytest
import serving

from burnish.errors import ArtifactError
from burnish.serve.folder import ServableFolder

served_folder = serving.served_folder


def test_a_folder_says_what_serving_must_know(served_folder: Path) -> None:
    assert ServableFolder.read(served_folder) == ServableFolder(served_folder, 320, 512, (2,))


def test_a_folder_without_a_model_is_refused_with_a_remedy(tiny_model: Path) -> None:
    with pytest.raises(
        ArtifactError, match=r"openvino_model\.xml, openvino_model\.bin missing; give the folder or the digest"
    ):
        ServableFolder.read(tiny_model)


@pytest.mark.parametrize(("eos", "found"), [([7, 8], (7, 8)), (0, (0,))])
def test_generation_config_names_the_ends(served_folder: Path, tmp_path: Path, eos: object, found: object) -> None:
    folder = shutil.copytree(served_folder, tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))
    assert ServableFolder.read(folder).eos_token_ids == found


@pytest.mark.parametrize("eos", [None, -1, []])
def test_a_model_without_an_end_is_refused(served_folder: Path, tmp_path: Path, eos: object) -> None:
    folder = shutil.copytree(served_folder, tmp_path / "model")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))
    with pytest.raises(ArtifactError, match="eos_token_id as integers"):
        ServableFolder.read(folder)


def test_unreadable_json_is_named(served_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(served_folder, tmp_path / "model")
    (folder / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config\.json is not readable JSON"):
        ServableFolder.read(folder)
