"""Checkpoints whose every part says one number, for tests of their store."""

from gpt3_keras.training import tensor_file
from tests.training.fakes import FakeModel
from tests.training.fakes import FakeOptimizer


def save(store, step, is_best=False, number=None):
    """Saves a checkpoint whose every part says `number`."""
    number = step if number is None else number
    return store.save(
        step,
        FakeModel(number),
        FakeOptimizer(number),
        {"step": step, "number": number},
        is_best,
    )


def number_of(store, step):
    """What every part of a checkpoint says; it must be one number."""
    store.verify(step)
    state = store.read_state(step)
    assert state["step"] == step
    model = store.model_folder(step)
    optimizer = FakeOptimizer(-1)
    file = tensor_file.TensorFile(model.parent / "optimizer.safetensors")
    file.assign_to(optimizer.variables)
    (number,) = {
        state["number"],
        *map(int, (model / "weights.bin").read_text().split()),
        *map(int, (model / "assets" / "words.txt").read_text().split()),
        *(int(n) for x in optimizer.variables for n in x.value.flat),
    }
    return number


def scratch_names(store):
    return [path.name for path in store.folder.glob(".*")]
