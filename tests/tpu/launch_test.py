"""The launch scripts: what they run, in which order, and what they refuse."""

import os
import shlex
import shutil
import subprocess
import sys

import pytest

from tests import rooms
from tests.tpu.launching import RUN
from tests.tpu.launching import launch

SCRIPTS = sorted((rooms.ROOT / "tpu").glob("*.sh"))
LAUNCHERS = ("launch_tpu_vm.sh", "launch_pod.sh")


@pytest.fixture
def checkout(tmp_path):
    """The option that names a folder with the look of a git checkout."""
    (tmp_path / "checkout" / ".git").mkdir(parents=True)
    return f"--source={tmp_path / 'checkout'}"


@pytest.fixture
def dry_run(checkout):
    """A function that gives the commands of a dry run, each as its words."""

    def commands(script, *options):
        run = launch(script, *RUN, checkout, *options, "--dry-run")
        assert run.returncode == 0, run.stderr
        assert not run.stderr
        return [
            shlex.split(line)
            for line in run.stdout.splitlines()
            if not line.startswith("#")
        ]

    return commands


def on_host(words):
    """The words that a command runs on a TPU host; None for other commands."""
    given = [x for x in words if x.startswith("--command=")]
    return shlex.split(given[0].removeprefix("--command=")) if given else None


def started(commands):
    """Options of gcloud, and words on the host, where training starts."""
    (found,) = [x for x in commands if "start" in (on_host(x) or ())]
    return found, on_host(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda x: x.name)
