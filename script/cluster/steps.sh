# shellcheck shell=bash disable=SC2154
# The steps of script/cluster-test, each a function that fails if anything is wrong. Sourced.

install_prod() {
  h install prod helm --values "$work/prod.yaml" --wait --timeout 4m
}

helm_test() {
  local logs
  logs=$(h test prod --logs)
  [ "$(grep -c 'POD LOGS' <<<"$logs")" = 1 ] || fail "the log is there more than once"
  grep -q ignored <<<"$logs"
}

# --- rolling operations: no request fails

change_a_value() { upgrade --set config.log.level=debug; }

change_the_tag() {
  [ -n "$IMAGE_NEXT" ] || skip "IMAGE_NEXT names no other tag"
  upgrade --set "image.repository=${IMAGE_NEXT%:*}" --set "image.tag=${IMAGE_NEXT##*:}"
}

roll_back() { h rollback prod 1 --wait --timeout 4m; }

restart() {
  k --namespace "$ns" rollout restart deployment/prod-scim-bridge-intake deployment/prod-scim-bridge-worker
  rolled prod-scim-bridge-intake prod-scim-bridge-worker
}

delete_each() {
  local component pod
  for component in intake worker; do
    for pod in $(pods "$component"); do
      k --namespace "$ns" delete pod "$pod" --wait
      rolled "prod-scim-bridge-$component"
    done
  done
}

# The same request as `kubectl drain`, which would leave a single-node cluster without any node.
evict() { # pod
  k create --raw "/api/v1/namespaces/$ns/pods/$1/eviction" --filename - <<JSON
{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "$1", "namespace": "$ns"}}
JSON
}

