#!/usr/bin/env bash
# Trains on a slice of several TPU hosts. One host: launch_tpu_vm.sh.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: launch_pod.sh --name NAME --zone ZONE --config FILE
                     --workdir /FOLDER [option ...]

As launch_tpu_vm.sh, with its options, for a v5e slice of several hosts: the
package is installed on all of them, and all train one model. With JAX every
host runs the same command and finds the others by itself. With TensorFlow the
first host runs it and drives the others' servers, which the image brings.

  --type TYPE         v5litepod-16 (default), -32, -64, -128 or -256; a host
                      has 8 chips
  --version IMAGE     default with jax: v2-alpha-tpuv5-lite; with tensorflow
                      name one with -pod- of the package's TensorFlow:
                      gcloud compute tpus tpu-vm versions list --zone ZONE

All others: launch_tpu_vm.sh --help.

example:
  tpu/launch_pod.sh --name pod --zone us-west4-a --type v5litepod-256 \
      --config configs/tpu_v5e_256.yaml --workdir /mnt/my-bucket/runs/pod \
      --set data.train=gs://my-bucket/shards
HELP
}

# shellcheck source-path=SCRIPTDIR source=launch_steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/launch_steps.sh"
launch usage all "16|32|64|128|256" v5litepod-16 "$@"
