#!/usr/bin/env bash
# A sender of webhooks: load.sh HOST PORT WORKER PERSONS PAUSE [CA]. It sends until the file /tmp/stop exists, with TLS
# and curl if there is a CA, else with nothing but bash, and signs with the current content of /secret/token. A person's
# changes are sent one after the other, the next one when the previous one has been answered. Prints a line per request:
# BEGAN_MS EMPLOYEE NUMBER STATUS MILLISECONDS ATTEMPT. A request that is not answered 200 is sent again, as HR systems
# do.
set -u
export TZ=UTC
host=$1 port=$2 worker=$3 persons=$4 pause=$5 ca=${6:-}

# Sets `status` to the answer's; 000 if there is no answer.
post() { # body
  local rest token
  status=000
  token=$(</secret/token)
  if [ -n "$ca" ]; then
    status=$(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 --cacert "$ca" --header 'content-type: application/json' \
      --header "x-load-token: $token" --data "$1" "https://$host:$port/webhooks/load") || status=000
    return 0
  fi
  { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || return 0
  printf 'POST /webhooks/load HTTP/1.1\r\nhost: %s\r\nconnection: close\r\ncontent-type: application/json\r\nx-load-token: %s\r\ncontent-length: %d\r\n\r\n%s' \
    "$host" "$token" "${#1}" "$1" >&3 2>/dev/null
  IFS=' ' read -r -t 10 _ status rest <&3 2>/dev/null || status=000
  exec 3>&-
  status=${status:-000}
}

number=0
while [ ! -e /tmp/stop ]; do
  number=$((number + 1))
  for ((person = 0; person < persons; person++)); do
    who=w$worker-$person
    kind=renamed
    [ "$number" = 1 ] && kind=hired
    body="{\"type\":\"employee.$kind\",\"timestamp\":\"$(printf '%(%Y-%m-%dT%H:%M:%S)T' -1)Z\",\"data\":{\"employee_id\":\"$who\",\"email\":\"$who@example.com\",\"first_name\":\"Ada\",\"last_name\":\"n$number\"}}"
    for ((attempt = 1; attempt <= 120; attempt++)); do
      began=${EPOCHREALTIME/./}
      post "$body"
      printf '%d %s %d %s %d %d\n' "$((began / 1000))" "$who" "$number" "$status" "$(((${EPOCHREALTIME/./} - began) / 1000))" "$attempt"
      [ "$status" = 200 ] && break
      read -r -t 0.5 <> <(:) || :
    done
    read -r -t "$pause" <> <(:) || :
  done
done
