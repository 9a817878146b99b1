# shellcheck shell=bash disable=SC2154
# The image's tests, for script/image-test. Sourced; expects $image, its $version, $revision and $created, $base, $name,
# $work, $hardened.

secret=whsec_cGxhaW5seSBhIGRlbW8sIG5vIHNlY3JldA==
sim=$name-sim
bridge=$name-bridge

fail() {
  echo "image-test: $*" >&2
  return 1
}

# Waits for a condition, which is met within seconds unless something is wrong.
until_true() { # what for, command…
  local what=$1 deadline=$((SECONDS + 60))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || fail "waited 60 s in vain for: $what"
    sleep 0.05
  done
}

now_ms() {
  date +%s%3N
}

# One field of the JSON on standard input, by a Python expression over `it`.
json() {
  python3 -c "import json, sys; it = json.load(sys.stdin); print(($1))"
}

# --- the contents

check_contents() {
  local bytes config container surplus
  bytes=$(docker image inspect --format '{{.Size}}' "$image")
  [ "$bytes" -lt 45000000 ] || fail "the image has $bytes bytes"
  config=$(docker image inspect --format '{{json .Config}}' "$image")
  [ "$(json 'it["User"], it["Entrypoint"], it["Cmd"], list(it.get("Volumes") or []), it["StopSignal"]' <<<"$config")" = \
    "('65532:65532', ['/usr/local/bin/scim-bridge'], ['serve'], [], 'SIGTERM')" ] || fail "unexpected configuration: $config"
  [ "$(json '[it["Labels"]["org.opencontainers.image." + key] for key in ("version", "revision", "created")]' <<<"$config")" = \
    "['$version', '$revision', '$created']" ] || fail "the labels: $config"
  container=$(docker create --name "$name-contents" "$image")
  docker export "$container" | tar --list --verbose --numeric-owner >"$work/contents"
  docker rm --volumes "$container" >/dev/null
  # Every file is one of these; the engine itself adds some. No shell, no package manager.
  surplus=$(awk '$1 !~ /^d/ { print $6 }' "$work/contents" | grep -vE \
    '^(usr/local/bin/scim-bridge|lib(64)?/([a-z0-9_-]+/)?(ld-linux-[a-z0-9-]+|libc|libm|libgcc_s)\.so\.[0-9]+|etc/(ssl/certs/ca-certificates\.crt|nsswitch\.conf|os-release)|usr/share/doc/[a-z0-9-]+/(copyright|LICENSE)|var/lib/dpkg/status\.d/[a-z0-9-]+|\.dockerenv|dev/console|etc/(hostname|hosts|resolv\.conf|mtab))$' || true)
  [ -z "$surplus" ] || fail "unexpected files in the image: $surplus"
  grep -q '^drwx------ 65532/65532 .* data/$' "$work/contents" || fail "/data is not the user's own: $(grep data/ "$work/contents")"
  if docker run --rm --name "$name-shell" --network none --entrypoint /bin/sh "$image" -c true 2>/dev/null; then
    fail "there is a shell"
  fi
  docker run --rm --name "$name-demo" --network none "${hardened[@]}" --tmpfs /tmp "$image" demo --json |
    json '"ok" if it["ok"] else 1 / 0' >/dev/null || fail "the demo in the image failed"
  say "$((bytes / 1000000)) MB, user 65532, no shell, labelled; the demo runs in it"
}

# --- a bridge and a stand-in that share a network with only a loopback

# Asks the stand-in's control endpoint, from a container that has bash.
ask_sim() { # container, method, path, body
  docker run --rm --interactive --name "$name-asks" --network "container:$1" --entrypoint /bin/bash \
    --env METHOD="$2" --env WHERE="$3" --env BODY="${4-}" "$base" -es <<'ASK'
exec 3<>/dev/tcp/127.0.0.1/9080
printf '%s %s HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: %s\r\n\r\n%s' "$METHOD" "$WHERE" "${#BODY}" "$BODY" >&3
while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do :; done
cat <&3
ASK
}

serve() {
  docker run --detach --name "$bridge" --network "container:$sim" "${hardened[@]}" --volume "$name-data:/data" \
    --health-interval 1s --env HR_SECRET="$secret" --env POSTMAN_SCIM_KEY=demo-key-no-secret \
    --env SCIM_BRIDGE__POSTMAN__BASE_URL=http://stand-in.test:9080/scim/v2 \
    --env SCIM_BRIDGE__POSTMAN__ALLOW_HTTP=true "$image" >/dev/null
}

