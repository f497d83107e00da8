#!/bin/sh
# Runs a program that ends with whoever started it, even when that process was killed and could end
# nothing: a shell beside it looks for the starter once a second. `exec` keeps the id, so that signals
# arrive. miniflare takes a path and no arguments for workerd, whose first argument is always "serve".
starter=$PPID
self=$$
(
  while kill -0 "$self"; do
    kill -0 "$starter" || kill -9 "$self"
    sleep 1
  done
) </dev/null >/dev/null 2>&1 3>&- 4>&- &
[ "$1" = serve ] && exec "$WORKERD" "$@"
exec "$@"
