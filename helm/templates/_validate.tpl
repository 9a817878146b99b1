{{/* Everything that the chart refuses, all at once, each with the value and what to do. */}}

{{- define "scim-bridge.validate" -}}
{{- /* First and alone: everything else looks into these. */ -}}
{{- with include "scim-bridge.validate.sections" . | fromYamlArray -}}
{{- include "scim-bridge.refuse" . -}}
{{- end -}}
{{- $wrong := concat
  (include "scim-bridge.validate.image" . | fromYamlArray)
  (include "scim-bridge.validate.names" . | fromYamlArray)
  (include "scim-bridge.validate.labels" . | fromYamlArray)
  (include "scim-bridge.validate.extra" . | fromYamlArray)
  (include "scim-bridge.validate.store" . | fromYamlArray)
  (include "scim-bridge.validate.redis" . | fromYamlArray)
  (include "scim-bridge.validate.secrets" . | fromYamlArray)
  (include "scim-bridge.validate.config" . | fromYamlArray)
  (include "scim-bridge.validate.scaling" . | fromYamlArray)
  (include "scim-bridge.validate.memory" . | fromYamlArray)
  (include "scim-bridge.validate.network" . | fromYamlArray)
  (include "scim-bridge.validate.test" . | fromYamlArray) -}}
{{- with $wrong -}}
{{- include "scim-bridge.refuse" . -}}
{{- end -}}
{{- end -}}

{{- define "scim-bridge.refuse" -}}
{{- fail (printf "\n\nThese values cannot work:\n\n  - %s\n" (join "\n  - " .)) -}}
{{- end -}}

{{/* Sections that `null` removed although the templates need them. */}}
{{- define "scim-bridge.validate.sections" -}}
{{- $wrong := list -}}
{{- range $path := include "scim-bridge.sections" . | trim | splitList "\n" -}}
  {{- $at := $.Values -}}
  {{- range $name := splitList "." $path -}}
    {{- if kindIs "map" $at -}}{{- $at = get $at $name -}}{{- end -}}
  {{- end -}}
  {{- if and (not (kindIs "map" $at)) (not (has (dir (replace "." "/" $path) | replace "/" ".") $wrong)) -}}
    {{- $wrong = append $wrong $path -}}
  {{- end -}}
{{- end -}}
{{- $messages := list -}}
{{- range $path := $wrong -}}
  {{- $messages = append $messages (printf "%s: `null` removes it with its defaults, which the chart needs: leave it out, or give only what you want to change" $path) -}}
{{- end -}}
{{- toYaml $messages -}}
{{- end -}}

{{/* Every value that is a map, except those that only Kubernetes reads. */}}
{{- define "scim-bridge.sections" -}}
image
commonLabels
commonAnnotations
config
config.server
config.store
config.postman
config.worker
config.retry
config.hold
config.log
secrets
secrets.postmanKey
secrets.adminToken
secrets.testToken
secrets.sources
redis
redis.password
redis.sentinel
redis.sentinel.password
redis.tls
redis.tls.ca
redis.tls.client
valkey
valkey.image
valkey.persistence
persistence
intake
intake.autoscaling
intake.podDisruptionBudget
intake.topologySpread
intake.podAnnotations
intake.podLabels
worker
worker.autoscaling
worker.keda
worker.podDisruptionBudget
worker.topologySpread
worker.podAnnotations
worker.podLabels
all
all.autoscaling
all.keda
all.podDisruptionBudget
all.topologySpread
all.podAnnotations
all.podLabels
podAnnotations
podLabels
probes
probes.startup
probes.liveness
probes.readiness
serviceAccount
serviceAccount.annotations
service
service.annotations
adminService
adminService.annotations
ingress
ingress.annotations
httpRoute
httpRoute.annotations
networkPolicy
serviceMonitor
serviceMonitor.labels
prometheusRule
prometheusRule.labels
prometheusRule.alertLabels
dashboard
dashboard.labels
dashboard.annotations
postmanSim
test
test.person
{{- end -}}

