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

# Runs one step: records its time, so that the load's requests can be assigned to it, and keeps its failure from
# stopping the other steps. step NAME KIND FUNCTION; KIND is `rolling` (no request may fail, or wait for 5 s), `gap-MS`
# (some may fail, for less than that many milliseconds at a time) or `away` (some may fail).
step() {
  local name=$1 kind=$2 began verdict=ok
  shift 2
  chosen "$1" || return 0
  say "$name"
  began=$(now_ms)
  # In a process of its own, where `set -e` works: it does not on the left of `||`.
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
  say "$name: $verdict after $((($(now_ms) - began) / 1000)) s"
  # A request begun in it may be answered late, or may fail only then.
  sleep "$SETTLE"
  printf '%s\t%s\t%d\t%d\t%s\n' "$name" "$kind" "$began" "$(now_ms)" "$verdict" >>"$work/steps"
}

# Whether to run a step: without named steps, all are run.
chosen() {
  [ "${#only[@]}" = 0 ] || [[ " ${only[*]} " = *" $1 "* ]]
}

# Skips a step that cannot run here, and says why.
skip() {
  echo "skipped: $*"
  exit 77
}

# A request from inside the cluster, by a pod that only has bash. ask HOST PORT METHOD PATH [BODY]
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

# The pods that run and are not about to end: by COMPONENT, and RELEASE unless it is `prod`.
pods() {
  k --namespace "$ns" get pods --selector "app.kubernetes.io/instance=${2:-prod},app.kubernetes.io/name=scim-bridge,app.kubernetes.io/component=$1" --output json |
    jq --raw-output '[.items[] | select(.status.phase == "Running" and .metadata.deletionTimestamp == null) | .metadata.name] | join(" ")'
}

# Whether every pod of `prod` is there to stay: no earlier pod is still terminating.
none_goes() {
  [ "$(k --namespace "$ns" get pods --selector app.kubernetes.io/instance=prod --output json | jq '[.items[] | select(.metadata.deletionTimestamp != null)] | length')" = 0 ]
}

one_pod() { pods "$@" | cut -d ' ' -f 1; }

# Runs the program in a pod. inside POD ARGUMENT…
inside() {
  local pod=$1
  shift
  k --namespace "$ns" exec --stdin "$pod" --container scim-bridge -- scim-bridge "$@"
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

# After a Secret has changed: waits until every pod that mounts it has logged the change. seen SINCE COMPONENT…
seen() {
  local since=$1 component pod
  shift
  for component in "$@"; do
    for pod in $(pods "$component"); do
      until_true 180 "$pod sees the changed secret" seen_by "$pod" "$since"
    done
  done
}

seen_by() { k --namespace "$ns" logs "$1" --since-time "$2" | grep 'a secret changed'; }

put_secret() { # name, key=value…
  local name=$1 pair arguments=()
  shift
  for pair in "$@"; do arguments+=(--from-literal "$pair"); done
  k --namespace "$ns" create secret generic "$name" "${arguments[@]}" --dry-run=client --output yaml | k apply --filename - >/dev/null
}
