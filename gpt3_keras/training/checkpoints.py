"""Checkpoints of a run, of which the last one is always whole.

```
checkpoints/00000500/           the checkpoint of step 500
                model/                  the model: a KerasHub preset
                random.safetensors      what its dropout draws next
                optimizer.safetensors   see `tensor_file`
                state.json              the training's own state
                sha256.json             checksums, written last
            best.json           which step's checkpoint is the best
```
"""

import os
import pathlib
import re
import shutil

from gpt3_keras.training import checkpoint_files
from gpt3_keras.training import files

BEST = "best.json"

# Scratch names. What stands aside is whole: it is its step's checkpoint until
# another one has taken its place.
_NEW = ".new-"
_ASIDE = ".aside-"
_REMOVED = ".removed-"


class CheckpointStore:
    """The checkpoints in a folder.

    A checkpoint is written under a scratch name, brought to the disk and then
    renamed. So the process may be killed and the power may fail at any moment:
    the checkpoints from before are still there, and whatever has a step for
    its name is whole. One process may write; others may read meanwhile, and
    change nothing.

    A kill just before `best.json` is replaced leaves the mark on the best one
    before: a caller that notes its best step in its state calls `mark_best`
    when it continues.

    Args:
        folder: path. The first `save` makes it.
        keep: int, how many of the latest checkpoints stay, beside the best.

    Raises:
        ValueError: `keep` is not positive.

    Example:

    ```python
    store = CheckpointStore("run/checkpoints", keep=3)
    store.save(500, model, optimizer, {"phase": "encoder"}, is_best=True)
    state = store.restore(store.latest(), model, optimizer)
    ```
    """

    def __init__(self, folder, keep):
        if not _is_integer(keep) or keep < 1:
            raise ValueError(
                f"keep must be a positive integer. Received: keep={keep!r}."
            )
        self.folder = pathlib.Path(folder)
        self.keep = keep

    def save(self, step, model, optimizer, state, is_best=False):
        """Writes a checkpoint, then removes those that are not kept.

        Args:
            step: int. A checkpoint of the same step is replaced.
            model: a `GPT3CausalLM`, or what else has `save_to_preset`.
            optimizer: a built Keras optimizer, or None.
            state: dict of plain JSON.
            is_best: bool, whether it is the best one so far.

        Returns:
            Path of the checkpoint.

        Raises:
            ValueError: if an argument breaks its rule; nothing is written.
            OSError: if the disk is full, or the like; the checkpoints before
                stay as they are.
        """
        if not _is_integer(step) or step < 0:
            raise ValueError(
                f"step must be an integer, 0 or more. Received: step={step!r}."
            )
        checkpoint_files.check_state(state)
        checkpoint_files.check_built(optimizer)
        target = self.folder / _name(step)
        scratch = self.folder / f"{_NEW}{target.name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.clean()
            checkpoint_files.write(scratch, model, optimizer, state)
            self._put(scratch, target)
        except BaseException as error:
            shutil.rmtree(scratch, ignore_errors=True)
            number, reason = files.write_failure(error)
            if reason is None:
                raise
            after = "no earlier one is left"
            if steps := self.steps():
                after = f"the checkpoint of step {steps[-1]} stays usable"
            message = f"Cannot save the checkpoint {target}: {reason}; {after}."
            raise files.os_error(number, message) from error
        self._tidy(step, is_best)
        return target

    def clean(self):
        """Removes what a writer that was stopped left; for writers only."""
        self._recover()
        for path in list(self.folder.glob(".*")):
            if path.name.startswith((_NEW, _ASIDE)):
                self._discard(path)
            elif path.name.startswith(_REMOVED):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name == f".{BEST}":
                path.unlink()

    def _recover(self):
        """Gives what stands aside its name back if nothing has taken it."""
        for path in list(self.folder.glob(f"{_ASIDE}*")):
            target = self.folder / path.name.removeprefix(_ASIDE)
            if not target.exists():
                os.rename(path, target)

    def _put(self, scratch, target):
        """Gives a whole checkpoint its name."""
        aside = self.folder / f"{_ASIDE}{target.name}"
        if _is_checkpoint(target):
            os.rename(target, aside)
        try:
            os.rename(scratch, target)
        except OSError:
            self._recover()
            raise
        files.sync_folder(self.folder)
        files.sync_folder(self.folder.parent)
        if aside.exists():
            self._discard(aside)

    def _tidy(self, step, is_best):
        """Marks the checkpoint that was saved and removes old ones."""
        try:
            if is_best:
                files.replace_marked_json(self.folder / BEST, {"step": step})
            steps = self.steps()
            kept = {*steps[-self.keep :], step, self.best()}
            for old in [x for x in steps if x not in kept]:
                self._discard(self._find(old))
        except OSError as error:
            number, reason = files.write_failure(error)
            message = (
                f"The checkpoint {self._find(step)} is saved and usable, but "
                f"{BEST} or the old ones beside it cannot be changed: {reason}."
            )
            raise files.os_error(number, message) from error

    def _discard(self, path):
        """Removes a folder, which loses its name first."""
        name = path.name.removeprefix(_NEW).removeprefix(_ASIDE)
        removed = self.folder / f"{_REMOVED}{name}"
        shutil.rmtree(removed, ignore_errors=True)
        os.rename(path, removed)
        files.sync_folder(self.folder)
        # What a reader holds open may stay, for `clean`.
        shutil.rmtree(removed, ignore_errors=True)

    def steps(self):
        """The steps that have a checkpoint: a list of ints, ascending."""
        if not self.folder.is_dir():
            return []
        names = {x.name.removeprefix(_ASIDE) for x in self.folder.iterdir()}
        steps = {int(x) for x in names if re.fullmatch("[0-9]{8,}", x)}
        return sorted(step for step in steps if self._find(step))

    def latest(self):
        """The last step that has a checkpoint, or None."""
        return max(self.steps(), default=None)

    def best(self):
        """The step of the best checkpoint, or None if none is marked.

        Raises:
            ValueError: if `best.json` is damaged.
        """
        path = self.folder / BEST
        try:
            step = files.read_marked_json(path)["step"]
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(
                f"{path} is damaged; remove it to continue without a best "
                "checkpoint."
            ) from error
        return step if self._find(step) else None

    def mark_best(self, step):
        """Makes the checkpoint of `step` the best one.

        Raises:
            ValueError: if there is none of that step.
        """
        self._existing(step)
        self._tidy(step, is_best=True)

    def model_folder(self, step):
        """Path of the preset, for `from_preset`; `verify` it first."""
        return self._existing(step) / checkpoint_files.MODEL

    def verify(self, step):
        """Raises a ValueError if a file of a checkpoint is damaged."""
        self._verify(step, None)

    def read_state(self, step):
        """The state that was saved, if its checksum is right."""
        self._verify(step, [checkpoint_files.STATE])
        return checkpoint_files.read_state(self._existing(step))

    def restore(self, step, model, optimizer):
        """Reads a checkpoint into a model and an optimizer.

        All is checked first: where it does not fit, nothing is changed.

        Args:
            step: int.
            model: a `GPT3CausalLM` like the one that was saved.
            optimizer: a built optimizer like the one that was saved; with
                None, that one is not read.

        Returns:
            The state that was saved.

        Raises:
            ValueError: if there is no such checkpoint, a file of it is
                damaged, or it is of another model or optimizer.
        """
        checkpoint_files.check_built(optimizer)
        self.verify(step)
        folder = self._existing(step)
        checkpoint_files.load(folder, model, optimizer)
        return checkpoint_files.read_state(folder)

    def _verify(self, step, names):
        folder = self._existing(step)
        name = files.find_damage(folder, names)
        if name is None:
            return
        earlier = [
            x
            for x in self.steps()
            if x < step and not files.find_damage(self._find(x))
        ]
        after = "no earlier one is left"
        if earlier:
            after = f"remove that folder to continue from step {earlier[-1]}"
        raise ValueError(
            f"The checkpoint {folder} is damaged: {name} is not what was "
            f"saved; {after}."
        )

    def _existing(self, step):
        folder = self._find(step)
        if folder is None:
            steps = ", ".join(map(str, self.steps())) or "none"
            raise ValueError(
                f"step must be one of the checkpoints in {self.folder}, "
                f"{steps}. Received: step={step}."
            )
        return folder

    def _find(self, step):
        """The folder of a step's checkpoint, or None."""
        for name in (_name(step), f"{_ASIDE}{_name(step)}"):
            if _is_checkpoint(self.folder / name):
                return self.folder / name
        return None


def _name(step):
    return f"{step:08d}"


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_checkpoint(path):
    """Whether a folder is one of ours, be a file of it lost or not."""
    names = (files.CHECKSUMS, checkpoint_files.STATE)
    return any((path / name).is_file() for name in names)
