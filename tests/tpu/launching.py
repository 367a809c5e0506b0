"""How the tests call a launch script."""

import os
import subprocess

from tests import rooms

RUN = (
    *("--name", "mine", "--zone", "us-west4-a"),
    *("--config", "configs/base.yaml", "--workdir", "/mnt/bucket/runs/base"),
)


def launch(script, *options, **environment):
    return subprocess.run(
        [rooms.ROOT / "tpu" / script, *options],
        cwd=rooms.ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
