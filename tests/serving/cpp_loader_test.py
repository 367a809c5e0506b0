"""The export without Python: loaded and run by TensorFlow's C++ library."""

import pathlib
import shutil
import subprocess

import pytest
import tensorflow as tf

from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving.saved_model import export_saved_model
from tests.serving import small

SEEDED = {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "seed": 4}
SOURCE = pathlib.Path(__file__).with_name("load.cc")


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    """The C++ program, built against the installed TensorFlow."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to build a C++ loader with")
    program = tmp_path_factory.mktemp("loader") / "load"
    library = tf.sysconfig.get_lib()
    subprocess.run(
        [
            *(compiler, "-std=c++17", "-O0", "-w", str(SOURCE)),
            *("-o", str(program)),
            *tf.sysconfig.get_compile_flags(),
            # Sessions register themselves when the library is loaded.
            *(f"-L{library}", f"-Wl,--no-as-needed,-rpath,{library}"),
            *("-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"),
        ],
        check=True,
    )
    return program


def run(loader, export, *texts):
    return subprocess.run(
        [loader, export, *texts], capture_output=True, check=False, text=True
    )


@pytest.mark.slow
def test_a_cpp_process_writes_what_python_writes(loader, tmp_path):
    model = small.model(tmp_path)
    model.compile(sampler=SeededSampler(**SEEDED))
    export = tmp_path / "1"
    export_saved_model(model, export, max_new_tokens=8, **SEEDED)

    done = run(loader, export, *small.PROMPTS)
    assert done.returncode == 0, done.stderr
    texts = done.stdout.split("\0")[:-1]
    assert texts == model.generate(small.PROMPTS, max_new_tokens=8)
    assert texts != small.PROMPTS

    done = run(loader, export, "z" * 60)
    assert done.returncode == 2
    assert "Prompt and new tokens must fit" in done.stderr


@pytest.mark.slow
def test_a_cpp_process_refuses_a_half_written_export(loader, tmp_path):
    (tmp_path / "variables").mkdir()
    done = run(loader, tmp_path, "cat")
    assert done.returncode == 1
    assert "Could not find SavedModel" in done.stderr
