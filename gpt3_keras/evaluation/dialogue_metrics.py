"""How well states of dialogues are predicted.

Each figure is a mean over scored turns: the turns of the user, of one
service, that have a state. A slot is right if both or neither of gold and
prediction give it, and the values are equal: those of a closed slot as they
are, those of an open slot to any spelling, case and outer spaces apart.

* `intent_accuracy`: the intent is right (SGD, "active intent accuracy").
* `requested_f1`: F1 of the requested slots of a turn, over turns where gold
  or prediction have one (SGD, "requested slots F1"). The script that
  came with the paper counts the other turns too, with 1:
  `requested_f1_all_turns`.
* `requested_accuracy`: the requested slots are exactly right (the "request"
  accuracy of WOZ 2.0).
* `slot_precision`, `slot_recall`, `slot_f1`: over all (turn, slot) together.
  A slot that is given and right counts as found; recall is among those that
  gold gives, precision among those that the prediction gives. So a wrong
  value costs both.
* `slot_accuracy`: share of all (turn, slot) that are right, slots that
  nobody gives included (Wu et al., 2019).
* `average_goal_accuracy`: share of right slots among those that gold gives,
  by turn; over turns where it gives one (SGD).
* `joint_goal_accuracy`: all slots are right (WOZ 2.0 and SGD).
  `joint_goal_accuracy_given` is over turns where gold gives a slot, as the
  code of Mrkšić et al. counts.
* `fuzzy_average_goal_accuracy`, `fuzzy_joint_goal_accuracy`: the same, but an
  open slot that both give has a likeness in [0, 1] to the nearest spelling
  (`fuzzy_matching`), and a turn has the product over slots (SGD).

A figure without a turn to count is left out.

Reference: WOZ 2.0 as Mrkšić et al. (2017, "Neural Belief Tracker", goals and
requests) and Zhong et al. (2018, "Global-Locally Self-Attentive Dialogue State
Tracker", `evaluate_preds` of their code) measure it; SGD as Rastogi et al.
(2020, "Towards Scalable Multi-Domain Conversational Agents" and
"Schema-Guided Dialogue State Tracking Task at DSTC8", evaluation) and their
script google-research/schema_guided_dst; Wu et al. (2019), "Transferable
Multi-Domain State Generator", slot accuracy.
"""

import collections
import typing

import numpy as np

from gpt3_keras.evaluation import fuzzy_matching


class Prediction(typing.NamedTuple):
    """What a model makes of a turn.

    Args:
        intent: str, "none" among them.
        slots: dict from slot to value, str; without slots that are "none".
        requested: iterable of str.
    """

    intent: str
    slots: dict[str, str]
    requested: typing.Iterable[str] = ()


def dialogue_figures(judged, schema, seen=None):
    """The figures of all turns, and of parts of them.

    Args:
        judged: iterable of (`turns.Dialogue`, predictions): a `Prediction`
            for each turn; those of context are passed over, None will do.
        schema: a `services.Schema`.
        seen: names of the services that training had, see
            `dialogue_schema.seen_services`; None if there is nothing to tell.

    Returns:
        A dict: "all", and with `seen` also "seen" and "unseen", to a dict
        from figure to float, `num_turns` (int) among them; and "services" to
        a dict from each service's name to such a dict.

    Raises:
        ValueError: if there is no turn to score, or not a prediction a turn.
    """
    scores = collections.defaultdict(lambda: collections.defaultdict(list))
    for dialogue, predictions in judged:
        service = schema.services_by_name[dialogue.service]
        if len(predictions) != len(dialogue.turns):
            raise ValueError(
                "Each turn must have a prediction. Received: dialogue "
                f"{dialogue.id!r} with {len(dialogue.turns)} turns, "
                f"{len(predictions)} predictions."
            )
        for turn, prediction in zip(dialogue.turns, predictions, strict=True):
            if not turn.is_context:
                scored = turn_scores(service, turn, prediction)
                for name, score in scored.items():
                    scores[service.name][name].append(score)
    if not scores:
        raise ValueError("There is no turn to score. Received: num_turns=0.")
    figures = {"all": _figures(scores.values())}
    if seen is not None:
        for name, is_seen in (("seen", True), ("unseen", False)):
            chosen = [v for k, v in scores.items() if (k in seen) is is_seen]
            if chosen:
                figures[name] = _figures(chosen)
    figures["services"] = {k: _figures([v]) for k, v in scores.items()}
    return figures


