# The steps of launch_tpu_vm.sh and launch_pod.sh.
# shellcheck shell=bash source-path=SCRIPTDIR

FOLDER=gpt3_keras_run # on each host, in the user's home
LIBTPU=env/lib/python3.11/site-packages/libtpu/libtpu.so # from FOLDER
POLL_SECS=60
SSH_ATTEMPTS=6
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# shellcheck source=launch_options.sh
source "$HERE/launch_options.sh"

state=''

# launch USAGE WORKERS SIZES TYPE OPTION ...: the function that prints the help;
# the hosts that are worked on, 0 or all; how many chips there may be, as a
# pattern; the default of --type; and what the user has typed.
launch() {
  ((BASH_VERSINFO[0] >= 5)) ||
    fail "bash must be version 5 or newer. Received: $BASH_VERSION."
  usage=$1 workers=$2 sizes=$3
  option[type]=$4
  shift 4
  read_options "$@"
  check_tpu
  if [[ ${option[delete]} ]]; then
    delete
    return
  fi
  check_run
  stage
  bring_up
  start
  show_next
  [[ ! ${option[restart]} ]] || stay
}

# --- Commands ---

# The words as a shell reads them, quoted where needed.
quote() {
  local word
  local -a words=()
  for word; do
    [[ $word =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
    words+=("$word")
  done
  echo "${words[*]}"
}

# Prints the command, and runs it unless this is a dry run.
run() {
  quote "$@"
  [[ ${option[dry-run]} ]] || "$@"
}

# tpus GROUP VERB ARGUMENT ...: words of a gcloud command, into `command`.
tpus() {
  command=(gcloud compute tpus "$@" "--zone=${option[zone]}")
  [[ ! ${option[project]} ]] || command+=("--project=${option[project]}")
}

# on WORKERS WORD ...: the words as a command on these hosts, into `command`.
on() {
  local hosts=$1
  shift
  tpus tpu-vm ssh "${option[name]}" "--worker=$hosts" "--command=$(quote "$@")"
}

# --- Steps ---

stage() {
  package=${option[source]}
  [[ -d $package ]] || return 0
  staging=TEMPORARY_FOLDER
  if [[ ! ${option[dry-run]} ]]; then
    staging=$(mktemp --directory)
    trap 'rm -rf "$staging"' EXIT
  fi
  package=$staging/gpt3_keras.tar.gz
  run git -C "${option[source]}" archive --format=tar.gz --prefix=gpt3_keras/ \
    "--output=$package" HEAD
}

# Asks for the TPU's state: READY, ABSENT, UNKNOWN, or a word of Google's. A dry
# run finds none at first, and then a ready one.
read_state() {
  if [[ ${option[queued]} ]]; then
    tpus queued-resources describe "${option[name]}" "--format=value(state.state)"
  else
    tpus tpu-vm describe "${option[name]}" "--format=value(state)"
  fi
  if [[ ${option[dry-run]} ]]; then
    quote "${command[@]}"
    state=${state:+READY}
    state=${state:-ABSENT}
  elif state=$("${command[@]}" 2>&1); then
    state=${state##*$'\n'}
    state=${state/#ACTIVE/READY}
  elif [[ $state == *NOT_FOUND* ]]; then
    state=ABSENT
  else
    echo "$state" >&2
    state=UNKNOWN
  fi
}

create() {
  local type="--accelerator-type=${option[type]}" name=${option[name]}
  if [[ ${option[queued]} ]]; then
    tpus queued-resources create "$name" "--node-id=$name" "$type" \
      "--runtime-version=${option[version]}"
  else
    tpus tpu-vm create "$name" "$type" "--version=${option[version]}"
  fi
  [[ ! ${option[spot]} ]] || command+=(--spot)
  run "${command[@]}"
}

delete() {
  if [[ ${option[queued]} ]]; then
    tpus queued-resources delete "${option[name]}" --force --quiet
  else
    tpus tpu-vm delete "${option[name]}" --quiet
  fi
  run "${command[@]}"
}

# Makes the TPU unless it is there, and installs the package.
bring_up() {
  read_state
  while [[ $state != READY ]]; do
    case $state in
      ABSENT) create || pause ;;
      PREEMPTED | TERMINATED | STOPPED | SUSPENDED | FAILED)
        { delete && create; } || pause
        ;;
      UNKNOWN) pause ;;
      *) sleep "$POLL_SECS" ;;
    esac
    read_state
  done
  install
}

