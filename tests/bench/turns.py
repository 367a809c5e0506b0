"""Contenders measured in turns, each in a process of its own.

The machine is shared: what slows it for a while slows all contenders alike when
they take turns. A process of its own shows the memory that one contender takes,
its libraries included. Benchmarks hand `compare` the names of their contenders
and serve each in the process that is started for it.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = pathlib.Path(
    os.environ.get("GPT3_KERAS_DATA", ROOT.parent / "shared" / "data")
)
_ROLE = "--contender"
_DONE = "measured:"


class Contender:
    """A process that has made ready for its turns.

    Args:
        name: str.
        options: list of str, for the benchmark's own command line.
        backend: the `KERAS_BACKEND` it runs on.
        environment: dict, more variables.

    Attributes:
        facts: dict that its `make` told, and `"first_secs"`, how long making
            it and its first turn took.
        secs: list of seconds, one for each turn.
    """

    def __init__(self, name, options, backend="tensorflow", environment=None):
        self.name = name
        self.secs = []
        self._process = subprocess.Popen(
            [sys.executable, sys.argv[0], _ROLE, name, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "KERAS_BACKEND": backend,
                **(environment or {}),
            },
        )
        self.facts = self._answer()

    def take_turn(self):
        """Runs once, and keeps the seconds."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.secs.append(self._answer()["secs"])

    def leave(self):
        """Ends the process; its facts then have `"peak_mb"`."""
        self._process.stdin.close()
        self.facts.update(self._answer())
        self._process.wait()

    def _answer(self):
        for line in self._process.stdout:
            if line.startswith(_DONE):
                return json.loads(line.removeprefix(_DONE))
        raise SystemExit(f"{self.name} has ended without an answer.")


def serve(make):
    """What a contender's process does: makes ready, then waits for its turns.

    Args:
        make: function of a contender's name and the command line's options,
            to (function that runs once, dict of facts). The function returns
            only when all its work is done.

    Returns:
        False in the process of the benchmark itself, which then goes on.
    """
    if len(sys.argv) < 3 or sys.argv[1] != _ROLE:
        return False
    start = time.perf_counter()
    run, facts = make(sys.argv[2], sys.argv[3:])
    run()
    _tell({**facts, "first_secs": time.perf_counter() - start})
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        _tell({"secs": time.perf_counter() - start})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _tell({"peak_mb": peak / 1024})
    return True


def _tell(facts):
    print(_DONE + json.dumps(facts), flush=True)


def compare(contenders, num_turns):
    """Has contenders take their turns, then leave.

    Args:
        contenders: list of `Contender`s.
        num_turns: int.
    """
    for _ in range(num_turns):
        for contender in contenders:
            contender.take_turn()
    for contender in contenders:
        contender.leave()


def report_speed(name, own, peers, figure, unit):
    """A line for each peer: our median figure, theirs, and their ratio.

    The ratio is the median of the ratios within a turn, ours over theirs.

    Args:
        name: str.
        own: our `Contender`.
        peers: list of the others.
        figure: function of a turn's seconds.
        unit: str, of the figures.
    """
    values = [figure(secs) for secs in own.secs]
    for peer in peers:
        theirs = [figure(secs) for secs in peer.secs]
        report(
            f"{name}/to {peer.name}",
            statistics.median(values),
            unit,
            peer=statistics.median(theirs),
            ratio=statistics.median(
                a / b for a, b in zip(values, theirs, strict=True)
            ),
            spread=spread(values),
            peer_spread=spread(theirs),
        )


def report_fact(name, own, peers, fact, unit):
    """A line for each peer of what all contenders told once."""
    for peer in peers:
        if fact in peer.facts:
            report(
                f"{name}/to {peer.name}",
                own.facts[fact],
                unit,
                peer=peer.facts[fact],
            )


def report(name, value, unit, peer=None, ratio=None, **details):
    """One JSON line, its numbers of four digits.

    The ratio is that of the value and its peer's, unless one is given.
    """
    if ratio is None and peer:
        ratio = value / peer
    line = {"name": name, "value": value, "unit": unit, "peer": peer}
    line |= {"ratio": ratio, **details}
    print(json.dumps({k: _short(v) for k, v in line.items()}), flush=True)


def spread(values):
    """The least, the median and the most of some values."""
    return [min(values), statistics.median(values), max(values)]


def _short(value):
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def parser(description, num_turns=7):
    """A command line's parser, with the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--turns", type=int, default=num_turns)
    made.add_argument(
        "--quick", action="store_true", help="small sizes, few turns"
    )
    return made
