"""From what the dialogue model reads to states, turn by turn."""

import itertools

from gpt3_keras.data import dialogue_batches
from gpt3_keras.data import services
from gpt3_keras.data.turns import Dialogue
from gpt3_keras.evaluation.dialogue_metrics import Prediction
from gpt3_keras.evaluation.dialogue_metrics import dialogue_figures


def evaluate(model, reader, dialogues, seen=None, batch_size=16, progress=None):
    """The figures of a model on dialogues.

    Args:
        model, reader, dialogues, batch_size: as for `predict`.
        seen: names of the services that training had, or None.
        progress: function of (dialogues read, dialogues).

    Returns:
        A dict, see `dialogue_metrics.dialogue_figures`.
    """
    dialogues = list(dialogues)
    judged = []
    for states in predict(model, reader, dialogues, batch_size):
        judged.append((dialogues[len(judged)], states))
        if progress is not None:
            progress(len(judged), len(dialogues))
    return dialogue_figures(judged, reader.schema, seen)


def predict(model, reader, dialogues, batch_size=16):
    """Yields, for each dialogue, the states that a model finds in it.

    The labels of the dialogues are not read, but for one: a turn that is
    context changes no state.

    Args:
        model: a `GPT3DialogueModel`.
        reader: a `dialogue_rows.DialogueReader`.
        dialogues: iterable of `turns.Dialogue`.
        batch_size: int, dialogues that are read at a time.

    Yields:
        A list with a `dialogue_metrics.Prediction` for each turn, None for
        one that is context.
    """
    dialogues = iter(dialogues)
    while group := list(itertools.islice(dialogues, batch_size)):
        rows = [reader.row(dialogue) for dialogue in group]
        outputs = model.understand(dialogue_batches.make_batch(rows)[0])
        for i, (dialogue, row) in enumerate(zip(group, rows, strict=True)):
            service = reader.schema.services_by_name[dialogue.service]
            read = {name: value[i] for name, value in outputs.items()}
            yield states(read, row, dialogue, service)


def understand(model, reader, turns, service=None):
    """The state after the last of some turns.

    Args:
        model, reader: as for `predict`.
        turns: list of `turns.Turn`, all so far; their `slots` are `{}`.
        service: str, the service's name. Defaults to the schema's first.

    Returns:
        A `dialogue_metrics.Prediction`.
    """
    service = service or reader.schema.services[0].name
    dialogue = Dialogue("understand", service, tuple(turns))
    (found,) = predict(model, reader, [dialogue])
    return found[-1]


def states(read, row, dialogue, service):
    """The states of one dialogue.

    b_n(v) = keep_n b_{n-1}(v) + u_n(v) for the intent and for each slot, v a
    value's text; a state has the values with the largest b.

    Args:
        read: dict of arrays, `GPT3DialogueModel.understand` without B.
        row: its `dialogue_rows.Row`.
        dialogue: a `turns.Dialogue`.
        service: its `services.Service`.

    Returns:
        A list, as `predict` yields it.
    """
    intent = {services.NONE: 1.0}
    slots = {slot.name: {services.NONE: 1.0} for slot in service.state_slots}
    found = []
    for n, turn in enumerate(dialogue.turns):
        if turn.is_context:
            found.append(None)
            continue
        intent = _updated(
            intent, read["intent_updates"][n], service.intent_names
        )
        for s, slot in enumerate(service.slots):
            if slot.requestable_only:
                continue
            names = slot.domain
            if slot.is_open:
                names = (*names[:2], row.text(*read["spans"][n, s]))
            slots[slot.name] = _updated(
                slots[slot.name], read["slot_updates"][n, s], names
            )
        values = {name: _best(belief) for name, belief in slots.items()}
        requested = [
            slot.name
            for slot, p in zip(
                service.slots, read["requested"][n], strict=False
            )
            if p > 0.5
        ]
        found.append(
            Prediction(
                _best(intent),
                {k: v for k, v in values.items() if v != services.NONE},
                requested,
            )
        )
    return found


def _updated(belief, update, names):
    """The belief after an update: of keeping, then of each name."""
    belief = {name: float(update[0]) * p for name, p in belief.items()}
    # Behind the names may stand candidates that other slots of the batch have.
    for name, p in zip(names, update[1:], strict=False):
        belief[name] = belief.get(name, 0.0) + float(p)
    return belief


def _best(belief):
    return max(belief, key=belief.get)
