#!/bin/sh
# Starts a Consul agent as the user consul on /consul/data and /consul/config. Other commands of consul run as that
# user too, and anything else as it is. CONSUL_LOCAL_CONFIG is configuration text, written to local.json.
set -eu

data=/consul/data
config=/consul/config

for unsupported in CONSUL_BIND_INTERFACE CONSUL_CLIENT_INTERFACE CONSUL_ALLOW_PRIVILEGED_PORTS; do
  if [ -n "$(printenv "$unsupported" || true)" ]; then
    echo "$unsupported is not part of this stand-in; pass -bind or -client, or use hashicorp/consul" >&2
    exit 1
  fi
done

if [ -n "${CONSUL_LOCAL_CONFIG:-}" ]; then
  printf '%s\n' "$CONSUL_LOCAL_CONFIG" > "$config/local.json"
fi

case "${1:-}" in
  -*) set -- consul "$@" ;;
  agent)
    shift
    set -- consul agent "-data-dir=$data" "-config-dir=$config" "$@"
    ;;
  acl | catalog | config | connect | debug | event | exec | force-leave | info | intention | join | keygen | keyring | \
  kv | leave | lock | login | logout | maint | members | monitor | operator | reload | rtt | services | snapshot | tls | \
  validate | version | watch) set -- consul "$@" ;;
esac

if [ "${1:-}" = consul ] && [ "$(id -u)" = 0 ]; then
  if [ -z "${CONSUL_DISABLE_PERM_MGMT:-}" ]; then
    for directory in "$data" "$config"; do
      # Files mounted into the directory, perhaps read-only, keep their owner.
      [ "$(stat -c %u "$directory")" = "$(id -u consul)" ] || chown -R consul:consul "$directory" || true
    done
  fi
  exec setpriv --reuid=consul --regid=consul --clear-groups -- "$@"
fi
exec "$@"
