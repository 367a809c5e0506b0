#!/usr/bin/env bash
# Trains on one Cloud TPU VM. A slice of several hosts: launch_pod.sh.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: launch_tpu_vm.sh --name NAME --zone ZONE --config FILE
                        --workdir /FOLDER [option ...]

Makes a TPU VM, installs gpt3_keras on it and trains there, lost connections
aside. The same command again goes on from the last checkpoint, on the same VM
or, where that one was preempted, on a new one.

  --name NAME         of the TPU VM; made unless it is there
  --zone ZONE         such as us-west4-a
  --project PROJECT   default: gcloud's own
  --type TYPE         v5litepod-1, -4 or -8 (default)
  --version IMAGE     the VM's image; default: v2-alpha-tpuv5-lite
  --spot              at the low price of what may be preempted
  --queued            as a queued resource: waits until there is a TPU

  --config FILE       YAML file of the run; it is copied to the VM
  --workdir FOLDER    of checkpoints and history, which every host sees
  --set KEY=VALUE     change one key of the config; may be repeated. Data, too,
                      must be where the VM sees it: data.train=gs://...
  --backend NAME      jax (default) or tensorflow
  --source PATH       a wheel, or a git checkout whose last commit is
                      installed; default: this one

  --restart           stay, and start again after preemption, reboot or crash
  --delete            delete the TPU VM; the workdir remains
  --dry-run           print every command, run none
  --help              print this

example:
  tpu/launch_tpu_vm.sh --name mine --zone us-west4-a --spot --restart \
      --config configs/tpu_v5e_8.yaml --workdir /mnt/my-bucket/runs/mine \
      --set data.train=gs://my-bucket/shards
HELP
}

# shellcheck source-path=SCRIPTDIR source=launch_steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch_steps.sh"
launch usage 0 "1|4|8" v5litepod-8 "$@"
