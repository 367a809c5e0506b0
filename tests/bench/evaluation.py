"""LAMBADA's development passages on the article's size: how long it takes.

An untrained model of `GPT3Backbone`'s defaults reads them in batches of rows of
like lengths. Beside it what a plain loop does: batches padded to the longest
passage, read by `predict_on_batch`, which gives all log-probabilities.

    python tests/bench/evaluation.py [--passages 4869] [--turns 1]
"""

import turns

PASSAGES = turns.DATA / "lambada" / "lambada_development_plain_text.txt"
OURS, PLAIN = "gpt3_keras", "padded_batches"
_BATCH = 32


def make(name, options):
    import keras
    import numpy as np

    import gpt3_keras as gk
    from gpt3_keras.data.lambada import read_passages
    from gpt3_keras.evaluation.lambada import last_word

    passages = list(read_passages(PASSAGES))[: int(options[0])]
    tokenizer = gk.GPT3Tokenizer()
    preprocessor = gk.GPT3CausalLMPreprocessor(tokenizer, sequence_length=256)
    model = gk.GPT3CausalLM(gk.GPT3Backbone(), preprocessor)
    if name == OURS:
        return lambda: last_word(model, passages, _BATCH), {}
    rows = tokenizer.encode_batch(
        [f"{passage.context} {passage.target}" for passage in passages]
    )
    length = max(map(len, rows))
    token_ids = np.zeros((len(rows), length), "int32")
    for row, ids in zip(token_ids, rows, strict=True):
        row[: len(ids)] = ids
    mask = np.array([np.arange(length) < len(ids) for ids in rows])
    model.preprocessor = None

    def run():
        for start in range(0, len(rows), _BATCH):
            part = slice(start, start + _BATCH)
            log_probs = model.predict_on_batch(
                {"token_ids": token_ids[part], "padding_mask": mask[part]}
            )
            keras.ops.convert_to_numpy(log_probs[:, -2]).argmax(-1)

    return run, {}


def main():
    parser = turns.parser(__doc__.splitlines()[0], num_turns=1)
    parser.add_argument("--passages", type=int, default=4869)
    parser.add_argument("--plain", type=int, default=320)
    arguments = parser.parse_args()
    num_passages, num_turns = arguments.passages, arguments.turns
    if arguments.quick:
        num_passages, num_turns = 64, 1
    num_plain = min(num_passages, arguments.plain)
    own = turns.Contender(OURS, [str(num_plain)])
    plain = turns.Contender(PLAIN, [str(num_plain)])
    turns.compare([own, plain], num_turns)
    turns.report_speed(
        "evaluation/lambada",
        own,
        [plain],
        lambda secs: num_plain / secs,
        "passages/s",
    )
    turns.report_fact(
        "evaluation/lambada/peak_mb", own, [plain], "peak_mb", "MB"
    )
    if num_plain < num_passages:
        entire = turns.Contender(OURS, [str(num_passages)])
        turns.compare([entire], 1)
        turns.report(f"evaluation/lambada/{num_passages}", entire.secs[0], "s")


if __name__ == "__main__":
    if not turns.serve(make):
        main()
