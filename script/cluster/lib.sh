# shellcheck shell=bash disable=SC2154
# What the steps of script/cluster-test share. Sourced; expects $context, $work and the names of namespaces.

k() { kubectl --context "$context" "$@"; }
h() { helm --kube-context "$context" --namespace "$ns" "$@"; }

say() { echo "cluster-test: $*" >&2; }

fail() {
  say "$*"
  return 1
}

now_ms() { date +%s%3N; }

# Waits for a condition. until_true SECONDS WHAT COMMAND…
until_true() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || fail "not in time: $what"
    sleep 1
  done
}

# One step: its time is written down, so that the requests of the load can be told apart by it, and a failure of one
# does not keep the others from being tried. step NAME KIND FUNCTION; KIND is `rolling` (no request may fail), `gap`
# (some may, for less than 5 s at a time) or `away` (some may).
step() {
  local name=$1 kind=$2 began verdict=ok
  shift 2
  say "$name"
  began=$(now_ms)
  # In a process of its own, where `set -e` holds: it would not on the left of `||`.
  set +e
  (set -e; "$@") >"$work/step.log" 2>&1
  local status=$?
  set -e
  case $status in
    0) ;;
    77) verdict=$(tail -n 1 "$work/step.log") ;;
    *)
      verdict=FAILED
      failed=$((failed + 1))
      tail -n 30 "$work/step.log" >&2
      ;;
  esac
  # What was begun in it may be answered late, or may only then be missed.
  sleep "$SETTLE"
  printf '%s\t%s\t%d\t%d\t%s\n' "$name" "$kind" "$began" "$(now_ms)" "$verdict" >>"$work/steps"
}

# Ends a step that cannot be tried here, and says why.
skip() {
  echo "skipped: $*"
  exit 77
}

# A request from within the cluster, by a pod that has bash and nothing else. ask HOST PORT METHOD PATH [BODY]
ask() {
  k --namespace "$outside" exec --stdin tools -- bash -s -- "$@" <<'ASK'
exec 3<>"/dev/tcp/$1/$2"
printf '%s %s HTTP/1.1\r\nhost: %s\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s' "$3" "$4" "$1" "${#5}" "${5:-}" >&3
while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do :; done
cat <&3
ASK
}

postman() { ask postman 9080 "$@"; }

# Whether a connection can be made from a pod of another namespace. reaches NAMESPACE HOST PORT
reaches() {
  k --namespace "$1" exec tools -- timeout 3 bash -c "exec 3<>/dev/tcp/$2/$3"
}

pods() { # component
  k --namespace "$ns" get pods --selector "app.kubernetes.io/instance=prod,app.kubernetes.io/name=scim-bridge,app.kubernetes.io/component=$1" \
    --field-selector status.phase=Running --output jsonpath='{.items[*].metadata.name}'
}

rolled() { # deployment…
  local name
  for name in "$@"; do
    k --namespace "$ns" rollout status "deployment/$name" --timeout 180s
  done
}

upgrade() { # values over those of the installation…
  h upgrade prod helm --values "$work/prod.yaml" --wait --timeout 4m "$@"
}

# After a Secret has changed: until every running pod has said that it has seen it. seen SINCE
seen() {
  local pod
  for pod in $(pods intake) $(pods worker); do
    until_true 180 "$pod sees the changed secret" seen_by "$pod" "$1"
  done
}

seen_by() { k --namespace "$ns" logs "$1" --since-time "$2" | grep 'a secret changed'; }

put_secret() { # name, key=value…
  local name=$1 pair arguments=()
  shift
  for pair in "$@"; do arguments+=(--from-literal "$pair"); done
  k --namespace "$ns" create secret generic "$name" "${arguments[@]}" --dry-run=client --output yaml | k apply --filename - >/dev/null
}
