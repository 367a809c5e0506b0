# The options of launch_tpu_vm.sh and launch_pod.sh, read and checked.
# shellcheck shell=bash

IMAGE=v2-alpha-tpuv5-lite

declare -A option=(
  [backend]=jax [source]=$(dirname "$HERE")
  [name]='' [zone]='' [project]='' [type]='' [version]='' [config]=''
  [workdir]='' [spot]='' [queued]='' [restart]='' [delete]='' [dry-run]=''
)
declare -a settings=()
# What `launch` is called with.
usage='' workers='' sizes=''

fail() {
  echo "$*" >&2
  exit 2
}

read_options() {
  local word name
  while (($#)); do
    word=$1 name=${1%%=*}
    shift
    case $name in
      --help)
        "$usage"
        exit
        ;;
      --spot | --queued | --restart | --delete | --dry-run)
        [[ $word == "$name" ]] || fail "$name takes no value. Received: $word."
        option[${name#--}]=yes
        continue
        ;;
      --name | --zone | --project | --type | --version) ;;
      --config | --workdir | --backend | --source | --set) ;;
      *) fail "Options are those that --help names. Received: $word." ;;
    esac
    if [[ $word == "$name" ]]; then
      if (($# == 0)) || [[ $1 == --* ]]; then
        fail "$name needs a value. Received: $name."
      fi
      word=$name=$1
      shift
    fi
    if [[ $name == --set ]]; then
      settings+=("${word#*=}")
    else
      option[${name#--}]=${word#*=}
    fi
  done
}

# require OPTION PATTERN RULE
require() {
  [[ ${option[$1]} =~ ^($2)$ ]] ||
    fail "--$1 must be $3. Received: --$1=${option[$1]}."
}

# Checks what finds the TPU.
check_tpu() {
  require name '[a-z]([a-z0-9-]{0,61}[a-z0-9])?' \
    "lowercase letters, digits and hyphens, a letter first"
  require zone '[a-z]+-[a-z]+[0-9]+-[a-z]' "a zone, such as us-west4-a"
  require type "v5litepod-($sizes)" "v5litepod-N, N one of ${sizes//|/, }"
  [[ ${option[dry-run]} ]] || command -v gcloud >/dev/null ||
    fail "PATH must hold gcloud, of the Google Cloud CLI. Received: none."
}

# Checks what a run needs besides.
check_run() {
  local source=${option[source]} setting
  require backend 'jax|tensorflow' "jax or tensorflow"
  if [[ ${option[backend]} == tensorflow && $workers == all ]]; then
    require version 'tpu-vm-tf-.*-pod.*' \
      "TensorFlow's image for slices, tpu-vm-tf-*-pod*, with tensorflow"
  fi
  option[version]=${option[version]:-$IMAGE}
  require workdir '/.+' "an absolute path that every host sees, as of a mounted bucket"
  [[ -f ${option[config]} ]] ||
    fail "--config must be a file. Received: --config=${option[config]}."
  [[ -f $source && $source == *.whl || -e $source/.git ]] ||
    fail "--source must be a wheel or a git checkout. Received:" \
      "--source=$source."
  for setting in "${settings[@]}"; do
    [[ $setting =~ ^[a-z0-9_]+(\.[a-z0-9_]+)+= ]] ||
      fail "--set must be SECTION.KEY=VALUE. Received: --set=$setting."
  done
}
