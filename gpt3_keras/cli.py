"""The command line: runs a verb, answers mistakes in one line.

What a verb takes stands in `cli_arguments`, what it does in `cli_verbs`. The
latter is imported when a verb runs: help and most mistakes are answered at
once, without TensorFlow.
"""

import gc
import importlib
import os
import re
import sys

from gpt3_keras import cli_arguments


def main(argv=None):
    """Runs one command.

    Args:
        argv: list of strings; the process's own by default.

    Returns:
        The exit code: 0 if the work is done; 2 for bad input; 3 if training
        met numbers that are none, 4 if it lost a worker; 128 and a signal's
        number if that signal interrupted it.
    """
    arguments = cli_arguments.parser().parse_args(argv)
    name = f"gpt3-keras {arguments.verb}"
    try:
        _prepare_tensorflow()
        getattr(_import_verbs(), arguments.verb)(arguments)
    except KeyboardInterrupt as error:
        print(f"\n{name}: {str(error) or 'interrupted'}", file=sys.stderr)
        return getattr(error, "exit_code", 130)
    except Exception as error:
        code = getattr(error, "exit_code", 2 if _is_bad_input(error) else None)
        if code is None:
            raise
        print(f"{name}: error: {_message(error)}", file=sys.stderr)
        return code
    return 0


def _prepare_tensorflow():
    """What TensorFlow reads from the environment, before it is imported.

    Its start-up notes would bury the one line of an error. On processors
    without AVX-512 it leaves oneDNN out, whose products of matrices take half
    the time of Eigen's.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    from absl import logging

    logging.set_verbosity(logging.ERROR)


def _import_verbs():
    """The module of verbs, and with it TensorFlow.

    All that imports make stays: without the garbage collector, which would
    go through it again and again, they take a third less time. Only the
    first time: freezing again would keep what a verb has left behind.
    """
    name = "gpt3_keras.cli_verbs"
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _is_bad_input(error):
    """Whether `error` tells of the user's files and values, not of a bug."""
    kinds = (ValueError, OSError, ArithmeticError, MemoryError)
    if "tensorflow" in sys.modules:
        kinds += (sys.modules["tensorflow"].errors.OpError,)
    return isinstance(error, kinds)


def _message(error):
    """What went wrong: one line, or all of a message that is a table.

    The first line of such a message names the rule and what was received.
    """
    text = str(error).strip()
    if isinstance(error, ValueError) and "Received:" in text.partition("\n")[0]:
        return text
    return _line(error)


def _line(error):
    """What went wrong, in one line."""
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    text = str(error).strip()
    # A dataset wraps what its Python code raised in graph and traceback.
    inner = re.search(r"^(?:Value|OS|Unicode\w*)Error: (.+)$", text, re.M)
    if inner:
        return inner[1]
    # Keras puts what a layer raised, in bold, under a line of its own.
    bold = re.search(r"\x1b\[1m(.+?)(?:\n|\x1b)", text)
    if bold:
        return bold[1]
    return text.splitlines()[0] if text else type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
