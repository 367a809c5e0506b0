"""Exports from a process on another backend: TensorFlow writes SavedModels."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

# What the other process answers mistakes with, as `cli` does.
_BAD_VALUE = 2
_BAD_FILE = 5


def export(model, path, options):
    """Has a process on the TensorFlow backend export a model.

    The model goes there as a preset, and its weights do not change.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        path: str, of the export.
        options: dict, the other arguments of `export_saved_model`.

    Raises:
        ValueError, OSError: as `export_saved_model` does.
    """
    with tempfile.TemporaryDirectory(prefix="gpt3_keras_export_") as folder:
        preset = pathlib.Path(folder) / "preset"
        model.save_to_preset(str(preset))
        request = {"preset": str(preset), "path": path, "options": options}
        result = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(request),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        )
    if result.returncode == 0:
        return
    lines = result.stderr.strip().splitlines() or ["no word of the reason"]
    if result.returncode == _BAD_VALUE:
        raise ValueError(lines[-1])
    if result.returncode == _BAD_FILE:
        raise OSError(lines[-1])
    raise RuntimeError(
        f"The process that exports ended with code {result.returncode}: "
        f"{lines[-1]}"
    )


def main():
    """Exports what standard input asks for; returns the exit code."""
    from gpt3_keras.models.causal_lm import GPT3CausalLM
    from gpt3_keras.serving.saved_model import export_saved_model

    request = json.load(sys.stdin)
    model = GPT3CausalLM.from_preset(request["preset"])
    try:
        export_saved_model(model, request["path"], **request["options"])
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return _BAD_VALUE if isinstance(error, ValueError) else _BAD_FILE
    return 0


if __name__ == "__main__":
    sys.exit(main())
