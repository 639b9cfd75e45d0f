"""What is shipped: the wheel's content, the declared kinds, the pinned requirements."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from inscl.config import kinds

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*pip, str(folder / "dist"), str(folder)], check=True, timeout=300)
    return zipfile.ZipFile(next((folder / "dist").glob("*.whl")))


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in (source / "inscl").rglob("*") if path.is_file()}
    files = {name for name in files if "__pycache__" not in name}
    assert "inscl/py.typed" in files
    assert files - set(wheel.namelist()) == set()


def test_the_wheel_holds_the_licence_and_no_tests(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    licence = next(name for name in names if name.endswith("licenses/LICENSE"))
    assert "Apache License" in wheel.read(licence).decode()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"inscl"}


def test_every_declared_component_of_ours_loads() -> None:
    ours = [component for component in kinds.broken() if component.package == "inscl"]
    assert ours == []


def test_every_declared_component_has_a_line_that_says_what_it_is() -> None:
    for kind in ("strategies", "learners", "embedders", "taggers", "scorers"):
        found = kinds.available(kind)
        assert found
        assert [name for name, line in found.items() if not line.endswith((".", "?", ")"))] == []


def requirements_of_inscl() -> list[Requirement]:
    return [Requirement(text) for text in metadata.requires("inscl") or []]


def test_the_core_needs_no_torch() -> None:
    core = {r.name.lower() for r in requirements_of_inscl() if not (r.marker and "extra" in str(r.marker))}
    assert "numpy" in core
    assert not core & {"torch", "transformers", "peft", "accelerate", "sentence-transformers", "datasets", "openai"}


def pinned(python: str) -> dict[str, str]:
    """Versions that a Python version gets from the pinned requirements; a package pinned twice is an error."""
    versions: dict[str, str] = {}
    for name in ("torch", "dev", "models"):
        for line in (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            requirement = Requirement(line)
            environment = {"python_version": python, "python_full_version": f"{python}.0"}
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            (specifier,) = requirement.specifier
            assert specifier.operator == "=="
            assert requirement.name not in versions
            versions[requirement.name] = specifier.version
    return versions


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pinned_versions_satisfy_what_the_package_declares(python: str) -> None:
    versions = pinned(python)
    for requirement in requirements_of_inscl():
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name == "inscl":
            continue
        assert name in versions, f"{name} is not pinned for Python {python}"
        assert versions[name] in requirement.specifier, f"{name} {versions[name]} on Python {python}"


def test_requirements_name_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in path.read_text(encoding="utf-8")
        assert "--" not in path.read_text(encoding="utf-8")


def test_ci_calls_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make --no-print-directory test" in script.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_names_the_pythons_it_wants_when_there_is_none(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = ["make", "setup", "PYTHON=/nowhere/python3.9"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "needs Python 3.10, 3.11, 3.12 or 3.13" in done.stderr
    assert not (tmp_path / ".venv").exists()
