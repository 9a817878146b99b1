# shellcheck shell=bash disable=SC2154
# What script/cluster-test creates besides the releases: namespaces, a Postman stand-in, a Redis, the senders. Sourced.

# The rules for every container here: Pod Security `restricted`.
restricted='securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}'
unprivileged='securityContext: {runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}'

make_namespaces() {
  local name
  for name in "$ns" "$outside" "$stranger"; do
    k create namespace "$name" >/dev/null
    k label namespace "$name" pod-security.kubernetes.io/enforce=restricted >/dev/null
    # No pod is admitted without it; a busy control plane takes its time.
    until_true 60 "a service account in $name" k --namespace "$name" get serviceaccount default
  done
}

# A pod with bash, from which to send requests and try connections. make_tools NAMESPACE
make_tools() {
  k --namespace "$1" apply --filename - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: tools}
spec:
  $unprivileged
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  containers:
    - {name: tools, image: "$TOOLS", command: [sleep, infinity], volumeMounts: [{name: tmp, mountPath: /tmp}], $restricted}
  volumes: [{name: tmp, emptyDir: {}}]
YAML
  k --namespace "$1" wait --for condition=Ready pod/tools --timeout 120s >/dev/null
}

make_postman() {
  k --namespace "$outside" apply --filename - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: postman}
spec:
  selector: {app: postman}
  ports: [{port: 9080}]
---
apiVersion: v1
kind: Pod
metadata: {name: postman, labels: {app: postman}}
spec:
  $unprivileged
  automountServiceAccountToken: false
  containers:
    - name: postman
      image: "$IMAGE"
      args: [postman-sim, --listen, "0.0.0.0:9080", --key, key-before, --writes, "0", --reads, "0"]
      readinessProbe: {tcpSocket: {port: 9080}, periodSeconds: 1}
      $restricted
YAML
  k --namespace "$outside" wait --for condition=Ready pod/postman --timeout 120s >/dev/null
  # Every call is kept, for the final accounting.
  # A ready pod is not yet known to everything that routes to its Service.
  until_true 60 "the stand-in is reached" postman PATCH /sim/options '{"journal_max":5000000}'
}

# The initial passwords: its own, and the bridge's. redis_secret BRIDGE
redis_secret() {
  k --namespace "$outside" create secret generic redis --from-literal password="$redis_password" --from-literal bridge="$1" \
    --dry-run=client --output yaml | k apply --filename - >/dev/null
}

make_redis() {
  redis_secret "$redis_password"
  k --namespace "$outside" apply --filename - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: redis}
spec:
  selector: {app: redis}
  ports: [{port: 6379}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  serviceName: redis
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      $unprivileged
      automountServiceAccountToken: false
      containers:
        - name: redis
          image: "$VALKEY"
          command: [valkey-server, --dir, /data, --appendonly, "yes", --appendfsync, everysec, --save, "", --maxmemory-policy, noeviction]
          args: [--user, default, "on", ">\$(PASSWORD)", "~*", "&*", +@all, --user, bridge, "on", ">\$(BRIDGE)", "~{scim-bridge:$ns:*}:*", "&{scim-bridge:$ns:*}:*", +@all]
          env:
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: redis, key: password}}}
            - {name: BRIDGE, valueFrom: {secretKeyRef: {name: redis, key: bridge}}}
          readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}
          volumeMounts: [{name: data, mountPath: /data}]
          $restricted
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}$storage_class}
YAML
  k --namespace "$outside" rollout status statefulset/redis --timeout 180s >/dev/null
}

