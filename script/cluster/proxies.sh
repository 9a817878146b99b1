# shellcheck shell=bash disable=SC2154
# Behind an Ingress and a Gateway: the recipes of docs/deploy.md, word for word except for names and addresses, with
# Traefik in front. Sourced by script/cluster-test; needs TRAEFIK, an image, and curl in TOOLS.

proxy_name=edge
# The names in the recipes, and those used here: the sender's host name is that of Traefik's Service.
edge=$proxy_name.$outside.svc

can_have_proxies() {
  [ -n "$TRAEFIK" ] || skip "TRAEFIK names no image of Traefik"
  k --namespace "$outside" exec tools -- curl --version >/dev/null 2>&1 || skip "TOOLS has no curl, to speak TLS with"
  command -v openssl >/dev/null || skip "openssl is missing here"
}

# Traefik, with permission to read the routes, and a certificate for its name in both namespaces: an Ingress uses a
# Secret in its own namespace, a Gateway one in the Gateway's.
make_proxy() {
  local name
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$edge" \
    -addext "subjectAltName=DNS:$edge" -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
  for name in "$ns" "$outside"; do
    k --namespace "$name" create secret tls hooks-tls --key "$work/tls.key" --cert "$work/tls.crt" --dry-run=client --output yaml | k apply --filename -
  done
  k apply --filename - <<YAML
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: $outside}
rules:
  - {apiGroups: [""], resources: [services, secrets, configmaps, namespaces, nodes], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [update]}
  - {apiGroups: [gateway.networking.k8s.io], resources: ["*"], verbs: [get, list, watch]}
  - apiGroups: [gateway.networking.k8s.io]
    resources: [gatewayclasses/status, gateways/status, httproutes/status, grpcroutes/status, backendtlspolicies/status]
    verbs: [update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: $outside}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: $outside}
subjects: [{kind: ServiceAccount, name: $proxy_name, namespace: $outside}]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: $outside}
spec: {controller: traefik.io/ingress-controller}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: $proxy_name, namespace: $outside}
---
apiVersion: v1
kind: Service
metadata: {name: $proxy_name, namespace: $outside}
spec:
  selector: {app: $proxy_name}
  ports: [{name: ingress, port: 8443}, {name: gateway, port: 9443}]
---
apiVersion: v1
kind: Pod
metadata: {name: $proxy_name, namespace: $outside, labels: {app: $proxy_name}}
spec:
  serviceAccountName: $proxy_name
  $unprivileged
  containers:
    - name: traefik
      image: "$TRAEFIK"
      args:
        - --global.checknewversion=false
        - --global.sendanonymoususage=false
        - --ping=true
        - --entrypoints.traefik.address=:8080
        - --entrypoints.websecure.address=:8443
        - --entrypoints.websecure.http.tls=true
        - --providers.kubernetesingress=true
        - --providers.kubernetesingress.ingressclass=$outside
        - --entrypoints.gateway.address=:9443
        - --providers.kubernetesgateway=$(has_gateways && echo true || echo false)
      readinessProbe: {httpGet: {path: /ping, port: 8080}, periodSeconds: 1}
      $restricted
YAML
  k --namespace "$outside" wait --for condition=Ready "pod/$proxy_name" --timeout 120s
}

has_gateways() { k get crd gateways.gateway.networking.k8s.io gatewayclasses.gateway.networking.k8s.io httproutes.gateway.networking.k8s.io >/dev/null 2>&1; }

# Cluster-wide objects, which would outlive the namespaces.
remove_proxy() {
  k delete clusterrole,clusterrolebinding,ingressclass "$outside" --ignore-not-found
  ! has_gateways || k delete gatewayclass "$outside" --ignore-not-found
}

# The values that docs/deploy.md shows below a heading. recipe HEADING
recipe() {
  local proxy_address
  proxy_address=$(k --namespace "$outside" get pod "$proxy_name" --output jsonpath='{.status.podIP}')
  awk -v heading="### $1" '$0 == heading { below = 1 } below && /^```yaml/ { inside = 1; next } inside && /^```/ { exit } inside' docs/deploy.md |
    sed "s|hooks.example.com|$edge|g; s|className: traefik|className: $outside|; s|10.244.7.0/24|$proxy_address/32|; s|namespace: gateways|namespace: $outside|; s|metadata.name: traefik|metadata.name: $outside|" >"$work/recipe.yaml"
  grep -q trusted_proxies "$work/recipe.yaml" || fail "docs/deploy.md has no such recipe: $1"
}

# Two more sources with the same secret: one that only the tools' pod may post as, and one that nobody may post as.
sources_by_address() {
  cat >"$work/addresses.yaml" <<YAML
secrets:
  sources:
    near: [{existingSecret: load, key: current}]
    far: [{existingSecret: load, key: current}]
config:
  source:
    - {name: hr, preset: standard-webhooks}
    - {name: load, signature: {auth: static_header, header: x-load-token, id: body_hash}}
    - {name: near, allow_from: ["$1/32"], signature: {auth: static_header, header: x-load-token, id: body_hash}}
    - {name: far, allow_from: [192.0.2.0/24], signature: {auth: static_header, header: x-load-token, id: body_hash}}
YAML
}

