"""Compiles the training step of a config for TPUs, without any TPU.

The step is the one that `gpt3-keras train` runs, on JAX or on TensorFlow,
traced with the shapes and shardings of the config and compiled by libtpu for a
topology that need not be there. What is printed of memory, FLOPs and
collectives is the compiler's; nothing has run. Rates are estimates, and say so.

    python tpu/compile_check.py --config configs/tpu_v5e_8.yaml

Environments: `make tpu-check` makes them. Exit code 0 if the step fits, 1 if it
does not, 2 for bad input.
"""

import argparse
import dataclasses
import json
import os
import re
import sys

import without_tpu

# Peak dense bfloat16 FLOPs a second of a chip: the "System architecture" pages
# of Google Cloud's TPU documentation, read 2026-11.
_PEAK_FLOPS = {"v5e": 197e12, "v5p": 459e12, "v6e": 918e12, "tpu7x": 2307e12}
_UTILISATIONS = (0.2, 0.4)
_ADVICE = (
    "; larger training.micro_batches, runtime.rematerialize=true, a smaller "
    "data.batch_size, or runtime.strategy=model_parallel take less"
)


def main(argv=None):
    """Runs the check; returns the exit code."""
    arguments = _parser().parse_args(argv)
    os.environ.update(without_tpu.environment("jax"))
    from gpt3_keras.config import load_config

    try:
        config = load_config(arguments.config, arguments.set)
        topology = arguments.topology or _own_topology(arguments.config)
        step = _step(arguments, config, topology)
    except (ValueError, OSError) as error:
        line = str(error).strip().splitlines()[0]
        print(f"compile_check: error: {line}", file=sys.stderr)
        return 2
    reports = _reports(step, arguments.search)
    print(_text(step, reports, arguments.backend))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "config": arguments.config,
                    "topology": step.topology,
                    "reports": [dataclasses.asdict(r) for r in reports],
                },
                file,
                indent=2,
            )
    return 0 if reports[0].error is None else 1


def _parser():
    parser = argparse.ArgumentParser(
        description="Compiles a config's training step for TPUs that are not "
        "here, and says whether it fits.",
        epilog="example: python tpu/compile_check.py --config "
        "configs/tpu_v5e_8.yaml --topology v5e:2x4 --search",
    )
    parser.add_argument("--config", required=True, help="YAML of a run")
    parser.add_argument(
        "--topology",
        help="such as v5e:2x4; by default what the config's opening names",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        help="changes a value of the config",
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="also look for the largest micro-batch that fits",
    )
    parser.add_argument(
        "--backend",
        choices=("jax", "tensorflow"),
        default="jax",
        help="whose step is compiled",
    )
    parser.add_argument(
        "--tensorflow-python",
        default=".venv-tpu-tensorflow/bin/python",
        metavar="PATH",
        help="the interpreter beside tensorflow-tpu, for that backend",
    )
    parser.add_argument("--json", metavar="FILE", help="writes the figures")
    return parser


def _step(arguments, config, topology):
    """The step of either backend; both can be compiled and tell of it."""
    if arguments.backend == "jax":
        from compiled_step import Step

        return Step(config, topology)
    from tensorflow_step import TensorFlowStep

    same = ["--config", arguments.config]
    same += [x for value in arguments.set for x in ("--set", value)]
    return TensorFlowStep(config, same, topology, arguments.tensorflow_python)


def _own_topology(path):
    """The topology that a config's opening comment names."""
    with open(path, encoding="utf-8") as file:
        found = re.search(
            r"^# hardware .*?\b(\w+:\d+x\d+(?:x\d+)?)", file.read(), re.M
        )
    if not found:
        raise ValueError(
            "The config's opening must name its topology, or --topology be "
            f"given. Received: {path}."
        )
    return found[1]


def _reports(step, searches):
    """The config's own step first; then, if asked, larger parts of it.

    Or smaller ones, until one fits, where its own does not.
    """
    parts = step.config.training.micro_batches
    reports = [step.compile(parts)]
    fits = reports[0].error is None
    rows_per_chip = step.rows // len(step.devices)
    while searches and (reports[-1].error is None) == fits:
        parts = parts // 2 if fits else 2 * parts
        if not 1 <= parts <= rows_per_chip:
            break
        reports.append(step.compile(parts))
    return reports


def _text(step, reports, backend):
    """What is printed."""
    length = step.length
    mesh = getattr(step, "mesh", None)
    split = "rows split" if mesh is None else f"mesh {dict(mesh.shape)}"
    lines = [
        f"{step.topology}, {len(step.devices)} chips, {split}: "
        f"{step.num_parameters():,} parameters, "
        f"{step.config.training.precision}, T = {length}, {backend}'s step, "
        "compiled; nothing has run"
    ]
    for report in reports:
        per_chip = report.rows // len(step.devices)
        part = -(-per_chip // report.micro_batches)
        lines.append(
            f"{report.rows} rows a step, {report.micro_batches} micro-batches "
            f"of {part} rows a chip, {report.rows * length:,} tokens a step: "
            + _verdict(report.error)
        )
        if report.error is not None:
            advice = _ADVICE if _is_too_big(report.error) else ""
            lines.append(f"  {report.error}{advice}")
            continue
        lines += _details(step, report)
    fitting = [r for r in reports if r.error is None]
    if len(reports) > 1 and fitting:
        rows = max(
            -(-r.rows // len(step.devices) // r.micro_batches) for r in fitting
        )
        lines.append(f"largest micro-batch that fits: {rows} rows a chip")
    return "\n".join(lines)


def _verdict(error):
    """Whether a step fits, or could not be compiled at all."""
    if error is None:
        return "fits"
    return "DOES NOT FIT" if _is_too_big(error) else "DOES NOT COMPILE"


def _is_too_big(error):
    return "HBM" in error


def _details(step, report):
    gibibyte = 2.0**30
    lines = [
        f"  HBM of a chip {report.peak_bytes / gibibyte:.2f} GiB: parameters "
        f"{report.parameter_bytes / gibibyte:.2f}, optimizer "
        f"{report.optimizer_bytes / gibibyte:.2f}, activations, gradients "
        f"and buffers {report.activation_bytes / gibibyte:.2f}",
        f"  compiled in {report.compile_secs:.0f} s",
    ]
    for kind, (number, num_bytes) in sorted(report.collectives.items()):
        lines.append(
            f"  {kind}: {number} in the program, {num_bytes / 2**20:.1f} MiB"
        )
    flops = step.model_flops()
    lines.append(f"  model FLOPs of a step {flops:.3g}")
    peak = _PEAK_FLOPS.get(step.topology.partition(":")[0])
    if peak:
        tokens = report.rows * step.length
        for share in _UTILISATIONS:
            secs = flops / (share * peak * len(step.devices))
            lines.append(
                f"  estimate at {share:.0%} of the published peak: "
                f"{tokens / secs:,.0f} tokens/s"
            )
    return lines


if __name__ == "__main__":
    sys.exit(main())
