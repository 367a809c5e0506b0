"""The steps of augmentation that a config asks for."""

from gpt3_keras.data.augmentation import ReplaceCharacters
from gpt3_keras.data.augmentation import SwapSentences
from gpt3_keras.data.augmentation import alphabet_of


def steps(config, source):
    """The steps for training text; none for held-out text.

    Args:
        config: an `ExperimentConfig`.
        source: the text; its characters are the alphabet where the config
            names none.

    Returns:
        A tuple of steps for `data.augmentation.apply_steps`.
    """
    section, seed = config.augmentation, config.training.seed
    made = []
    if section.sentence_rate:
        made.append(
            SwapSentences(section.sentence_rate, section.language, seed)
        )
    if section.character_rate:
        alphabet = section.alphabet or alphabet_of(source)
        made.append(ReplaceCharacters(section.character_rate, alphabet, seed))
    return tuple(made)
