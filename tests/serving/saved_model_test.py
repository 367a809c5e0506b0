import contextlib
import json
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving.saved_model import export_saved_model
from tests.serving import small

SEEDED = {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "seed": 4}
SIGNATURES = ("serving_default", "generate", "generate_ids", "score")

# What a server does, where this package is not installed.
SERVE = """
import json, sys
import tensorflow as tf
import tensorflow_text

request = json.load(sys.stdin)
served = tf.saved_model.load(request["path"])
text = tf.constant(request["text"])
signatures = served.signatures
outputs = {
    "all": signatures["serving_default"](
        text=text, **{k: tf.constant(v) for k, v in request["options"].items()}
    ),
    "defaults": served.generate(text),
    "text": signatures["generate"](text),
    "score": signatures["score"](text),
}
ours = {"gpt3_keras", "keras_hub", "tokenizers"} & set(sys.modules)
json.dump(
    {"ours": sorted(ours)}
    | {
        f"{name}/{key}": [
            x.decode() if isinstance(x, bytes) else x
            for x in value.numpy().tolist()
        ]
        for name, results in outputs.items()
        for key, value in results.items()
    },
    sys.stdout,
)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = small.model(tmp_path_factory.mktemp("tokenizer"))
    model.compile(optimizer="adam", sampler=SeededSampler(**SEEDED))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def export(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "novels" / "1"
    export_saved_model(model, path, max_new_tokens=8, **SEEDED)
    return path


@pytest.fixture(scope="module")
def meta_graph(export):
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((export / "saved_model.pb").read_bytes())
    (meta_graph,) = proto.meta_graphs
    return meta_graph


def test_a_process_without_the_package_gives_what_python_gives(
    model, export, tmp_path
):
    request = {
        "path": str(export),
        "text": small.PROMPTS,
        "options": {"max_new_tokens": 11, **SEEDED},
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", SERVE],
        input=json.dumps(request),
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["ours"] == []
    for name, length in (("all", 11), ("defaults", 8), ("text", 8)):
        for key, strip_prompt in (
            ("generated_text", False),
            ("completion", True),
        ):
            assert outputs[f"{name}/{key}"] == model.generate(
                small.PROMPTS,
                max_new_tokens=length,
                strip_prompt=strip_prompt,
            )
    scores = model.score(small.PROMPTS)
    assert outputs["score/num_tokens"] == scores["num_tokens"].tolist()
    np.testing.assert_allclose(
        outputs["score/log_prob"], scores["log_prob"], rtol=1e-5
    )


def test_signatures_have_names_types_and_defaults(meta_graph):
    signatures = {
        name: {
            alias: tf.dtypes.as_dtype(info.dtype).name
            for alias, info in signature.inputs.items()
        }
        for name, signature in meta_graph.signature_def.items()
        if not name.startswith("__")
    }
    options = {
        "max_new_tokens": "int32",
        "temperature": "float32",
        "top_k": "int32",
        "top_p": "float32",
        "seed": "int32",
    }
    assert signatures == {
        "serving_default": {"text": "string", **options},
        "generate": {"text": "string"},
        "generate_ids": {
            "token_ids": "int32",
            "padding_mask": "bool",
            **options,
        },
        "score": {"text": "string"},
    }
    for name in ("serving_default", "generate_ids"):
        defaults = meta_graph.signature_def[name].defaults
        values = {k: tf.make_ndarray(v).item() for k, v in defaults.items()}
        assert values == pytest.approx({"max_new_tokens": 8, **SEEDED})


def test_a_session_may_leave_options_out(model, export):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(export))
        signature = graph.signature_def["serving_default"]
        text = session.run(
            signature.outputs["generated_text"].name,
            {signature.inputs["text"].name: small.PROMPTS},
        )
    expected = model.generate(small.PROMPTS, max_new_tokens=8)
    assert [x.decode() for x in text] == expected


def operations(graph_def):
    """Names of all operations of a graph and of all of its functions."""
    nodes = list(graph_def.node)
    for function in graph_def.library.function:
        nodes.extend(function.node_def)
    return {node.op for node in nodes}


def test_the_graph_needs_no_python_no_device_and_no_state(meta_graph):
    found = operations(meta_graph.graph_def)
    assert "While" in found
    # `AssignVariableOp` stands in the graph that restores the weights.
    inside = set()
    for function in meta_graph.graph_def.library.function:
        if "restore" not in function.signature.name:
            inside |= {node.op for node in function.node_def}
    forbidden = (
        "PyFunc",
        "Cudnn",
        "MutableHashTable",
        "MutableDenseHashTable",
        "HashTable",
        "Xla",
        "NcclAllReduce",
    )
    for name in sorted(found):
        assert not any(word in name for word in forbidden), name
    for name in sorted(inside):
        assert not name.startswith(("Assign", "ResourceApply")), name
        assert "Random" not in name, name  # Samples hash seed and place.


def test_no_function_asks_for_xla(meta_graph):
    for function in meta_graph.graph_def.library.function:
        compiled = function.attr["_XlaMustCompile"].b
        assert not compiled, function.signature.name


def test_the_graph_has_only_operations_of_tensorflow(meta_graph):
    # Those of tensorflow_text have this mark, or are unknown without it.
    assert not [x for x in operations(meta_graph.graph_def) if ">" in x]


def test_the_weights_are_all_and_alone(model, export):
    variables = tf.train.list_variables(str(export / "variables/variables"))
    shapes = sorted(
        tuple(shape)
        for name, shape in variables
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH"
    )
    assert shapes == sorted(tuple(w.shape) for w in model.backbone.weights)


def test_the_export_says_what_it_was_made_from(model, export):
    about = json.loads((export / "assets.extra/gpt3_keras.json").read_text())
    assert about["backbone"] == model.backbone.get_config()
    assert about["options"] == {"max_new_tokens": 8, **SEEDED}
    fingerprint = model.preprocessor.tokenizer.fingerprint()
    assert about["tokenizer_sha256"] == fingerprint
    assert [x.name for x in export.parent.iterdir()] == [export.name]


def test_an_empty_folder_is_taken(model, tmp_path, saves_nothing):
    path = tmp_path / "1"
    path.mkdir()
    export_saved_model(model, f"{path}/")
    assert (path / "assets.extra" / "gpt3_keras.json").exists()
    assert [x.name for x in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["saved_model.pb"], "already holds an export, which stays as it is"),
        (["variables/variables.index"], "holds a half-written export; delete"),
        (["notes.txt"], "is not empty and stays as it is; name another"),
    ],
)
def test_what_is_at_the_path_stays(model, tmp_path, files, message):
    path = tmp_path / "1"
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("kept")
    with pytest.raises(ValueError, match=f"{path} {message}"):
        export_saved_model(model, path)
    assert [(path / name).read_text() for name in files] == ["kept"]
    assert [x.name for x in tmp_path.iterdir()] == ["1"]


def test_a_file_is_no_folder(model, tmp_path):
    path = tmp_path / "1"
    path.write_text("kept")
    with pytest.raises(ValueError, match=f"{path} is a file; name a folder"):
        export_saved_model(model, path)
    assert path.read_text() == "kept"


@pytest.fixture
def saves_nothing(monkeypatch):
    """The graph is not traced: for tests of what happens around it."""

    def save(module, folder, **kwargs):
        tf.io.gfile.makedirs(f"{folder}/variables")

    monkeypatch.setattr(tf.saved_model, "save", save)


@contextlib.contextmanager
def full_disk():
    """Files may not grow beyond 10 kB, a log that tests write to included."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_nothing_behind(model, tmp_path):
    path = tmp_path / "1"
    expected = pytest.raises(OSError, match="The export was not written: ")
    with expected, full_disk():
        export_saved_model(model, path)
    assert not list(tmp_path.iterdir())