token_of_load() { k --namespace "$ns" get secret load --output jsonpath='{.data.current}' | base64 -d; }

# Posts from the tools' pod; prints the status. posts URL OPTION…
posts() {
  local url=$1
  shift
  k --namespace "$outside" exec --stdin tools -- curl --silent --output /dev/null --write-out '%{http_code}' --cacert /dev/stdin --max-time 60 \
    --header "x-load-token: $(token_of_load)" \
    --header 'content-type: application/json' "$url" "$@" <"$work/tls.crt"
}

is_answered() { # status, url, options…
  local wanted=$1 got
  shift
  got=$(posts "$@") || true
  [ "$got" = "$wanted" ] || fail "$* is answered $got, and not $wanted"
}

# Everything required of a proxy in front, at this port. stands_behind PORT
stands_behind() {
  local url=https://$edge:$1/webhooks direct=http://prod-scim-bridge.$ns.svc/webhooks slow body='{"type":"nothing"}'
  # A terminating pod does not know `far`, and the proxy may use it until it is gone.
  until_true 60 "the previous pods are gone" none_goes
  until_true 60 "the proxy routes" is_answered 200 "$url/load" --data "$body"
  # It terminates TLS, and only webhooks are routed.
  ! posts "http://$edge:$1/webhooks/load" --data "$body" | grep -q 200 || fail "it takes webhooks without TLS"
  is_answered 404 "https://$edge:$1/livez"
  # The sender's own address arrives, and nobody can claim another one: neither to the proxy nor by bypassing it.
  is_answered 200 "$url/near" --data "$body"
  is_answered 401 "$url/far" --data "$body"
  is_answered 401 "$url/far" --data "$body" --header 'x-forwarded-for: 192.0.2.1'
  is_answered 401 "$direct/far" --data "$body" --header 'x-forwarded-for: 192.0.2.1'
  # The bridge enforces the body limit: a body below it gets through, and a larger one is refused by the bridge.
  is_answered 200 "$url/load" --data "{\"type\":\"nothing\",\"more\":\"$(head -c 100000 /dev/zero | tr '\0' x)\"}"
  k --namespace "$outside" exec tools -- bash -c "{ printf '{\"type\":\"nothing\",\"more\":\"'; head -c 1040000 /dev/zero | tr '\0' x; printf '\"}'; } >/tmp/below; head -c 1100000 /dev/zero >/tmp/above"
  is_answered 200 "$url/load" --data-binary @/tmp/below
  is_answered 413 "$url/load" --data-binary @/tmp/above
  # The same for timeouts: a sender that is too slow with a body gets the bridge's answer (408, body_timeout_s), not the
  # proxy's (502, 504). The proxy may pass it on only after the sender has sent everything.
  slow=$(k --namespace "$outside" exec --stdin tools -- bash -s -- "$url/load" "$(token_of_load)" "$(<"$work/tls.crt")" <<'SLOW'
echo "$3" >/tmp/ca
curl --silent --output /dev/null --write-out '%{http_code} %{time_total}' --cacert /tmp/ca --max-time 40 --http1.1 --request POST \
  --header 'content-type: application/json' --header 'expect:' --header "x-load-token: $2" --upload-file - "$1" < <(for _ in {1..30}; do printf x; sleep 1; done)
SLOW
  ) || true
  [[ "$slow" = "408 "* ]] || fail "a body that takes too long is answered (status, seconds) $slow, and not 408"
}

# One of the two, with a load of its own through the proxy. behind NAME PORT HEADING
behind() {
  local name=$1 port=$2 address
  make_proxy
  recipe "$3"
  address=$(k --namespace "$outside" get pod tools --output jsonpath='{.status.podIP}')
  sources_by_address "$address"
  upgrade --values "$work/recipe.yaml" --values "$work/addresses.yaml"
  stands_behind "$port"
  k --namespace "$outside" create secret generic "$name-ca" --from-file ca.crt="$work/tls.crt"
  start_load "$name" "$edge" "$SENDERS" "$port" "$name-ca"
  sleep 5
  restart
  delete_each
  sleep 5
  stop_load "$name"
  upgrade
  [ "$(awk '$4 == 200' "$work/$name.requests" | wc -l)" -gt 100 ] || fail "hardly anything came through the proxy"
}

behind_an_ingress() {
  can_have_proxies
  behind ingress 8443 "An Ingress: Traefik"
}

behind_a_gateway() {
  can_have_proxies
  has_gateways || skip "the cluster has no Gateway API"
  k apply --filename - <<YAML
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: $outside}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: $outside}
spec:
  gatewayClassName: $outside
  listeners:
    - name: https
      port: 9443
      protocol: HTTPS
      hostname: $edge
      tls: {certificateRefs: [{name: hooks-tls}]}
      allowedRoutes: {namespaces: {from: All}}
YAML
  behind gateway 9443 "A Gateway: Traefik"
}