# After a command that failed: an end, or with --restart another attempt.
pause() {
  [[ ${option[restart]} ]] || exit 1
  sleep "$POLL_SECS"
}

install() {
  local attempt
  on "$workers" mkdir -p "$FOLDER"
  # A new host takes a while to listen.
  for ((attempt = 1; attempt <= SSH_ATTEMPTS; attempt++)); do
    ! run "${command[@]}" || break
    sleep 20
  done
  tpus tpu-vm scp "$HERE/on_tpu_vm.sh" "$package" "${option[config]}" \
    "${option[name]}:$FOLDER/" "--worker=$workers"
  run "${command[@]}" || return
  on "$workers" bash "$FOLDER/on_tpu_vm.sh" install "${option[backend]}" \
    "$(basename "$package")"
  run "${command[@]}"
}

start() {
  local setting hosts=$workers
  local -a words=("KERAS_BACKEND=${option[backend]}") own=(runtime.strategy=tpu)
  case ${option[backend]}-$workers in
    tensorflow-0)
      words+=(PJRT_DEVICE=TPU NEXT_PLUGGABLE_DEVICE_USE_C_API=true)
      words+=("TF_PLUGGABLE_DEVICE_LIBRARY_PATH=$LIBTPU")
      ;;
    tensorflow-all)
      hosts=0
      words+=(TPU_LOAD_LIBRARY=0)
      own+=("runtime.tpu=${option[name]}")
      ;;
  esac
  words+=(gpt3-keras train --config "$(basename "${option[config]}")")
  words+=(--workdir "${option[workdir]}")
  for setting in "${own[@]}" "${settings[@]}"; do
    words+=(--set "$setting")
  done
  on "$hosts" bash "$FOLDER/on_tpu_vm.sh" start "${words[@]}"
  run "${command[@]}"
}

show_next() {
  echo "# To follow the log:"
  on 0 tail -n 100 -F "$FOLDER/train.log"
  quote "${command[@]}"
  echo "# To delete the TPU, when training has ended:"
  quote "$0" --delete --name "${option[name]}" --zone "${option[zone]}" \
    --type "${option[type]}" ${option[project]:+--project "${option[project]}"} \
    ${option[queued]:+--queued}
}

# Looks every minute until training has ended, and starts it again where the
# TPU is gone or training is not running. Exit codes 2 and 3 of gpt3-keras would
# come again: bad input, and numbers that are none.
stay() {
  local found
  if [[ ${option[dry-run]} ]]; then
    echo "# Every $POLL_SECS s until training has ended:"
    read_state
    on 0 bash "$FOLDER/on_tpu_vm.sh" status
    run "${command[@]}"
    return
  fi
  while sleep "$POLL_SECS"; do
    read_state
    case $state in
      READY) ;;
      ABSENT | PREEMPTED | TERMINATED | STOPPED | SUSPENDED | FAILED)
        { bring_up && start; } || true
        continue
        ;;
      *) continue ;;
    esac
    on 0 bash "$FOLDER/on_tpu_vm.sh" status
    found=$("${command[@]}") || continue
    case ${found##*$'\n'} in
      running) ;;
      0 | 2 | 3)
        echo "Training has ended with exit code ${found##*$'\n'}."
        exit "${found##*$'\n'}"
        ;;
      *) start_again || true ;;
    esac
  done
}

# All hosts at once: those that still wait for the lost ones begin anew, too.
start_again() {
  on "$workers" bash "$FOLDER/on_tpu_vm.sh" stop
  run "${command[@]}" && start
}
