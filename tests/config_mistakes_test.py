"""Configs and overrides that break a rule: one line says which."""

import re

import pytest

from gpt3_keras import config as configs


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model: {hiden_dim: 64}",
            "model has no key 'hiden_dim'; did you mean hidden_dim? "
            "Received: model.hiden_dim=64.",
        ),
        (
            "trainning: {}",
            "The config has no key 'trainning'; did you mean training? "
            "Received: trainning={}.",
        ),
        (
            "data: {zzz: 1}",
            "data has no key 'zzz'; it has train, validation, ",
        ),
        (
            "model: {hidden_dim: big}",
            "model.hidden_dim must be an integer. "
            "Received: model.hidden_dim='big'.",
        ),
        (
            "model: {hidden_dim: 64.5}",
            "model.hidden_dim must be an integer. "
            "Received: model.hidden_dim=64.5.",
        ),
        (
            "model: {num_layers: true}",
            "model.num_layers must be an integer. "
            "Received: model.num_layers=True.",
        ),
        (
            "model: {dropout: none}",
            "model.dropout must be a number. Received: model.dropout='none'.",
        ),
        (
            "model: {share_pointer_parameters: 1}",
            "model.share_pointer_parameters must be true or false. "
            "Received: model.share_pointer_parameters=1.",
        ),
        (
            "model: {pointer_hidden_dims: [64, wide]}",
            "model.pointer_hidden_dims.1 must be an integer. "
            "Received: model.pointer_hidden_dims.1='wide'.",
        ),
        ("model: 5", "model must be a section of keys. Received: model=5."),
        ("- model", "config must be a section of keys. Received: "),
        (
            "data: {train: 5}",
            "data.train must be text or a list of texts. "
            "Received: data.train=5.",
        ),
        (
            "data: {validation: 5}",
            "data.validation must be text or a list of texts or null. ",
        ),
        ("data: {train: []}", "train must name a file or folder. Received: "),
        (
            "training: {phases: 3}",
            "training.phases must be a list of sections. "
            "Received: training.phases=3.",
        ),
        (
            "training: {phases: []}",
            "training.phases must be a list of phases, each with a name of "
            "its own. Received: names=[].",
        ),
        (
            "training: {phases: [{name: a}, {name: a}]}",
            "each with a name of its own. Received: names=['a', 'a'].",
        ),
        (
            "training: {phases: [{trainable: [decoder]}]}",
            "trainable must name some of embeddings, encoder, pointer, "
            "generator. Received: training.phases.name='all', "
            "training.phases.trainable=['decoder'].",
        ),
        (
            "training: {phases: [{steps: 0}]}",
            "steps must be at least 1. Received: training.phases.steps=0.",
        ),
        (
            "training: {phases: [{loss_weights: {language_model: 0, "
            "pointer: 0, gate: 0}}]}",
            "one loss weight at least must be positive. Received: "
            "loss_weights.language_model=0.0, ",
        ),
        (
            "training: {learning_rate: {warmup_steps: 1000}}",
            "warmup_steps must be less than the steps of all phases. "
            "Received: training.learning_rate.warmup_steps=1000, "
            "steps=1000.",
        ),
        (
            "training: {learning_rate: {end: 1e-2}}",
            "end must be at most start. Received: "
            "training.learning_rate.end=0.01, "
            "training.learning_rate.start=0.0001.",
        ),
        (
            "training: {learning_rate: {start: 0, end: 0}}",
            "start must be positive. Received: "
            "training.learning_rate.start=0.0.",
        ),
        (
            "training: {learning_rate: {end: -1}}",
            "end must be at least 0. Received: "
            "training.learning_rate.end=-1.0.",
        ),
        (
            "training: {learning_rate: {warmup_steps: -1}}",
            "warmup_steps must be at least 0. Received: "
            "training.learning_rate.warmup_steps=-1.",
        ),
        (
            "training: {learning_rate: {epoch_decay: 0}}",
            "epoch_decay must be in (0, 1]. Received: "
            "training.learning_rate.epoch_decay=0.0.",
        ),
        (
            "training: {learning_rate: {epoch_decay: 1.1}}",
            "epoch_decay must be in (0, 1]. Received: "
            "training.learning_rate.epoch_decay=1.1.",
        ),
        (
            "training: {learning_rate: {decay_epochs: 0}}",
            "decay_epochs must be positive. Received: "
            "training.learning_rate.decay_epochs=0.",
        ),
        (
            "training: {learning_rate: {steps_per_epoch: 0}}",
            "steps_per_epoch must be positive. Received: "
            "training.learning_rate.steps_per_epoch=0.",
        ),
        (
            "training: {learning_rate: {noise_probability: 2}}",
            "noise_probability must be in [0, 1]. Received: "
            "training.learning_rate.noise_probability=2.0.",
        ),
        (
            "training: {learning_rate: {noise_scale: -1}}",
            "noise_scale must be at least 0. Received: "
            "training.learning_rate.noise_scale=-1.0.",
        ),
        (
            "training: {learning_rate: 1e-3}",
            "training.learning_rate must be a section of keys. Received: "
            "training.learning_rate=0.001.",
        ),
        (
            "training: {learning_rate_start: 1e-3}",
            "training has no key 'learning_rate_start'; did you mean "
            "learning_rate?",
        ),
        (
            "training: {clipping: {value: 0}}",
            "value must be positive. Received: training.clipping.value=0.0.",
        ),
        (
            "training: {clipping: {norm: 0}}",
            "norm must be positive. Received: training.clipping.norm=0.0.",
        ),
        (
            "training: {clipping: {global_norm: 0}}",
            "global_norm must be positive. Received: "
            "training.clipping.global_norm=0.0.",
        ),
        (
            "training: {clipping: {value: 1, global_norm: 2}}",
            "only one kind of clipping may be set. Received: "
            "training.clipping.value=1.0, "
            "training.clipping.global_norm=2.0.",
        ),
        (
            "training: {early_stopping: {patience: 0}}",
            "patience must be positive. Received: "
            "training.early_stopping.patience=0.",
        ),
        (
            "training: {early_stopping: {min_delta: -1}}",
            "min_delta must be at least 0. Received: "
            "training.early_stopping.min_delta=-1.0.",
        ),
        (
            "training: {precision: half}",
            "precision must be one of auto, float32, mixed_bfloat16, "
            "mixed_float16. Received: training.precision='half'.",
        ),
        (
            "training: {weight_decay: -1}",
            "weight_decay must be at least 0. Received: "
            "training.weight_decay=-1.0.",
        ),
        (
            "training: {micro_batches: 0}",
            "micro_batches must be at least 1. Received: "
            "training.micro_batches=0.",
        ),
        (
            "training: {checkpoint_steps: 0}",
            "checkpoint_steps must be at least 1. Received: "
            "training.checkpoint_steps=0.",
        ),
        (
            "training: {keep_checkpoints: 0}",
            "keep_checkpoints must be at least 1. Received: "
            "training.keep_checkpoints=0.",
        ),
        (
            "training: {validation_steps: 0}",
            "validation_steps must be positive. Received: "
            "training.validation_steps=0.",
        ),
        (
            "training: {trainable_layers: 0}",
            "trainable_layers must be positive. Received: "
            "training.trainable_layers=0.",
        ),
        (
            "training: {seed: -1}",
            "seed must be at least 0 and below 2**31. Received: "
            "training.seed=-1.",
        ),
        (
            "training: {phases: [{name: ''}]}",
            "name must not be empty. Received: training.phases.name=''.",
        ),
        (
            "training: {phases: [{trainable: []}]}",
            "trainable must name some of embeddings, encoder, pointer, "
            "generator. Received: training.phases.name='all', "
            "training.phases.trainable=[].",
        ),
        (
            "training: {trainable_layers: 2}",
            "training.trainable_layers must be at most model.num_layers. "
            "Received: training.trainable_layers=2, model.num_layers=1.",
        ),
        (
            "runtime: {strategy: many}",
            "strategy must be one of off, mirrored, "
            "multi_worker_mirrored, tpu, model_parallel. Received: "
            "runtime.strategy='many'.",
        ),
        (
            "runtime: {strategy: true}",
            "runtime.strategy must be text. Received: runtime.strategy=True.",
        ),
        (
            "runtime: {num_devices: 0, strategy: mirrored}",
            "num_devices must be positive. Received: runtime.num_devices=0.",
        ),
        (
            "runtime: {num_devices: 2}",
            "more than one device needs a strategy. Received: "
            "runtime.num_devices=2, runtime.strategy='off'.",
        ),
        (
            "runtime: {steps_per_execution: 0}",
            "steps_per_execution must be at least 1. Received: "
            "runtime.steps_per_execution=0.",
        ),
        (
            "runtime: {task_index: 1}",
            "task_index must be the place of one of worker_hosts. "
            "Received: runtime.task_index=1, runtime.worker_hosts=[].",
        ),
        (
            "runtime: {strategy: multi_worker_mirrored, worker_hosts: "
            "['a:1', 'b:1'], task_index: 2}",
            "task_index must be the place of one of worker_hosts. "
            "Received: runtime.task_index=2, "
            "runtime.worker_hosts=['a:1', 'b:1'].",
        ),
        (
            "runtime: {worker_hosts: ['a:1']}",
            "worker_hosts needs the strategy multi_worker_mirrored. "
            "Received: runtime.worker_hosts=['a:1'], "
            "runtime.strategy='off'.",
        ),
        (
            "runtime: {steps_per_execution: 3}\ntraining: "
            "{validation_steps: 100}",
            "runtime.steps_per_execution must divide "
            "training.validation_steps. Received: "
            "runtime.steps_per_execution=3, "
            "training.validation_steps=100.",
        ),
        (
            "runtime: {steps_per_execution: 3}\ntraining: "
            "{validation_steps: null}",
            "runtime.steps_per_execution must divide "
            "training.checkpoint_steps. Received: "
            "runtime.steps_per_execution=3, "
            "training.checkpoint_steps=500.",
        ),
        (
            "runtime: {steps_per_execution: 50}\ntraining: {phases: "
            "[{steps: 100}, {name: b, steps: 70}]}",
            "runtime.steps_per_execution must divide "
            "training.phases.1.steps. Received: "
            "runtime.steps_per_execution=50, training.phases.1.steps=70.",
        ),
        (
            "model: {num_heads: 3}",
            "num_heads must divide hidden_dim. Received: model.num_heads=3, "
            "model.hidden_dim=512.",
        ),
        (
            "model: {rnn: rwkv}",
            "rnn must be one of gru, lstm. Received: model.rnn='rwkv'.",
        ),
        (
            "model: {dropout: .nan}",
            "dropout must be in [0, 1). Received: model.dropout=nan.",
        ),
        (
            "model: {pointer_hidden_dims: [0]}",
            "pointer_hidden_dims must be positive. "
            "Received: model.pointer_hidden_dims=[0].",
        ),
        (
            "data: {sequence_length: 2048}",
            "data.sequence_length must be at most model.max_sequence_length. "
            "Received: data.sequence_length=2048, "
            "model.max_sequence_length=1024.",
        ),
        (
            "data: {validation_fraction: 1}",
            "validation_fraction must be between 0 and 1. "
            "Received: data.validation_fraction=1.0.",
        ),
        (
            "data: {document: page}",
            "document must be one of file, line. "
            "Received: data.document='page'.",
        ),
        (
            "tokenizer: {path: a, trained_vocabulary_size: 300}",
            "path and trained_vocabulary_size exclude each other. Received: "
            "tokenizer.path='a', tokenizer.trained_vocabulary_size=300.",
        ),
        (
            "tokenizer: {trained_vocabulary_size: 100}",
            "trained_vocabulary_size must be at least 257. "
            "Received: tokenizer.trained_vocabulary_size=100.",
        ),
        (
            "losses: {pointer_temperature: 0}",
            "pointer_temperature must be positive. "
            "Received: losses.pointer_temperature=0.0.",
        ),
        (
            "losses: {gate: -1}",
            "gate must be at least 0. Received: losses.gate=-1.0.",
        ),
        (
            "generation: {top_p: 0}",
            "top_p must be in (0, 1]. Received: generation.top_p=0.0.",
        ),
        (
            "generation: {max_new_tokens: 1024}",
            "generation.max_new_tokens must be less than "
            "model.max_sequence_length. Received: ",
        ),
        ("model: {a: 1, a: 2}", "line 1: the key 'a' stands twice."),
        ("model: [", "Invalid YAML in "),
        (
            "tokenizer: !!python/object/apply:os.system [ls]",
            "could not determine a constructor for the tag",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        configs.load_config(write(tmp_path, text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.batch_size",
            "An override must read section.key=value. "
            "Received: 'data.batch_size'.",
        ),
        ("seed=1", "An override must read section.key=value. "),
        ("data.=1", "An override must read section.key=value. "),
        (
            "data.batch=1",
            "data has no key 'batch'; did you mean batch_size? "
            "Received: data.batch=1.",
        ),
        (
            "data.batch_size=1.5",
            "data.batch_size must be an integer. "
            "Received: data.batch_size=1.5.",
        ),
        (
            "training.phases.9.steps=1",
            "An override must name a key of the config; there is no '9' "
            "there. Received: 'training.phases.9.steps=1'.",
        ),
        ("data.train=[", "Invalid YAML in override 'data.train=['"),
    ],
)
def test_a_mistaken_override_is_named(override, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        configs.load_config("base", [override])


def test_a_config_must_be_a_text_file(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("data: {train: été}".encode("latin-1"))
    with pytest.raises(ValueError, match=r"must be UTF-8 text\. Received"):
        configs.load_config(path)
    with pytest.raises(FileNotFoundError):
        configs.load_config(tmp_path / "absent.yaml")
    with pytest.raises(IsADirectoryError):
        configs.load_config(tmp_path)


TASK = "train: a.txt, validation: b.txt"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "task: {name: quiz}",
            "name must be one of lambada, summaries, dialogue. Received: "
            "task.name='quiz'.",
        ),
        (
            "task: {name: lambada, train: a.txt}",
            "validation must name the task's files. Received: "
            "task.validation=None.",
        ),
        (
            f"task: {{name: lambada, {TASK}, sequence_length: 4096}}",
            "task.sequence_length must be at most model.max_sequence_length. "
            "Received: task.sequence_length=4096, "
            "model.max_sequence_length=1024.",
        ),
        (
            f"task: {{name: lambada, {TASK}, context_weight: -1}}",
            "context_weight must be at least 0. Received: "
            "task.context_weight=-1.0.",
        ),
        (
            "task: {lambada: {copied_share: 1.5}}",
            "copied_share must be in [0, 1]. Received: "
            "task.lambada.copied_share=1.5.",
        ),
        (
            "task: {lambada: {style: upper}}",
            "style must be one of lambada, plain. Received: "
            "task.lambada.style='upper'.",
        ),
        (
            "task: {summaries: {min_new_tokens: 65}}",
            "min_new_tokens must be at most max_new_tokens. Received: "
            "task.summaries.min_new_tokens=65, "
            "task.summaries.max_new_tokens=64.",
        ),
        (
            "training: {phases: [{name: a, data: task}]}",
            "A phase on the task needs task.name. Received: task.name=None, "
            "phases on the task: ['a'].",
        ),
        (
            "training: {phases: [{name: a, data: shards}]}",
            "data must be one of text, task. Received: "
            "training.phases.data='shards'.",
        ),
    ],
)
def test_a_task_breaks_a_rule(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        configs.load_config(write(tmp_path, text))
