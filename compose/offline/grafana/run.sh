#!/bin/sh
# Starts Grafana on the directories of GF_PATHS_*. GF_<NAME>__FILE=<file> becomes GF_<NAME>=<its content>.
set -eu

[ -r "$GF_PATHS_CONFIG" ] || echo "GF_PATHS_CONFIG='$GF_PATHS_CONFIG' is not readable."
[ -w "$GF_PATHS_DATA" ] || echo "GF_PATHS_DATA='$GF_PATHS_DATA' is not writable."
[ -r "$GF_PATHS_HOME" ] || echo "GF_PATHS_HOME='$GF_PATHS_HOME' is not readable."
[ -d "$GF_PATHS_PLUGINS" ] || mkdir "$GF_PATHS_PLUGINS"

for given in $(env | sed -n 's/^\(GF_[A-Za-z0-9_]*\)__FILE=..*/\1/p'); do
  if [ -n "$(printenv "$given" || true)" ]; then
    echo "ERROR: Both $given and ${given}__FILE are set (but are exclusive)" >&2
    exit 1
  fi
  file=$(printenv "${given}__FILE")
  echo "Getting secret $given from $file"
  content=$(cat "$file")
  export "$given=$content"
  unset "${given}__FILE"
done

export HOME="$GF_PATHS_HOME"
exec grafana server --homepath="$GF_PATHS_HOME" --config="$GF_PATHS_CONFIG" --packaging=docker "$@" \
  cfg:default.log.mode=console \
  "cfg:default.paths.data=$GF_PATHS_DATA" \
  "cfg:default.paths.logs=$GF_PATHS_LOGS" \
  "cfg:default.paths.plugins=$GF_PATHS_PLUGINS" \
  "cfg:default.paths.provisioning=$GF_PATHS_PROVISIONING"
