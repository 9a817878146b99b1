# shellcheck shell=bash disable=SC2154
# A container engine for script/image-test: the machine's, if it answers and has the base image; otherwise one of our
# own, which leaves nothing behind: data, sockets and processes are in and under $work, and no network rule is touched.
# Sourced; expects $work, a folder that is removed at the end.

own_engine=

engine_find() { # base image
  if docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null 2>&1; then
    echo "image-test: the machine's own engine, $(docker info --format '{{.ServerVersion}}, {{.Driver}}')"
    return
  fi
  if [ "$(id -u)" != 0 ]; then
    echo "image-test: no container engine answers that can pull $1, and only root can start one" >&2
    return 1
  fi
  want dockerd docker.io
  local driver
  # overlay2 only works on some file systems; vfs copies, and works anywhere.
  for driver in overlay2 vfs; do
    if engine_start "$driver"; then
      echo "image-test: an engine of our own, $(docker info --format '{{.ServerVersion}}, {{.Driver}}')"
      return
    fi
  done
  echo "image-test: no container engine can be started here:" >&2
  tail -n 20 "$work/dockerd.log" >&2
  return 1
}

engine_start() { # storage driver
  export DOCKER_HOST="unix://$work/docker.sock"
  # Ends with this script, however that ends. Containers reach each other on a bridge without iptables rules, and
  # nothing here needs more.
  setpriv --pdeathsig TERM dockerd --host "$DOCKER_HOST" --storage-driver "$1" \
    --data-root "$work/engine" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false >"$work/dockerd.log" 2>&1 &
  own_engine=$!
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    docker info >/dev/null 2>&1 && return 0
    kill -0 "$own_engine" 2>/dev/null || break
    sleep 0.1
  done
  engine_stop
  return 1
}

engine_stop() {
  [ -n "$own_engine" ] || return 0
  local tries containerd
  containerd=$(cat "$work/exec/containerd/containerd.pid" 2>/dev/null) || containerd=
  kill -TERM "$own_engine" 2>/dev/null
  for ((tries = 0; tries < 300; tries++)); do
    kill -0 "$own_engine" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$own_engine" ${containerd:+"$containerd"} 2>/dev/null
  wait "$own_engine" 2>/dev/null
  own_engine=
  # What a killed engine has left mounted, the deepest first.
  awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount --lazy
  # The groups of its containers, which are empty now; other engines' groups are not, and stay.
  rmdir /sys/fs/cgroup/{,*/}docker 2>/dev/null
  return 0
}