def test_bash_reads_it(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_shellcheck_has_nothing_to_say():
    beside = os.path.dirname(sys.executable)
    path = os.pathsep.join([beside, os.environ["PATH"]])
    shellcheck = shutil.which("shellcheck", path=path)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: the scripts go unchecked")
    scripts = [*SCRIPTS, rooms.ROOT / ".ci" / "run"]
    check = subprocess.run(
        [shellcheck, "--external-sources", *scripts],
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stdout


@pytest.mark.parametrize("script", LAUNCHERS)
def test_help_has_an_example_that_runs_dry(script, checkout):
    text = launch(script, "--help").stdout
    _, _, example = text.partition("example:\n")
    words = shlex.split(example.replace("\\\n", " "))
    assert words[0] == f"tpu/{script}"
    run = launch(script, *words[1:], checkout, "--dry-run")
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    ("script", "workers", "chips"),
    [("launch_tpu_vm.sh", "0", "8"), ("launch_pod.sh", "all", "16")],
)
def test_commands_come_in_order(script, workers, chips, dry_run):
    commands = dry_run(script)
    assert [words[:5] for words in commands if words[0] == "gcloud"] == [
        ["gcloud", "compute", "tpus", "tpu-vm", verb]
        for verb in (
            *("describe", "create", "describe"),
            *("ssh", "scp", "ssh", "ssh", "ssh"),
        )
    ]
    assert commands[0][3:5] == ["archive", "--format=tar.gz"]
    create = commands[2]
    assert f"--accelerator-type=v5litepod-{chips}" in create
    assert "--version=v2-alpha-tpuv5-lite" in create
    assert all("--zone=us-west4-a" in x for x in commands if x[0] == "gcloud")
    done = [on_host(words) for words in commands[4:8] if on_host(words)]
    assert [
        words[-1] if words[0] == "mkdir" else words[2] for words in done
    ] == [*("gpt3_keras_run", "install", "start")]
    for words in commands[4:8]:
        assert f"--worker={workers}" in words


@pytest.mark.parametrize("script", LAUNCHERS)
def test_jax_trains_on_all_hosts(script, dry_run):
    command, words = started(dry_run(script))
    assert words[2:] == [
        *("start", "KERAS_BACKEND=jax", "gpt3-keras", "train"),
        *("--config", "base.yaml", "--workdir", "/mnt/bucket/runs/base"),
        *("--set", "runtime.strategy=tpu"),
    ]
    workers = "all" if script == "launch_pod.sh" else "0"
    assert f"--worker={workers}" in command


def test_tensorflow_loads_the_tpu_of_one_host(dry_run):
    commands = dry_run("launch_tpu_vm.sh", "--backend=tensorflow")
    _, words = started(commands)
    assert words[3:6] == [
        "KERAS_BACKEND=tensorflow",
        "PJRT_DEVICE=TPU",
        "NEXT_PLUGGABLE_DEVICE_USE_C_API=true",
    ]
    assert words[-2:] == ["--set", "runtime.strategy=tpu"]
    assert ["install", "tensorflow", "gpt3_keras.tar.gz"] in [
        (on_host(x) or [])[2:] for x in commands
    ]


def test_tensorflow_drives_a_slice_from_its_first_host(dry_run):
    image = "tpu-vm-tf-2.20.0-pod-pjrt"
    commands = dry_run(
        "launch_pod.sh", "--backend", "tensorflow", "--version", image
    )
    assert f"--version={image}" in commands[2]
    command, words = started(commands)
    assert "--worker=0" in command
    assert words[3:5] == ["KERAS_BACKEND=tensorflow", "TPU_LOAD_LIBRARY=0"]
    assert words[-4:] == [
        *("--set", "runtime.strategy=tpu", "--set", "runtime.tpu=mine")
    ]


def test_spaces_and_quotes_arrive(tmp_path, dry_run):
    config = tmp_path / "my run's.yaml"
    config.write_text("", encoding="utf-8")
    setting = "data.train=gs://bucket/it's $HOME"
    commands = dry_run(
        "launch_tpu_vm.sh", f"--config={config}", "--set", setting
    )
    assert str(config) in next(x for x in commands if "scp" in x)
    _, words = started(commands)
    assert "my run's.yaml" in words
    assert words[-1] == setting


def test_a_queued_resource_is_made_looked_at_and_deleted(dry_run):
    options = ("--queued", "--spot", "--project=p")
    create = dry_run("launch_pod.sh", *options)[2]
    assert create[3:7] == [
        "queued-resources",
        "create",
        "mine",
        "--node-id=mine",
    ]
    assert {"--spot", "--project=p"} < set(create)
    assert "--runtime-version=v2-alpha-tpuv5-lite" in create
    delete = dry_run("launch_pod.sh", *options, "--delete")
    assert [words[3:7] for words in delete] == [
        ["queued-resources", "delete", "mine", "--force"]
    ]


def test_a_wheel_is_taken_as_it_is(tmp_path, dry_run):
    wheel = tmp_path / "gpt3_keras-0.1.0-py3-none-any.whl"
    wheel.touch()
    commands = dry_run("launch_tpu_vm.sh", f"--source={wheel}")
    assert "git" not in [words[0] for words in commands]
    assert str(wheel) in next(x for x in commands if "scp" in x)


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        (
            "launch_tpu_vm.sh",
            ["--nmae=mine"],
            "Options are those that --help names. Received: --nmae=mine.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--zone"],
            "--zone needs a value. Received: --zone.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--spot=no"],
            "--spot takes no value. Received: --spot=no.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--name=Mine"],
            "--name must be lowercase letters, digits and hyphens, a letter "
            "first. Received: --name=Mine.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--zone="],
            "--zone must be a zone, such as us-west4-a. Received: --zone=.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--type=v5litepod-16"],
            "--type must be v5litepod-N, N one of 1, 4, 8. Received: "
            "--type=v5litepod-16.",
        ),
        (
            "launch_pod.sh",
            ["--type=v5litepod-8"],
            "--type must be v5litepod-N, N one of 16, 32, 64, 128, 256. "
            "Received: --type=v5litepod-8.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--backend=torch"],
            "--backend must be jax or tensorflow. Received: --backend=torch.",
        ),
        (
            "launch_pod.sh",
            ["--backend=tensorflow"],
            "--version must be TensorFlow's image for slices, "
            "tpu-vm-tf-*-pod*, with tensorflow. Received: --version=.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--workdir=runs/base"],
            "--workdir must be an absolute path that every host sees, as of a "
            "mounted bucket. "
            "Received: --workdir=runs/base.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--config=configs/bas.yaml"],
            "--config must be a file. Received: --config=configs/bas.yaml.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--source=configs"],
            "--source must be a wheel or a git checkout. Received: "
            "--source=configs.",
        ),
        (
            "launch_tpu_vm.sh",
            ["--set", "seed=1"],
            "--set must be SECTION.KEY=VALUE. Received: --set=seed=1.",
        ),
    ],
    ids=lambda x: x[0] if isinstance(x, list) else None,
)
def test_what_is_wrong_is_named_in_one_line(script, options, message, checkout):
    run = launch(script, "--dry-run", *RUN, checkout, *options)
    assert run.returncode == 2
    assert run.stderr == message + "\n"
    assert not run.stdout


def test_without_gcloud_nothing_begins(tmp_path):
    for program in ("bash", "dirname", "env"):
        (tmp_path / program).symlink_to(shutil.which(program))
    run = launch("launch_tpu_vm.sh", *RUN, PATH=str(tmp_path))
    assert run.returncode == 2
    assert run.stderr == (
        "PATH must hold gcloud, of the Google Cloud CLI. Received: none.\n"
    )