evict_each() {
  local component before pod other
  for component in intake worker; do
    before=$(pods "$component")
    for pod in $before; do
      # Refused until the previous one has been replaced.
      until_true 90 "$pod may be evicted" evict "$pod"
      # Only the pods that serve and were not evicted yet: one that is not ready, or is terminating, may always be
      # evicted.
      for other in ${before#*"$pod"}; do
        ! evict "$other" || fail "two of two were evicted at once"
      done
    done
    rolled "prod-scim-bridge-$component"
  done
}

change_the_mode() {
  upgrade --set mode=all --set all.replicas=2
  k --namespace "$ns" get deployment prod-scim-bridge-intake || fail "the old mode was gone before the new one was ready"
  upgrade --set mode=all --set all.replicas=2
  ! k --namespace "$ns" get deployment prod-scim-bridge-intake 2>/dev/null || fail "the old mode stays"
}

change_the_mode_back() {
  upgrade
  upgrade
  ! k --namespace "$ns" get deployment prod-scim-bridge 2>/dev/null || fail "the former mode stays"
}

switch_autoscaling_on() {
  local watch least
  # Not with `k`: the process that is killed below must be kubectl itself.
  kubectl --context "$context" --namespace "$ns" get deployment prod-scim-bridge-intake --watch --output jsonpath='{.spec.replicas}{"\n"}' >"$work/replicas" &
  watch=$!
  upgrade --set intake.autoscaling.enabled=true
  sleep 5
  kill "$watch"
  least=$(sort -n "$work/replicas" | head -n 1)
  [ "$least" -ge 2 ] || fail "replicas went down to $least"
  upgrade
}

# A configuration that the program refuses: the rollout stops, and an old pod that is recreated serves as before.
refuse_a_configuration() {
  local pod before
  before=$(pods intake)
  ! h upgrade prod helm --values "$work/prod.yaml" --set-string config.log.level=hyper=warn --wait --timeout 30s || fail "it was accepted"
  for pod in $before; do
    k --namespace "$ns" delete pod "$pod" --wait
    until_true 60 "two intakes as before" two_are_ready
  done
  until_true 60 "kubectl shows why" refusal_is_shown
  h rollback prod --wait --timeout 4m
}

# The message of a container that has just ended, or of its predecessor: around a restart only one of them has it.
refusal_is_shown() {
  k --namespace "$ns" get pods --output json |
    jq --raw-output '.items[].status.containerStatuses[]? | (.lastState.terminated.message, .state.terminated.message) // empty' | grep log.level
}

two_are_ready() {
  [ "$(k --namespace "$ns" get endpointslices --selector kubernetes.io/service-name=prod-scim-bridge \
    --output jsonpath='{range .items[*].endpoints[?(@.conditions.ready==true)]}x{end}')" = xx ]
}

refuse_and_roll_back_atomically() {
  ! upgrade --atomic --timeout 30s --set-string config.log.level=hyper=warn || fail "it was accepted"
  rolled prod-scim-bridge-intake prod-scim-bridge-worker
}

# --- rotations: the Secret is changed, every pod says that it has seen it, and then the other side changes

signs_with() { [ "$(k --namespace "$outside" exec "$1" -- cat /secret/token)" = "$2" ]; }

rotate_the_source_secret() {
  local since pod
  since=$(date --utc +%FT%TZ)
  put_secret load current=token-before-0123456789 next=token-after-0123456789
  seen "$since" intake
  # The senders have a Secret of their own, in their namespace: they switch one by one.
  k --namespace "$outside" create secret generic load --from-literal token=token-after-0123456789 --dry-run=client --output yaml | k apply --filename - >/dev/null
  for pod in $(k --namespace "$outside" get pods --selector load=load --output name); do
    until_true 180 "$pod signs with the new secret" signs_with "$pod" token-after-0123456789
  done
  since=$(date --utc +%FT%TZ)
  put_secret load current=token-after-0123456789 next=token-after-0123456789
  seen "$since" intake
}

rotate_the_key() {
  local since
  postman PATCH /sim/options '{"key":"key-after"}'
  since=$(date --utc +%FT%TZ)
  put_secret postman postman-key=key-after
  seen "$since" worker
  # No pod with the old key may set the hold again.
  until_true 30 "the hold is lifted" no_hold
  sleep 15
  no_hold
}

no_hold() { status_of prod | jq --exit-status '.holds == []'; }

rotate_the_token() {
  local since
  since=$(date --utc +%FT%TZ)
  put_secret admin admin-token=another-token-0123456789abcdef
  seen "$since" intake worker
  # The command sends the token in the pod's file: this fails unless the process accepts that one by now.
  people_of prod >/dev/null
}

rotate_redis_password() {
  local since
  redis ACL SETUSER bridge ">$redis_password_after"
  since=$(date --utc +%FT%TZ)
  put_secret redis redis-password="$redis_password_after"
  seen "$since" intake worker
  redis ACL SETUSER bridge "<$redis_password"
  redis_secret "$redis_password_after"
  redis CLIENT KILL USER bridge
}

redis() { k --namespace "$outside" exec redis-0 -- valkey-cli --user default --pass "$redis_password" --no-auth-warning "$@"; }

# --- failures

kill_each() {
  local component pod
  for component in intake worker; do
    for pod in $(pods "$component"); do
      k --namespace "$ns" delete pod "$pod" --grace-period 0 --force
      rolled "prod-scim-bridge-$component"
    done
  done
}

take_redis_away() {
  k --namespace "$outside" scale statefulset/redis --replicas 0
  k --namespace "$outside" wait --for delete pod/redis-0 --timeout 60s
  sleep 10
  k --namespace "$outside" scale statefulset/redis --replicas 1
  k --namespace "$outside" rollout status statefulset/redis --timeout 120s
  until_true 60 "the intakes are ready again" two_are_ready
}

# --- who may reach what

check_policies() {
  local intake worker
  intake=$(address_of "$(one_pod intake)")
  worker=$(address_of "$(one_pod worker)")
  reaches "$outside" "$intake" 8080 || fail "the senders do not reach the intake"
  ! reaches "$stranger" "$intake" 8080 || fail "a stranger reaches the intake: are policies enforced here?"
  ! reaches "$outside" "$intake" 9090 || fail "the senders reach the admin listener"
  ! reaches "$outside" "$worker" 9090 || fail "the senders reach a worker"
  ! reaches "$outside" "$worker" 8080 || fail "a worker listens for webhooks"
  # The intake may reach the store, but not Postman; the worker both.
  inside "$(one_pod worker)" check --role worker --json </dev/null >"$work/check" || true
  jq --exit-status '[.checks[] | select(.what == "store" or .what == "postman") | .ok] | all' "$work/check" || fail "the worker does not reach both"
  # It has no key to check Postman with, so any answer at all would be too much.
  echo '{}' | inside "$(one_pod intake)" send --source hr --file - \
    --url "http://postman.$outside.svc:9080/scim/v2/Users" >"$work/sent" 2>&1 || true
  grep --quiet "cannot be reached" "$work/sent" || fail "the intake reaches Postman"
}

address_of() { k --namespace "$ns" get pod "$1" --output jsonpath='{.status.podIP}'; }

# Looks into the running container with a debugger: each has only the secrets that its role reads, and nobody can write
# to /data.
check_mounts() {
  local component pod found wanted
  for component in intake worker; do
    pod=$(one_pod "$component")
    k --namespace "$ns" debug "$pod" --image "$TOOLS" --target scim-bridge --profile restricted --container look --quiet --attach=false -- \
      bash -c 'ls /proc/1/root/run/secrets/scim-bridge; ! touch /proc/1/root/data/x 2>/dev/null || echo /data is writable; ! touch /proc/1/root/x 2>/dev/null || echo / is writable'
    until_true 60 "the debugger ends" looked "$pod"
    found=$(k --namespace "$ns" logs "$pod" --container look | sort)
    case $component in
      intake) wanted=$(printf '%s\n' admin-token redis-password source-hr-0 source-load-0 source-load-1) ;;
      worker) wanted=$(printf '%s\n' admin-token postman-key redis-password) ;;
    esac
    [ "$found" = "$wanted" ] || fail "$component: there is $found, and should be $wanted"
  done
}

