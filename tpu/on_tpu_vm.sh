#!/usr/bin/env bash
# What runs on a TPU host; the launch scripts copy it there.
#
#   on_tpu_vm.sh install BACKEND PACKAGE    into env, beside this file
#   on_tpu_vm.sh start [NAME=VALUE ...] gpt3-keras train ...
#   on_tpu_vm.sh stop                       training saves what it has
#   on_tpu_vm.sh status                     running, an exit code or stopped
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

is_running() {
  ! flock --nonblock lock true
}

# The image's Python may be too old for the package: uv brings one.
install() {
  local -a pip=(python3 -m uv pip)
  ! is_running || return 0
  python3 -m pip install --quiet --user uv
  [[ -d env ]] || python3 -m uv venv --quiet --python 3.11 env
  export VIRTUAL_ENV=$PWD/env
  if [[ $1 == jax ]]; then
    "${pip[@]}" install --quiet --reinstall-package gpt3-keras "./$2[tpu]"
  else
    "${pip[@]}" install --quiet --reinstall-package gpt3-keras "./$2"
    # Two packages of the same files: the one for TPUs goes over the other.
    # Newer versions of libtpu than this one abort under TensorFlow 2.20.
    "${pip[@]}" install --quiet --reinstall-package tensorflow-tpu \
      'tensorflow-tpu~=2.20.0' 'libtpu==0.0.20'
  fi
}

# In a session of its own: training outlives the connection. It has the lock
# from here on; who asks for the status has it for a moment only.
start() {
  exec 9>lock
  if ! flock --timeout 2 9; then
    echo "Training runs already."
    return
  fi
  rm -f exit_code
  setsid bash "$PWD/on_tpu_vm.sh" train "$@" >>train.log 2>&1 </dev/null &
  echo "$!" >pid
}

train() {
  local status=0
  env "PATH=$PWD/env/bin:$PATH" "$@" || status=$?
  echo "$status" >exit_code
}

stop() {
  ! is_running || kill -TERM -- "-$(cat pid)" || true
  flock --timeout 300 lock true
}

status() {
  if is_running; then
    echo running
  elif [[ -f exit_code ]]; then
    cat exit_code
  else
    echo stopped
  fi
}

"$@"
