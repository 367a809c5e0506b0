"""What is installed, what importing costs, and what the repository names."""

import importlib
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import gpt3_keras
from tests import rooms

PROJECT = tomllib.loads((rooms.ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (rooms.ROOT / "requirements.lock").read_text("utf-8")

# Homes of people and programs, and hosts that serve packages. The patterns
# are written so that they do not match themselves.
FORBIDDEN = re.compile(
    r"(?<![\w.])/(?:root|home|work|opt|Users|tmp)/"
    r"|\b(?:pypi|pythonhosted|registry\.npmjs|conda\.anaconda)\.(?:org|com)\b"
    r"|--(?:index-url|extra-index-url|find-links|trusted-host)",
    re.IGNORECASE,
)


def pins(lock):
    """The versions of a lock's text by name; raises on any other line."""
    versions = {}
    for line in lock.replace("\\\n", "").splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(
            r"([a-z0-9-]+)(?:\[[a-z]+\])?==([\w.!+-]+)"
            r"((?: +--hash=sha256:[0-9a-f]{64})+)",
            line.rstrip(),
        )
        if match is None:
            raise ValueError(f"not a version with its hashes: {line}")
        versions[match[1]] = Version(match[2])
    return versions


def forbidden(text):
    """The machine paths and registry hosts that `text` names."""
    return [match[0] for match in FORBIDDEN.finditer(text)]


def test_the_lock_pins_every_version_with_its_hashes():
    assert len(pins(LOCK)) > 100


@pytest.mark.parametrize(
    "line",
    [
        "keras>=3 --hash=sha256:" + 64 * "0",
        "keras==3.15.1",
        "--index" + "-url https://example.org/simple",
        "-e .",
        "keras @ file:///keras.whl",
    ],
)
def test_a_loose_lock_is_found(line):
    with pytest.raises(ValueError, match="not a version with its hashes"):
        pins(line)


def test_the_lock_satisfies_the_project():
    versions = pins(LOCK)
    project = PROJECT["project"]
    for text in [
        *PROJECT["build-system"]["requires"],
        *project["dependencies"],
        *project["optional-dependencies"]["test"],
    ]:
        needed = Requirement(text)
        name = canonicalize_name(needed.name)
        assert name in versions, f"requirements.lock lacks {name}"
        assert versions[name] in needed.specifier, (
            f"requirements.lock has {name} {versions[name]}, not {text}"
        )


def test_the_lock_leaves_what_brings_drivers_out():
    """PyTorch from PyPI brings CUDA; `make torch` installs it by itself."""
    assert not {"torch", "libtpu"} & pins(LOCK).keys()


def test_the_five_packages_are_dependencies():
    names = {Requirement(x).name for x in PROJECT["project"]["dependencies"]}
    assert names >= {
        "tensorflow",
        "keras",
        "keras-nlp",
        "tensorflow-text",
        "tf-models-official",
    }


def test_what_the_package_imports_is_a_dependency():
    modules = {
        module.partition(".")[0]
        for path in rooms.package_files()
        for _, module in rooms.imports(
            (rooms.ROOT / path).read_text("utf-8"), path
        )
    }
    modules -= {*sys.stdlib_module_names, rooms.PACKAGE}
    packages = {
        "absl": "absl-py",
        "apache_beam": "apache-beam",
        "keras_hub": "keras-hub",
        "keras_nlp": "keras-nlp",
        "lm_eval": "lm-eval",
        "rouge_score": "rouge-score",
        "official": "tf-models-official",
        "tensorflow_text": "tensorflow-text",
        "yaml": "pyyaml",
    }
    wanted = PROJECT["project"]["dependencies"]
    # Imported where what they are for is asked for.
    for extra in ("beam", "jax", "lm-eval", "torch"):
        wanted += PROJECT["project"]["optional-dependencies"][extra]
    names = {Requirement(x).name for x in wanted}
    assert {packages.get(x, x) for x in modules} <= names


def test_importing_the_package_is_cheap():
    script = (
        "import sys, gpt3_keras; dir(gpt3_keras); "
        "print([x for x in ('tensorflow', 'keras', 'numpy', 'jax', 'torch') "
        "if x in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=rooms.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", gpt3_keras.__all__)
def test_a_public_name_is_there(name):
    value = getattr(gpt3_keras, name)
    assert value.__name__ == name
    assert value.__module__.startswith("gpt3_keras.")


def test_public_names_are_listed_once_each_way():
    assert gpt3_keras.__all__ == sorted(gpt3_keras._HOMES)
    assert set(gpt3_keras.__all__) <= set(dir(gpt3_keras))
    path = pathlib.PurePath(rooms.PACKAGE, "__init__.py")
    imports = rooms.imports((rooms.ROOT / path).read_text("utf-8"), path)
    seen_by_editors = {
        module for _, module in imports if module.startswith("gpt3_keras.")
    }
    assert seen_by_editors == set(gpt3_keras._HOMES.values())


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match=r"^module 'gpt3_keras' has no attribute 'GPT4'$"
    ):
        gpt3_keras.GPT4  # noqa: B018


def test_the_version_is_the_project_s():
    assert gpt3_keras.__version__ == PROJECT["project"]["version"]


def test_the_command_is_there():
    entry = PROJECT["project"]["scripts"]["gpt3-keras"]
    module, _, function = entry.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_wheel_holds_package_and_configs(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run([*command, "-d", tmp_path], cwd=rooms.ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = (rooms.ROOT / "configs").glob("*.yaml")
    assert names >= {
        *map(str, rooms.package_files()),
        *(f"gpt3_keras/configs/{config.name}" for config in configs),
    }
    assert not [name for name in names if name.startswith("tests")]


def test_the_repository_names_no_machine():
    listing = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=rooms.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip("not a git checkout: what is tracked is not known")
    found = []
    for name in filter(None, listing.stdout.split("\0")):
        path = rooms.ROOT / name
        if path.is_file():
            text = path.read_bytes().decode("utf-8", errors="replace")
            found += [f"{name}: {match}" for match in forbidden(text)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "data = '/" + "work/corpus'",
        "see https://pypi" + ".org/simple",
        "pip install --find" + "-links wheels",
    ],
)
def test_a_machine_s_name_is_found(text):
    assert len(forbidden(text)) == 1
    assert forbidden("../shared/data, http://localhost:8501/v1") == []
