#!/bin/bash
# Starts Redis as the user redis: its data directory and configuration file are made readable to that user first.
# As in the official image nothing is dropped without the capabilities SETUID and SETGID, or with SKIP_DROP_PRIVS;
# owners stay as they are with SKIP_FIX_PERMS, and where unexpected files lie beside the expected ones.
set -euo pipefail

as_redis=(setpriv --reuid redis --regid redis --clear-groups)

bounded_by() { # CAPABILITY: is it in the bounding set
  local line
  line=$(setpriv --dump | grep '^Capability bounding set:')
  [[ $line =~ [^a-z_]$1(,|$) ]]
}

give() { # r|rw PATH...: let redis read (and write) these
  local mode=$1 path question
  shift
  for path in "$@"; do
    question=(-r "$path")
    if [ "$mode" = rw ]; then question+=(-a -w "$path"); fi
    if "${as_redis[@]}" test "${question[@]}"; then continue; fi
    chown redis "$path" && chmod "u+${mode}X" "$path" || echo "Warning: '$path' cannot be given to redis"
  done
}

give_data() {
  local odd
  odd=$(find . -mindepth 1 -maxdepth 1 ! -name '*.rdb' ! -name appendonlydir -print -quit)
  if [ -n "$odd" ]; then echo "Notice: '$odd' found in the data directory; owners are left as they are"; return; fi
  local paths
  mapfile -d '' paths < <(find . -print0)
  give rw "${paths[@]}"
}

give_config() { # r|rw FILE
  local folder
  folder=$(dirname "$2")
  if [ ! -f "$2" ]; then return; fi
  if [ "$(find "$folder" -mindepth 1 -maxdepth 1 | wc -l)" != 1 ]; then return; fi
  give "$1" "$folder" "$2"
}

case "${1:-}" in
  -* | *.conf) set -- redis-server "$@" ;; # arguments alone belong to the server
esac

program=$(basename "${1:-none}")
if [ "$program" = redis-server ] || [ "$program" = redis-sentinel ]; then
  sentinel=no
  case " $program $* " in *" redis-sentinel "* | *" --sentinel "*) sentinel=yes ;; esac
  config=${2:-}
  case "$config" in -*) config="" ;; esac

  if [ "$(id -u)" = 0 ] && [ -z "${SKIP_DROP_PRIVS:-}" ] && bounded_by setuid && bounded_by setgid; then
    if [ -z "${SKIP_FIX_PERMS:-}" ] && [ "$sentinel" = yes ]; then
      give_config rw "$config"
    elif [ -z "${SKIP_FIX_PERMS:-}" ]; then
      give_data
      give_config r "$config"
    fi
    kept=-all
    if bounded_by sys_resource; then kept+=,+sys_resource; fi
    exec "${as_redis[@]}" --nnp --inh-caps="$kept" --ambient-caps="$kept" --bounding-set="$kept" "$0" "$@"
  fi

  if [ "$(umask)" = 0022 ]; then umask 0077; fi
  # The official build has protected mode off unless a file or an option turns it on; Debian's has it on.
  if [ "$sentinel" = no ] && [ -z "$config" ]; then set -- "$1" --protected-mode no "${@:2}"; fi
fi
exec "$@"