def test_a_half_written_export_does_not_load(export, tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "variables.index").touch()
    with pytest.raises(OSError, match="SavedModel file does not exist"):
        tf.saved_model.load(str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"max_new_tokens": 0},
            "max_new_tokens must be positive and leave room for a prompt. "
            "Received: max_new_tokens=0, max_sequence_length=48.",
        ),
        (
            {"max_new_tokens": 48},
            "Received: max_new_tokens=48, max_sequence_length=48.",
        ),
        ({"temperature": -1.0}, "temperature must be at least 0."),
    ],
)
def test_a_default_that_breaks_its_rule(model, tmp_path, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        export_saved_model(model, tmp_path / "1", **options)
    assert not list(tmp_path.iterdir())


def test_strings_need_a_preprocessor(model, tmp_path):
    bare = GPT3CausalLM(model.backbone)
    with pytest.raises(ValueError, match="model must have a preprocessor"):
        export_saved_model(bare, tmp_path / "1")


def test_a_tokenizer_that_pads_is_refused(model, tmp_path, monkeypatch):
    tokenizer = model.preprocessor.tokenizer
    monkeypatch.setattr(tokenizer, "sequence_length", 5)
    with pytest.raises(ValueError, match="with sequence_length=5"):
        export_saved_model(model, tmp_path / "1")