is_healthy() { # container
  [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
}

payload() { # kind, number, family name
  echo "{\"type\":\"employee.$1\",\"data\":{\"employee_id\":\"E-$2\",\"email\":\"e-$2@example.com\",\"first_name\":\"Ada\",\"last_name\":\"$3\"}}"
}

# Signs and sends from inside the bridge's container, as an operator would.
send() { # kind, number, family name, options…
  payload "$1" "$2" "$3" | docker exec --interactive "$bridge" scim-bridge send --source hr --file - --json "${@:4}"
}

# How many creates the stand-in received, including one that it has not answered yet.
creates() {
  ask_sim "$sim" GET /sim/journal | json 'sum(one["operation"] == "create" for one in it["entries"])'
}

more_creates_than() {
  [ "$(creates)" -gt "$1" ]
}

check_serving() {
  local n since healthy_ms stop_ms before
  # The name is only in /etc/hosts, which both containers share: there is no DNS here.
  docker run --detach --name "$sim" --network none --add-host stand-in.test:127.0.0.1 "${hardened[@]}" \
    --no-healthcheck "$image" postman-sim --listen 127.0.0.1:9080 --key demo-key-no-secret >/dev/null
  since=$(now_ms)
  serve
  until_true "a healthy bridge" is_healthy "$bridge"
  healthy_ms=$(($(now_ms) - since))
  docker exec "$bridge" scim-bridge healthcheck --ready >/dev/null

  for n in 1 2 3 4 5; do
    send hired "$n" Lovelace --follow >/dev/null || fail "the hire of E-$n"
    send renamed "$n" King --follow >/dev/null || fail "the rename of E-$n"
  done
  ask_sim "$sim" GET /sim/state >"$work/state"
  [ "$(json 'sorted((one["userName"], one["name"]["familyName"]) for one in it["members"]) == [(f"e-{n}@example.com", "King") for n in range(1, 6)]' <"$work/state")" = True ] ||
    fail "the team: $(cat "$work/state")"
  say "healthy after $healthy_ms ms; five hired and renamed; $(($(docker top "$bridge" -eo pid,rss | awk 'NR == 2 { print $2 }') / 1024)) MB resident"

  # One call in flight, which Postman takes two seconds for; and one job that must wait for the next process.
  before=$(creates)
  ask_sim "$sim" POST /sim/faults '"create:delay:1:delay=2000"' >/dev/null
  send hired 6 Hopper --id in-flight >/dev/null
  until_true "the call in flight" more_creates_than "$before"
  docker exec "$bridge" scim-bridge hold set >/dev/null
  send hired 7 Johnson --id waiting >/dev/null
  since=$(now_ms)
  docker stop --time 30 "$bridge" >/dev/null
  stop_ms=$(($(now_ms) - since))
  [ "$(docker inspect --format '{{.State.ExitCode}} {{.State.OOMKilled}}' "$bridge")" = "0 false" ] || fail "it did not stop cleanly"
  [ "$stop_ms" -lt 10000 ] || fail "it took $stop_ms ms to stop"
  ask_sim "$sim" GET /sim/state | json '1 / ("e-6@example.com" in [one["userName"] for one in it["members"]])' >/dev/null ||
    fail "the call in flight was not finished"
  say "stopped in $stop_ms ms with a call of two seconds in flight"

  # The same volume, another container.
  docker rm "$bridge" >/dev/null
  serve
  until_true "a healthy bridge" is_healthy "$bridge"
  before=$(creates)
  [ "$(send hired 6 Hopper --id in-flight --follow | json 'it["answer"]["status"], it["jobs"][0]["outcome"]')" = "('duplicate', 'created')" ] ||
    fail "the call in flight is not known to be done"
  docker exec "$bridge" scim-bridge hold lift >/dev/null
  [ "$(send hired 7 Johnson --id waiting --follow | json 'it["answer"]["status"], it["jobs"][0]["outcome"]')" = "('duplicate', 'created')" ] ||
    fail "the next process did not do the waiting job"
  [ "$(creates)" = $((before + 1)) ] || fail "a job was done twice"
  docker stop --time 30 "$bridge" "$sim" >/dev/null
  [ "$(docker inspect --format '{{.State.ExitCode}}' "$bridge" "$sim" | tr '\n' ' ')" = "0 0 " ] || fail "exit codes"
  say "another container on the same volume continued where the first one stopped"
}

# --- compose.yaml

check_compose() {
  local compose=(docker compose) valkey one all=()
  docker compose version >/dev/null 2>&1 || { want docker-compose docker-compose; compose=(docker-compose); }
  compose+=(--project-name "$name" --file compose.yaml)
  # Free ports, and the image that was just built.
  export SCIM_BRIDGE_IMAGE=$image SCIM_BRIDGE_WEBHOOKS_PORT=0 SCIM_BRIDGE_ADMIN_PORT=0
  "${compose[@]}" config >/dev/null
  valkey=$(sed -n 's/^ *image: \(valkey.*\)$/\1/p' compose.yaml)
  if [ -n "$own_engine" ] && ! docker pull --quiet "$valkey" >/dev/null 2>&1; then
    base_valkey "$valkey"
  fi
  "${compose[@]}" up --detach >"$work/compose.log" 2>&1 || { cat "$work/compose.log" >&2; return 1; }
  mapfile -t all < <("${compose[@]}" ps --quiet)
  for one in intake worker; do
    until_true "a healthy $one" is_healthy "$("${compose[@]}" ps --quiet "$one")"
  done
  payload hired 1 Lovelace | "${compose[@]}" exec -T intake scim-bridge send --source hr --file - --follow >/dev/null ||
    fail "the hire by compose.yaml"
  payload renamed 1 King | "${compose[@]}" exec -T intake scim-bridge send --source hr --file - --follow >/dev/null ||
    fail "the rename by compose.yaml"
  ask_sim "$("${compose[@]}" ps --quiet postman-sim)" GET /sim/state | json '1 / (it["members"][0]["name"]["familyName"] == "King")' >/dev/null ||
    fail "the team by compose.yaml"
  "${compose[@]}" stop >/dev/null 2>&1
  # The bridge's processes exit with 0. (So does Valkey on SIGTERM.)
  [ "$(docker inspect --format '{{.State.ExitCode}}' "${all[@]}" | tr '\n' ' ')" = "0 0 0 0 " ] || fail "not every service stopped cleanly"
  "${compose[@]}" down --volumes >/dev/null 2>&1
  say "compose.yaml: a hire and a rename went through intake, worker, Valkey and the stand-in"
}