def turn_scores(service, gold, prediction):
    """What a turn adds to each figure.

    Args:
        service: a `services.Service`.
        gold: a `turns.Turn` that is not context.
        prediction: a `Prediction`.

    Returns:
        A dict from figure to float, without the figures that the turn does
        not count for; and "found", "given" and "predicted", numbers of slots.
    """
    slots = [slot.name for slot in service.state_slots]
    exact = np.array([slot_score(service, s, gold, prediction) for s in slots])
    fuzzy = np.array(
        [slot_score(service, s, gold, prediction, True) for s in slots]
    )
    given = np.array([slot in gold.slots for slot in slots], bool)
    asked, guessed = set(gold.requested), set(prediction.requested)
    f1 = 1.0
    if asked or guessed:
        f1 = 2 * len(asked & guessed) / (len(asked) + len(guessed))
    scores = {
        "intent_accuracy": float(gold.intent == prediction.intent),
        "requested_f1_all_turns": f1,
        "requested_accuracy": float(asked == guessed),
        "found": int(exact[given].sum()),
        "given": int(given.sum()),
        "predicted": len(prediction.slots),
        "right": int(exact.sum()),
        "slots": len(slots),
        "joint_goal_accuracy": float(exact.all()),
        "fuzzy_joint_goal_accuracy": float(fuzzy.prod()),
    }
    if asked or guessed:
        scores["requested_f1"] = f1
    if given.any():
        scores["joint_goal_accuracy_given"] = float(exact.all())
        scores["average_goal_accuracy"] = float(exact[given].mean())
        scores["fuzzy_average_goal_accuracy"] = float(fuzzy[given].mean())
    return scores


def slot_score(service, slot, gold, prediction, fuzzy=False):
    """How right one slot is, a float in [0, 1].

    Args:
        service: a `services.Service`.
        slot: str, the slot's name.
        gold: a `turns.Turn`.
        prediction: a `Prediction`.
        fuzzy: bool, whether the value of an open slot may be nearly right.
    """
    values = gold.slots.get(slot)
    predicted = prediction.slots.get(slot)
    if values is None or predicted is None:
        return float(values is None and predicted is None)
    if not service.slots_by_name[slot].is_open:
        return float(predicted == values[0])
    if not fuzzy:
        folded = [value.strip().casefold() for value in values]
        return float(predicted.strip().casefold() in folded)
    return max(
        fuzzy_matching.token_sort_ratio(value, predicted) for value in values
    )


def _figures(parts):
    """Means over the turns of some services."""
    joined = collections.defaultdict(list)
    for scores in parts:
        for name, values in scores.items():
            joined[name] += values
    sums = {
        name: sum(joined.pop(name))
        for name in ("found", "given", "predicted", "right", "slots")
    }
    figures = {"num_turns": len(joined["joint_goal_accuracy"])}
    figures |= {name: float(np.mean(v)) for name, v in joined.items()}
    ratios = {
        "slot_precision": (sums["found"], sums["predicted"]),
        "slot_recall": (sums["found"], sums["given"]),
        "slot_f1": (2 * sums["found"], sums["predicted"] + sums["given"]),
        "slot_accuracy": (sums["right"], sums["slots"]),
    }
    for name, (part, whole) in ratios.items():
        if whole:
            figures[name] = part / whole
    return figures