{{- define "scim-bridge.validate.image" -}}
{{- $wrong := list -}}
{{- if not .Values.image.repository -}}
  {{- $wrong = append $wrong "image.repository: no image is named, and none is published: build the repository's Dockerfile, push it to your registry, and name it here" -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.names" -}}
{{- $wrong := list -}}
{{- $fullname := include "scim-bridge.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) -}}
  {{- $wrong = append $wrong (printf "fullnameOverride: the release's name leads to %s, but a Service's name must begin with a letter: set one that does" $fullname) -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.labels" -}}
{{- $wrong := list -}}
{{- $values := .Values -}}
{{- $given := list
  (dict "name" "commonLabels" "labels" $values.commonLabels)
  (dict "name" "podLabels" "labels" $values.podLabels)
  (dict "name" "intake.podLabels" "labels" $values.intake.podLabels)
  (dict "name" "worker.podLabels" "labels" $values.worker.podLabels)
  (dict "name" "all.podLabels" "labels" $values.all.podLabels)
  (dict "name" "serviceMonitor.labels" "labels" $values.serviceMonitor.labels)
  (dict "name" "prometheusRule.labels" "labels" $values.prometheusRule.labels)
  (dict "name" "dashboard.labels" "labels" $values.dashboard.labels) -}}
{{- range $of := $given -}}
  {{- range $key := splitList "," (include "scim-bridge.selectorKeys" $) -}}
    {{- if hasKey $of.labels $key -}}
      {{- $wrong = append $wrong (printf "%s: %s is in the chart's selectors: remove it" $of.name $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{/* Other parts of the chart depend on these settings, so a variable must not override them. */}}
{{- define "scim-bridge.validate.extra" -}}
{{- $wrong := list -}}
{{- $keys := dict
  "SCIM_BRIDGE__SERVER__LISTEN" "config.server.listen"
  "SCIM_BRIDGE__SERVER__ADMIN_LISTEN" "config.server.admin_listen"
  "SCIM_BRIDGE__SERVER__SHUTDOWN_GRACE_S" "config.server.shutdown_grace_s"
  "SCIM_BRIDGE__SERVER__CONNECTIONS_MAX" "config.server.connections_max"
  "SCIM_BRIDGE__SERVER__BODY_BYTES_MAX" "config.server.body_bytes_max"
  "SCIM_BRIDGE__WORKER__CONCURRENCY" "config.worker.concurrency"
  "SCIM_BRIDGE__STORE__KEY_PREFIX" "config.store.key_prefix"
  "SCIM_BRIDGE__STORE__URL" "config.store.url" -}}
{{- range $variable := .Values.extraEnv -}}
  {{- with get $keys ($variable.name | default "" | toString | upper) -}}
    {{- $wrong = append $wrong (printf "extraEnv: %s: the chart derives ports, policies, volumes, limits and pauses from this setting: set `%s` instead" $variable.name .) -}}
  {{- end -}}
  {{- if and $.Values.valkey.enabled (eq ($variable.name | default "" | toString | upper) "SCIM_BRIDGE__STORE__DURABILITY") -}}
    {{- $wrong = append $wrong (printf "extraEnv: %s: how often the chart's Valkey flushes follows from `config.store.durability`: set that instead" $variable.name) -}}
  {{- end -}}
{{- end -}}
{{- range $volume := .Values.extraVolumes -}}
  {{- if has $volume.name (list "config" "secrets" "data" "test") -}}
    {{- $wrong = append $wrong (printf "extraVolumes: %s is the name of one of the chart's own volumes: choose another name" $volume.name) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.store" -}}
{{- $wrong := list -}}
{{- $values := .Values -}}
{{- if eq $values.store "embedded" -}}
  {{- if ne $values.mode "all" -}}
    {{- $wrong = append $wrong "store: `embedded` is for one process, which must do everything: set `mode: all` (or `store: redis`)" -}}
  {{- else if or $values.all.autoscaling.enabled $values.all.keda.enabled -}}
    {{- $wrong = append $wrong "store: `embedded` is for one process: turn `all.autoscaling.enabled` and `all.keda.enabled` off (or set `store: redis`)" -}}
  {{- else if gt (int $values.all.replicas) 1 -}}
    {{- $wrong = append $wrong (printf "all.replicas: %d, but `store: embedded` is for one process: set 1 (or `store: redis`)" (int $values.all.replicas)) -}}
  {{- end -}}
  {{- if $values.valkey.enabled -}}
    {{- $wrong = append $wrong "valkey.enabled: has no use with `store: embedded`: set `store: redis`, or remove it" -}}
  {{- end -}}
  {{- with $values.config.store.url -}}
    {{- if ne . "embedded:/data" -}}
      {{- $wrong = append $wrong "config.store.url: with `store: embedded` the chart mounts its volume at /data: leave it out" -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- with $values.config.store.url -}}
    {{- if hasPrefix "embedded:" . -}}
      {{- $wrong = append $wrong "config.store.url: for the embedded store set `store: embedded` and `mode: all`, so that it gets a volume" -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.redis" -}}
{{- $wrong := list -}}
{{- $redis := .Values.redis -}}
{{- $url := .Values.config.store.url -}}
{{- if eq .Values.store "redis" -}}
  {{- $named := or $redis.host $redis.nodes -}}
  {{- if and .Values.valkey.enabled (or $named $url) -}}
    {{- $wrong = append $wrong "valkey.enabled: another Redis is named, too (`redis.host`, `redis.nodes` or `config.store.url`): remove one" -}}
  {{- else if and $url $named -}}
    {{- $wrong = append $wrong "config.store.url: Redis is named under `redis`, too: remove one" -}}
  {{- else if and (not .Values.valkey.enabled) (not $url) -}}
    {{- if and (eq $redis.topology "standalone") (not $redis.host) -}}
      {{- if $redis.nodes -}}
        {{- $wrong = append $wrong "redis.nodes: are for `redis.topology: sentinel` or `cluster`: set one, or name one server in `redis.host`" -}}
      {{- else -}}
        {{- $wrong = append $wrong "redis.host: no Redis is named: name yours, or for a trial set `valkey.enabled: true`, or use `store: embedded` with `mode: all`" -}}
      {{- end -}}
    {{- else if and (ne $redis.topology "standalone") (not $redis.nodes) -}}
      {{- $wrong = append $wrong (printf "redis.nodes: `redis.topology: %s` needs some, as `host:port`" $redis.topology) -}}
    {{- else if and (ne $redis.topology "standalone") $redis.host -}}
      {{- $wrong = append $wrong (printf "redis.host: is for `redis.topology: standalone`; with `%s` give `redis.nodes` only" $redis.topology) -}}
    {{- end -}}
    {{- if and (eq $redis.topology "cluster") (ne (int $redis.database) 0) -}}
      {{- $wrong = append $wrong "redis.database: a cluster has only 0" -}}
    {{- end -}}
  {{- end -}}
  {{- if and .Values.valkey.enabled (or $redis.tls.enabled $redis.username $redis.password.existingSecret) -}}
    {{- $wrong = append $wrong "valkey.enabled: the chart's own Valkey does not speak TLS, and has the default user and its own password: remove `redis.tls.enabled`, `redis.username` and `redis.password.existingSecret`" -}}
  {{- end -}}
  {{- if and (eq (include "scim-bridge.redisIsPlain" .) "true") (ne (include "scim-bridge.redisIsInside" .) "true") (not (hasKey .Values.config.store "allow_plain")) (or $named $url) -}}
    {{- $wrong = append $wrong (printf "redis.tls.enabled: off, and %s is not a Service of this cluster: passwords and personal data would cross the network unencrypted. Set it to true, or, where that network is your own, `config.store.allow_plain: true`" (include "scim-bridge.redisHosts" . | replace "," ", ")) -}}
  {{- end -}}
  {{- if and (not $redis.tls.enabled) (or $redis.tls.ca.existingSecret $redis.tls.client.existingSecret) -}}
    {{- $wrong = append $wrong "redis.tls.enabled: files for TLS are given, but it is off: set it to true, or remove `redis.tls.ca` and `redis.tls.client`" -}}
  {{- end -}}
{{- end -}}
{{- range $of := list (dict "name" "redis.password" "it" $redis.password) (dict "name" "redis.sentinel.password" "it" $redis.sentinel.password) -}}
  {{- if and $of.it.existingSecret $of.it.value -}}
    {{- $wrong = append $wrong (printf "%s: both `existingSecret` and `value` are given: remove one" $of.name) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.secrets" -}}
{{- $wrong := list -}}
{{- $secrets := .Values.secrets -}}
{{- range $name := list "postmanKey" "adminToken" "testToken" -}}
  {{- $it := get $secrets $name -}}
  {{- if and $it.existingSecret $it.value -}}
    {{- $wrong = append $wrong (printf "secrets.%s: both `existingSecret` and `value` are given: remove one" $name) -}}
  {{- end -}}
{{- end -}}
{{- if not (or $secrets.postmanKey.existingSecret $secrets.postmanKey.value .Values.postmanSim.enabled (hasKey .Values.config.postman "key")) -}}
  {{- $wrong = append $wrong "secrets.postmanKey: no SCIM API key: name a Secret in `existingSecret`, or give `value` (or set `postmanSim.enabled: true` to try it without Postman)" -}}
{{- end -}}
{{- $names := list -}}
{{- range $n, $source := .Values.config.source -}}
  {{- if has $source.name $names -}}
    {{- $wrong = append $wrong (printf "config.source[%d].name: %s is the name of another source: choose another name" $n $source.name) -}}
  {{- end -}}
  {{- $names = append $names $source.name -}}
  {{- $given := get $secrets.sources $source.name | default list -}}
  {{- if and (not $given) (not $source.secrets) -}}
    {{- $wrong = append $wrong (printf "secrets.sources.%s: the source has no secret: give a list such as `[{existingSecret: NAME, key: KEY}]`" $source.name) -}}
  {{- else if and $given $source.secrets -}}
    {{- $wrong = append $wrong (printf "secrets.sources.%s: secrets are given in config.source[%d].secrets, too: remove one" $source.name $n) -}}
  {{- end -}}
  {{- range $m, $secret := $given -}}
    {{- if eq (not $secret.existingSecret) (not $secret.value) -}}
      {{- $wrong = append $wrong (printf "secrets.sources.%s[%d]: give either `existingSecret` (and `key`) or `value`" $source.name $m) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $name, $_ := $secrets.sources -}}
  {{- if not (has $name $names) -}}
    {{- $wrong = append $wrong (printf "secrets.sources.%s: config.source has no such source (it has %s): correct the name" $name (join ", " $names)) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{/* dict name, value: a secret that would end up in the ConfigMap. */}}
{{- define "scim-bridge.validate.plain" -}}
{{- if and .value (or (kindIs "string" .value) (hasKey .value "value")) -}}
{{ .name }}: a secret must not be in a ConfigMap: give {file: PATH} or {env: NAME}, or use `{{ .instead }}`
{{- end -}}
{{- end -}}

{{- define "scim-bridge.validate.config" -}}
{{- $wrong := list -}}
{{- $config := .Values.config -}}
{{- $plain := list
  (dict "name" "config.server.admin_token" "value" $config.server.admin_token "instead" "secrets.adminToken")
  (dict "name" "config.postman.key" "value" $config.postman.key "instead" "secrets.postmanKey")
  (dict "name" "config.store.password" "value" $config.store.password "instead" "redis.password")
  (dict "name" "config.store.sentinel_password" "value" $config.store.sentinel_password "instead" "redis.sentinel.password") -}}
{{- range $n, $token := $config.server.token -}}
  {{- $plain = append $plain (dict "name" (printf "config.server.token[%d].token" $n) "value" $token.token "instead" "extraVolumes") -}}
  {{- if and (eq ($token.name | default "") (include "scim-bridge.test.tokenName" $)) (eq (include "scim-bridge.test.reads" $) "true") -}}
    {{- $wrong = append $wrong (printf "config.server.token[%d].name: the chart uses %s for the token of `helm test`: choose another name" $n $token.name) -}}
  {{- end -}}
{{- end -}}
{{- range $n, $source := $config.source -}}
  {{- $given := $source.secrets -}}
  {{- if and $given (not (kindIs "slice" $given)) -}}{{- $given = list $given -}}{{- end -}}
  {{- range $m, $secret := $given -}}
    {{- $plain = append $plain (dict "name" (printf "config.source[%d].secrets[%d]" $n $m) "value" $secret "instead" (printf "secrets.sources.%s" $source.name)) -}}
  {{- end -}}
{{- end -}}
{{- range $n, $alert := $config.alert -}}
  {{- $plain = append $plain (dict "name" (printf "config.alert[%d].secret" $n) "value" $alert.secret "instead" "extraEnv") -}}
  {{- /* Anybody who has a Slack address can write there. */ -}}
  {{- if eq ($alert.format | default "") "slack" -}}
    {{- $plain = append $plain (dict "name" (printf "config.alert[%d].url" $n) "value" $alert.url "instead" "extraEnv") -}}
  {{- end -}}
{{- end -}}
{{- range $plain -}}
  {{- with include "scim-bridge.validate.plain" . -}}{{- $wrong = append $wrong . -}}{{- end -}}
{{- end -}}
{{- if contains "@" ($config.store.url | default "") -}}
  {{- $wrong = append $wrong "config.store.url: contains a login, which would be in a ConfigMap: remove it, and use `redis.username` and `redis.password`" -}}
{{- end -}}
{{- range $key := list "listen" "admin_listen" -}}
  {{- with get $config.server $key -}}
    {{- if not (regexMatch "^(0\\.0\\.0\\.0|\\[::\\]):[1-9][0-9]*$" .) -}}
      {{- $wrong = append $wrong (printf "config.server.%s: %s cannot be reached from outside the pod: give 0.0.0.0:PORT or [::]:PORT" $key .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.postmanSim.enabled (hasKey $config.postman "base_url") -}}
  {{- $wrong = append $wrong "postmanSim.enabled: config.postman.base_url is given, too: remove one" -}}
{{- end -}}
{{- if and .Values.postmanSim.enabled (hasKey $config.postman "key") -}}
  {{- $wrong = append $wrong "postmanSim.enabled: the stand-in must know the key: give it in `secrets.postmanKey`, not in config.postman.key" -}}
{{- end -}}
{{- if not $config.source -}}
  {{- $wrong = append $wrong "config.source: no source is configured: give a list such as `[{name: hr}]`" -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.scaling" -}}
{{- $wrong := list -}}
{{- range $component := splitList "," (include "scim-bridge.components" .) -}}
  {{- $workload := get $.Values $component -}}
  {{- $hpa := $workload.autoscaling -}}
  {{- $keda := $workload.keda | default (dict "enabled" false) -}}
  {{- if and $hpa.enabled $keda.enabled -}}
    {{- $wrong = append $wrong (printf "%s.keda.enabled: %s.autoscaling.enabled is on, too, and KEDA makes a HorizontalPodAutoscaler of its own: the two would conflict; remove one" $component $component) -}}
  {{- end -}}
  {{- range $kind, $scale := dict "autoscaling" $hpa "keda" $keda -}}
    {{- if and $scale.enabled (gt (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
      {{- $wrong = append $wrong (printf "%s.%s.minReplicas: %d is more than maxReplicas, %d" $component $kind (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $hpa.enabled (not (dig "requests" "cpu" "" $workload.resources)) -}}
    {{- $wrong = append $wrong (printf "%s.autoscaling.enabled: utilisation is relative to %s.resources.requests.cpu, which is not set: set it" $component $component) -}}
  {{- end -}}
  {{- if and (eq $component "all") $keda.enabled (lt (int $keda.minReplicas) 1) -}}
    {{- $wrong = append $wrong "all.keda.minReplicas: with 0 nobody would accept webhooks: set 1, or use `mode: split`" -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{/* A limit below what the configuration's bounds allow: the kernel would kill the process again and again. */}}
{{- define "scim-bridge.validate.memory" -}}
{{- $wrong := list -}}
{{- range $component := splitList "," (include "scim-bridge.wantedComponents" .) -}}
  {{- $limit := dig "limits" "memory" "" ((get $.Values $component).resources | default dict) -}}
  {{- $worst := include "scim-bridge.memory.worst" (dict "root" $ "component" $component) | fromYaml -}}
  {{- if and $limit (lt (include "scim-bridge.bytes" $limit | int64) (mul 1048576 (int64 $worst.mib))) -}}
    {{- $wrong = append $wrong (printf "%s.resources.limits.memory: %v is less than the worst case, %dMi (%s): raise the limit, or lower those" $component $limit (int $worst.mib) $worst.sum) -}}
  {{- end -}}
{{- end -}}
{{- if .Values.valkey.enabled -}}
  {{- $limit := dig "limits" "memory" "" (.Values.valkey.resources | default dict) -}}
  {{- $data := include "scim-bridge.bytes" .Values.valkey.maxmemory | int64 -}}
  {{- if and $limit (lt (include "scim-bridge.bytes" $limit | int64) (mul 2 $data)) -}}
    {{- $wrong = append $wrong (printf "valkey.resources.limits.memory: %v is less than twice valkey.maxmemory, %s: rewriting the append-only file may take as much again; raise it, or lower that" $limit .Values.valkey.maxmemory) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.network" -}}
{{- $wrong := list -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
  {{- $wrong = append $wrong "ingress.hosts: name at least one host" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
  {{- $wrong = append $wrong "httpRoute.parentRefs: name the Gateway, such as `[{name: public, namespace: gateways}]`" -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}

{{- define "scim-bridge.validate.test" -}}
{{- $wrong := list -}}
{{- $names := list -}}
{{- range .Values.config.source -}}{{- $names = append $names .name -}}{{- end -}}
{{- with .Values.test.source -}}
  {{- if not (has . $names) -}}
    {{- $wrong = append $wrong (printf "test.source: config.source has no source %s (it has %s): correct the name" . (join ", " $names)) -}}
  {{- end -}}
{{- end -}}
{{- if .Values.test.person -}}
  {{- range $key := list "employeeId" "email" "firstName" "lastName" -}}
    {{- if not (get $.Values.test.person $key) -}}
      {{- $wrong = append $wrong (printf "test.person.%s: is missing: give the member exactly as they are in the team" $key) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end -}}
