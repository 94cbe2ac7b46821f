#!/bin/sh
# Starts arangod on /var/lib/arangodb3. A data directory that is not yet in use needs one of the ARANGO_* password
# variables, as in the official image; without one this exits 1.
set -eu

case "${1:-}" in
  -*) set -- arangod "$@" ;;
esac
if [ "${1:-}" != arangod ]; then
  exec "$@"
fi

if [ -z "$(ls -A /var/lib/arangodb3)" ] && [ "${SKIP_DATABASE_INIT:-}" != 1 ] \
  && [ -z "${ARANGO_ROOT_PASSWORD+set}${ARANGO_ROOT_PASSWORD_FILE:-}${ARANGO_NO_AUTH:-}${ARANGO_RANDOM_ROOT_PASSWORD:-}" ]; then
  echo 'error: database is uninitialized and password option is not specified' >&2
  echo '  You need to specify one of ARANGO_ROOT_PASSWORD, ARANGO_ROOT_PASSWORD_FILE, ARANGO_NO_AUTH and' \
    'ARANGO_RANDOM_ROOT_PASSWORD' >&2
  exit 1
fi

shift
authentication=true
[ -z "${ARANGO_NO_AUTH:-}" ] || authentication=false
exec arangod "$@" --server.authentication="$authentication" --configuration /etc/arangodb3/arangod.conf