# Senders to a Service: start_load NAME HOST SENDERS [PORT CA], with TLS where there is a Secret with the authority.
start_load() {
  local port=${4:-80} ca=${5:-}
  k --namespace "$outside" create configmap "$1" --from-file script/cluster/load.sh >/dev/null
  k --namespace "$outside" apply --filename - >/dev/null <<YAML
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec:
  completionMode: Indexed
  completions: $3
  parallelism: $3
  backoffLimit: 0
  template:
    metadata: {labels: {load: $1}}
    spec:
      $unprivileged
      automountServiceAccountToken: false
      restartPolicy: Never
      containers:
        - name: send
          image: "$TOOLS"
          command: [bash, -c, 'exec bash /load/load.sh $2 $port $1-\$JOB_COMPLETION_INDEX $PERSONS $PAUSE ${ca:+/ca/ca.crt}']
          volumeMounts:
            - {name: load, mountPath: /load, readOnly: true}
            - {name: secret, mountPath: /secret, readOnly: true}
            - {name: ca, mountPath: /ca, readOnly: true}
            - {name: tmp, mountPath: /tmp}
          $restricted
      volumes:
        - {name: ca, secret: {secretName: "${ca:-load}"}}
        - {name: load, configMap: {name: $1}}
        - {name: secret, secret: {secretName: load}}
        - {name: tmp, emptyDir: {}}
YAML
  until_true 120 "senders run" load_runs "$1" "$3"
}

load_runs() { [ "$(k --namespace "$outside" get pods --selector "load=$1" --field-selector status.phase=Running --output name | wc -l)" = "$2" ]; }

# Lets every sender finish, and collects the reports. stop_load NAME
stop_load() {
  local pod
  for pod in $(k --namespace "$outside" get pods --selector "load=$1" --output name); do
    k --namespace "$outside" exec "$pod" -- bash -c ': >/tmp/stop'
  done
  k --namespace "$outside" wait --for condition=Complete "job/$1" --timeout 180s >/dev/null
  for pod in $(k --namespace "$outside" get pods --selector "load=$1" --output name); do
    k --namespace "$outside" logs "$pod"
  done >"$work/$1.requests"
}

# Values of the release that gets the load.
write_values() {
  local monitoring=false plain=
  # Only for versions that must be told that Redis may do without TLS.
  ! grep --quiet '^#allow_plain' config/scim-bridge.toml || plain=', allow_plain: true'
  ! k get crd servicemonitors.monitoring.coreos.com prometheusrules.monitoring.coreos.com >/dev/null 2>&1 || monitoring=true
  cat >"$work/prod.yaml" <<YAML
image: {repository: "${IMAGE%:*}", tag: "${IMAGE##*:}"}
redis: {host: redis.$outside.svc, username: bridge, password: {existingSecret: redis}}
secrets:
  postmanKey: {existingSecret: postman}
  adminToken: {existingSecret: admin}
  sources:
    hr: [{existingSecret: hr}]
    load: [{existingSecret: load, key: current}, {existingSecret: load, key: next}]
config:
  # If others use its disk or processor, a Redis is slow, not away: that shows as a gap, for which each step has a
  # limit.
  store: {response_timeout_ms: 8000, connect_timeout_ms: 8000$plain}
  postman: {base_url: "http://postman.$outside.svc:9080/scim/v2", allow_http: true, writes_per_minute: 0, reads_per_minute: 0}
  hold: {probe_first_s: 1, probe_max_s: 5}
  source:
    - {name: hr, preset: standard-webhooks}
    - {name: load, signature: {auth: static_header, header: x-load-token, id: body_hash}}
networkPolicy:
  intakeFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $outside}}}]
  httpsTo: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $outside}}}]
  redisTo: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $outside}}}]
serviceMonitor: {enabled: $monitoring}
prometheusRule: {enabled: $monitoring}
dashboard: {enabled: true}
YAML
  # One process on a volume.
  cat >"$work/small.yaml" <<YAML
image: {repository: "${IMAGE%:*}", tag: "${IMAGE##*:}"}
store: embedded
mode: all
persistence: {size: 1Gi, storageClass: "$STORAGE_CLASS"}
secrets:
  postmanKey: {existingSecret: postman}
  adminToken: {existingSecret: admin}
  sources:
    load: [{existingSecret: load, key: current}, {existingSecret: load, key: next}]
config:
  postman: {base_url: "http://postman.$outside.svc:9080/scim/v2", allow_http: true, writes_per_minute: 0, reads_per_minute: 0}
  source:
    - {name: load, signature: {auth: static_header, header: x-load-token, id: body_hash}}
networkPolicy:
  httpsTo: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $outside}}}]
YAML
}
