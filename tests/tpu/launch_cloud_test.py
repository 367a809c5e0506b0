"""The launch scripts with a TPU host that is played.

Google's cloud is a `gcloud` of a few lines that runs on this machine what is
meant for a TPU host, so that everything but Google's part is real.
"""

import os
import shutil
import subprocess
import time

import pytest

from tests import rooms
from tests.tpu.launching import RUN
from tests.tpu.launching import launch

GCLOUD = r"""#!/usr/bin/env bash
# Runs `ssh` and `scp` in $TPU/login, and keeps the state in $TPU/state.
set -euo pipefail
echo "$*" >>"$TPU/commands"
case "$3 $4" in
  "tpu-vm describe")
    cat "$TPU/state" 2>/dev/null || { echo "NOT_FOUND: mine" >&2; exit 1; } ;;
  "tpu-vm create") echo READY >"$TPU/state" ;;
  "tpu-vm delete")
    bash "$TPU/login/gpt3_keras_run/on_tpu_vm.sh" stop
    rm -r "$TPU/state" "$TPU/login"/* ;;
  "tpu-vm scp") cp "${@:5:$#-7}" "$TPU/login/gpt3_keras_run" ;;
  "tpu-vm ssh")
    cd "$TPU/login"
    for word; do
      if [[ $word == --command=* ]]; then bash -c "${word#*=}"; fi
    done ;;
  *) exit 1 ;;
esac
"""
# `uv` and `pip` of the host: the package becomes a command that ends as the
# next line of $TPU/endings says; "wait" is a training that goes on.
PYTHON3 = r"""#!/usr/bin/env bash
set -euo pipefail
echo "$*" >>"$TPU/installs"
if [[ $* == *"uv venv"* ]]; then
  mkdir -p env/bin
  cp "$TPU/gpt3-keras" env/bin
fi
"""
GPT3_KERAS = r"""#!/usr/bin/env bash
printf '%s\n' "$KERAS_BACKEND" "$@" >>"$TPU/trained"
ending=$(head -n 1 "$TPU/endings")
sed -i 1d "$TPU/endings"
trap 'echo saved >>"$TPU/trained"; exit 143' TERM
if [[ $ending == wait ]]; then /bin/sleep 60 & wait; fi
exit "$ending"
"""


class Cloud:
    """A folder that is one TPU host, with what stands in for Google."""

    def __init__(self, folder, endings):
        self.folder = folder
        (folder / "login").mkdir()
        (folder / "bin").mkdir()
        for name, text in (
            ("bin/gcloud", GCLOUD),
            ("bin/python3", PYTHON3),
            ("bin/sleep", "#!/bin/sh\nexec /bin/sleep 0.1\n"),
            ("gpt3-keras", GPT3_KERAS),
        ):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)
        lines = "".join(f"{ending}\n" for ending in endings)
        (folder / "endings").write_text(lines, encoding="utf-8")
        wheel = folder / "gpt3_keras-0.1.0-py3-none-any.whl"
        wheel.touch()
        self.options = (*RUN, f"--source={wheel}")
        self.environment = {
            "TPU": str(folder),
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def launch(self, *options):
        return launch(
            "launch_tpu_vm.sh", *self.options, *options, **self.environment
        )

    def on_host(self, *words):
        script = self.folder / "login/gpt3_keras_run/on_tpu_vm.sh"
        run = subprocess.run(
            ["bash", script, *words],
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return run.stdout.strip()

    def lines(self, name):
        path = self.folder / name
        text = path.read_text("utf-8") if path.exists() else ""
        return text.splitlines()

    def verbs(self):
        """What was asked of Google, but for questions."""
        verbs = [line.split()[3] for line in self.lines("commands")]
        return [verb for verb in verbs if verb != "describe"]

    def wait_until(self, condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def cloud(tmp_path):
    if shutil.which("flock") is None or shutil.which("setsid") is None:
        pytest.skip("flock and setsid are absent: a TPU host is not played")
    clouds = []

    def make(*endings):
        clouds.append(Cloud(tmp_path, endings))
        return clouds[0]

    yield make
    for each in clouds:
        if (each.folder / "login/gpt3_keras_run").exists():
            each.on_host("stop")


def test_training_outlives_the_connection_and_is_not_started_twice(cloud):
    tpu = cloud("wait")
    first = tpu.launch("--set", "data.train=gs://bucket/my texts")
    assert first.returncode == 0, first.stderr
    assert "--command=tail -n 100 -F gpt3_keras_run/train.log" in first.stdout
    tpu.wait_until(lambda: tpu.lines("trained"))
    assert tpu.lines("trained") == [
        *("jax", "train", "--config", "base.yaml"),
        *("--workdir", "/mnt/bucket/runs/base"),
        *("--set", "runtime.strategy=tpu"),
        *("--set", "data.train=gs://bucket/my texts"),
    ]
    assert tpu.lines("installs")[-1].endswith(
        "./gpt3_keras-0.1.0-py3-none-any.whl[tpu]"
    )
    assert tpu.on_host("status") == "running"
    second = tpu.launch()
    assert second.returncode == 0, second.stderr
    assert "Training runs already." in second.stdout
    assert tpu.lines("trained").count("train") == 1
    assert tpu.verbs().count("create") == 1
    tpu.on_host("stop")
    assert tpu.lines("trained")[-1] == "saved"
    assert tpu.on_host("status") == "stopped"
    delete = tpu.launch("--delete")
    assert delete.returncode == 0, delete.stderr
    assert not (tpu.folder / "state").exists()


def test_status_is_of_the_last_training(cloud):
    tpu = cloud(4, "wait")
    for status in ("4", "running"):
        run = tpu.launch()
        assert run.returncode == 0, run.stderr
        tpu.wait_until(lambda wanted=status: tpu.on_host("status") == wanted)
    tpu.on_host("stop")
    assert tpu.on_host("status") == "stopped"


@pytest.mark.parametrize("ending", [0, 2, 3])
def test_restart_ends_with_training(cloud, ending):
    tpu = cloud(4, ending)
    run = tpu.launch("--restart")
    assert run.returncode == ending, run.stderr
    assert f"Training has ended with exit code {ending}.\n" in run.stdout
    assert tpu.lines("trained").count("train") == 2
    assert tpu.verbs().count("create") == 1


def test_restart_makes_a_new_tpu_for_one_that_was_preempted(cloud):
    tpu = cloud("wait", 0)
    process = subprocess.Popen(
        [rooms.ROOT / "tpu/launch_tpu_vm.sh", *tpu.options, "--restart"],
        cwd=rooms.ROOT,
        env={**os.environ, **tpu.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        tpu.wait_until(lambda: tpu.lines("trained"))
        (tpu.folder / "state").write_text("PREEMPTED\n", encoding="utf-8")
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert [x for x in tpu.verbs() if x in ("create", "delete")] == [
        *("create", "delete", "create")
    ]
    assert tpu.lines("trained").count("train") == 2