looked() {
  k --namespace "$ns" get pod "$1" --output json | jq --exit-status '.status.ephemeralContainerStatuses[]? | select(.name == "look") | .state.terminated'
}

check_monitoring() {
  k --namespace "$ns" get configmap prod-scim-bridge-dashboard --output json | jq --exit-status '.data["scim-bridge.json"] | fromjson | .panels | length > 5' || fail "no dashboard"
  k get crd prometheusrules.monitoring.coreos.com >/dev/null 2>&1 || skip "no Prometheus operator; the dashboard is there"
  k --namespace "$ns" get prometheusrule prod-scim-bridge --output json | jq --exit-status '[.spec.groups[].rules[].alert] | length >= 9' || fail "no alerts"
  k --namespace "$ns" get servicemonitor prod-scim-bridge
}

# `status` exits with 3 if it lists a problem.
status_of() { # release
  inside "$(one_pod worker "$1")" status --json </dev/null || [ $? = 3 ]
}

# How many people a release knows.
people_of() { status_of "$1" | jq --exit-status '.people'; } # release

# Another release on the same Redis sees nothing of the first.
install_beside() {
  h install staging helm --values "$work/prod.yaml" --set serviceMonitor.enabled=false --set prometheusRule.enabled=false --set dashboard.enabled=false --wait --timeout 4m
  local people
  people=$(people_of staging)
  h uninstall staging --wait
  [ "$people" = 0 ] || fail "the other release knows $people people"
}

