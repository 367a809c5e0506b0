"""What a train step raises when it cannot go on."""

import itertools

from keras import tree

# What tells a step's caller where numbers are none; not one of the logs.
IS_BAD = "is_bad"


class WorkerLostError(RuntimeError):
    """Another worker of the job does not answer any more.

    Args:
        reason: what the network said.
    """

    exit_code = 4

    def __init__(self, reason):
        super().__init__(
            "A worker of the job is lost; start all of them again with the "
            "same command, which goes on from the last checkpoint. Received: "
            f"{reason}."
        )


class NotFiniteError(FloatingPointError):
    """A loss or a gradient that is NaN or infinite; no weight has changed.

    Args:
        step: int, the optimizer's step, counted from 1.
        losses: names of the sums over the batch that are not finite.
        variables: paths of the variables whose gradients are not finite.
    """

    exit_code = 3

    def __init__(self, step, losses, variables):
        self.step = step
        self.losses = list(losses)
        self.variables = list(variables)
        super().__init__(self.describe(f"step {step}"))

    def describe(self, where):
        """The message, for a step that is known by a name of the caller's."""
        culprits = []
        if self.variables:
            culprits.append(f"the gradient of {_list(self.variables)}")
        if self.losses:
            culprits.append(f"the sum of {_list(self.losses)}")
        return (
            f"At {where} {' and '.join(culprits)} is not a finite number; no "
            "weight was changed. A lower learning rate, clipping or cleaner "
            "data may help."
        )


def not_finite(model, step, is_bad):
    """The `NotFiniteError` of a step.

    Args:
        model: the model.
        step: int, the optimizer's step, counted from 1.
        is_bad: bools, for each of the model's sums and then for the gradient
            of each of its trainable variables.
    """
    sums = [path[0] for path, _ in tree.flatten_with_path(model.zero_losses())]
    variables = [variable.path for variable in model.trainable_variables]
    bad_sums = itertools.compress(sums, is_bad[: len(sums)])
    return NotFiniteError(
        step,
        # The number of targets stands under all the others.
        sorted(set(bad_sums), key=lambda name: (name != "num_targets", name)),
        itertools.compress(variables, is_bad[len(sums) :]),
    )


def _list(names):
    """The first of some names, and how many more there are."""
    if len(names) == 1:
        return names[0]
    return f"{names[0]} (and of {len(names) - 1} more)"