# A process for another target refuses to work on this store: it names both targets, and ends.
refuse_another_target() {
  local shown name
  ! h install astray helm --values "$work/prod.yaml" --set serviceMonitor.enabled=false --set prometheusRule.enabled=false --set dashboard.enabled=false \
    --set "config.store.key_prefix=scim-bridge:$ns:prod" --set "config.postman.base_url=http://elsewhere.$outside.svc:9080/scim/v2" --wait --timeout 20s || fail "it was accepted"
  shown=$(k --namespace "$ns" get pods --selector app.kubernetes.io/instance=astray --output json |
    jq --raw-output '.items[].status.containerStatuses[]? | (.lastState.terminated.message, .state.terminated.message) // empty')
  h uninstall astray --wait
  for name in elsewhere postman; do
    grep --quiet "//$name.$outside.svc" <<<"$shown" || fail "kubectl does not name both: $shown"
  done
}

# --- the embedded store

install_small() {
  h install small helm --values "$work/small.yaml" --wait --timeout 4m
  start_load small "small-scim-bridge.$ns.svc" 1
  sleep 10
}

upgrade_small() {
  h upgrade small helm --values "$work/small.yaml" --set config.log.level=debug --wait --timeout 4m
}

delete_small() {
  k --namespace "$ns" delete pod --selector app.kubernetes.io/instance=small,app.kubernetes.io/name=scim-bridge --wait
  rolled small-scim-bridge
}

reinstall_small() {
  h uninstall small
  k --namespace "$ns" get pvc small-scim-bridge || fail "the volume's claim is gone"
  h install small helm --values "$work/small.yaml" --wait --timeout 4m
  k --namespace "$ns" exec deployment/small-scim-bridge -- scim-bridge person load/wsmall-0-0 || fail "what was there is not found"
}

reinstall_prod() {
  local before after
  before=$(people_of prod)
  h uninstall prod --wait
  for kind in deployment service configmap secret networkpolicy; do
    [ -z "$(k --namespace "$ns" get "$kind" --selector app.kubernetes.io/instance=prod --output name)" ] || fail "the release leaves $kind behind"
  done
  h install prod helm --values "$work/prod.yaml" --wait --timeout 4m
  after=$(people_of prod)
  [ "$before" = "$after" ] || fail "there were $before people, and there are $after"
}

# --- the final accounting

# Everybody whose webhooks were answered 200 is a member, created once, with the name in their last webhook; and no name
# was written over a later one. Events accepted last may still be on their way for CATCH_UP seconds. reckon LOAD…
reckon() {
  local load page since=0 deadline=$((SECONDS + ${CATCH_UP:-180}))
  for load in "$@"; do cat "$work/$load.requests"; done |
    awk '$4 == 200 && $3 > last[$2] { last[$2] = $3 } END { for (who in last) print who "@example.com\tn" last[who] }' | sort >"$work/wanted"
  [ -s "$work/wanted" ] || { fail "nothing was answered 200"; return 1; }
  until members_are_as_said >"$work/differs" 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { cat "$work/differs" >&2; fail "members are not as the last webhooks said"; return 1; }
    sleep 2
  done
  : >"$work/journal"
  while page=$(postman GET "/sim/journal?since=$since&limit=5000") && [ "$(jq '.entries | length' <<<"$page")" -gt 0 ]; do
    jq --raw-output '.entries[] | select(.applied and .family_name != null and (.operation | IN("create", "replace", "patch"))) | [.operation, .user_name, .family_name] | @tsv' <<<"$page" >>"$work/journal"
    since=$(jq '.entries[-1].seq' <<<"$page")
  done
  awk -F '\t' '
    $1 == "create" { if (made[$2]++) { print $2 " was made twice"; bad = 1 } }
    { name = substr($3, 2) + 0; if (name < last[$2]) { print $2 ": " name " after " last[$2]; bad = 1 } last[$2] = name }
    END { exit bad }' "$work/journal" || fail "a member was made twice, or a name was written out of order"
}

members_are_as_said() {
  postman GET /sim/state | jq --raw-output '.members[] | [.userName, .name.familyName] | @tsv' >"$work/members" || return 1
  grep -F '@example.com' "$work/members" | sort | diff "$work/wanted" -
}
