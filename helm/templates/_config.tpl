{{/* The configuration: what the chart knows, under what `config` says, as TOML. */}}

{{/* The ConfigMap's name depends on its content. */}}
{{- define "scim-bridge.configName" -}}
{{- printf "%s-config-%s" (include "scim-bridge.fullname" .) (include "scim-bridge.toml" . | sha256sum | trunc 10) -}}
{{- end -}}

{{/* Argo CD sees no cluster when it renders: there the old ones go when the new pods are ready, and not before. */}}
{{- define "scim-bridge.contentNamedAnnotations" -}}
argocd.argoproj.io/sync-options: PruneLast=true
{{- end -}}

{{/* What is the chart's to say, as YAML. */}}
{{- define "scim-bridge.config.own" -}}
{{- $path := include "scim-bridge.secretsPath" . -}}
{{- $has := dict -}}
{{- range $file := include "scim-bridge.secretFiles" . | fromYamlArray -}}
  {{- $_ := set $has $file.path (dict "file" (printf "%s/%s" $path $file.path)) -}}
{{- end -}}
{{- $admin := printf "%s-admin" (include "scim-bridge.fullname" .) -}}
{{- $within := printf "%s.%s" $admin .Release.Namespace -}}
{{- $hosts := list $admin $within (printf "%s.svc" $within) (printf "%s.svc.cluster.local" $within) -}}
{{- $server := dict "listen" "0.0.0.0:8080" "admin_listen" "0.0.0.0:9090" "admin_hosts" $hosts -}}
{{- with get $has "admin-token" -}}{{- $_ := set $server "admin_token" . -}}{{- end -}}
{{- $store := dict "url" (include "scim-bridge.storeUrl" .) -}}
{{- with get $has "redis-password" -}}{{- $_ := set $store "password" . -}}{{- end -}}
{{- with get $has "sentinel-password" -}}{{- $_ := set $store "sentinel_password" . -}}{{- end -}}
{{- with get $has "redis-ca.crt" -}}{{- $_ := set $store "ca_file" .file -}}{{- end -}}
{{- with get $has "redis-client.crt" -}}{{- $_ := set $store "cert_file" .file -}}{{- end -}}
{{- with get $has "redis-client.key" -}}{{- $_ := set $store "key_file" .file -}}{{- end -}}
{{- if and (eq .Values.store "redis") (not .Values.valkey.enabled) -}}
  {{- with .Values.redis.username -}}{{- $_ := set $store "username" . -}}{{- end -}}
  {{- if eq .Values.redis.topology "sentinel" -}}
    {{- with .Values.redis.sentinel.username -}}{{- $_ := set $store "sentinel_username" . -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- $knows := include "scim-bridge.program.keys" . | splitList "," -}}
{{- if eq .Values.store "redis" -}}
  {{- if not (hasKey .Values.config.store "key_prefix") -}}{{- $_ := set $store "key_prefix" (include "scim-bridge.keyPrefix" .) -}}{{- end -}}
  {{- /* Within the cluster the network is the cluster's own; of a Redis elsewhere, the user says whether that will do. */ -}}
  {{- if and (eq (include "scim-bridge.redisIsPlain" .) "true") (has "store.allow_plain" $knows) -}}
    {{- if eq (include "scim-bridge.redisIsInside" .) "true" -}}{{- $_ := set $store "allow_plain" true -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- $postman := dict -}}
{{- /* Whose store it is, for people: a process of another target says it when it refuses. */ -}}
{{- if has "postman.team" $knows -}}{{- $_ := set $postman "team" (printf "%s/%s" .Release.Namespace .Release.Name) -}}{{- end -}}
{{- with get $has "postman-key" -}}{{- $_ := set $postman "key" . -}}{{- end -}}
{{- if .Values.postmanSim.enabled -}}
  {{- $_ := set $postman "base_url" (printf "http://%s-postman-sim:9080/scim/v2" (include "scim-bridge.fullname" .)) -}}
  {{- $_ := set $postman "allow_http" true -}}
{{- end -}}
{{- toYaml (dict "server" $server "store" $store "postman" $postman) -}}
{{- end -}}

{{/* All of it, as YAML: a key in `config` replaces the chart's. */}}
{{- define "scim-bridge.config" -}}
{{- $own := include "scim-bridge.config.own" . | fromYaml -}}
{{- $merged := dict -}}
{{- range $section := concat (keys $own) (keys .Values.config) | uniq -}}
  {{- $given := get $.Values.config $section -}}
  {{- if kindIs "slice" $given -}}
    {{- $_ := set $merged $section $given -}}
  {{- else -}}
    {{- $keys := deepCopy (get $own $section | default dict) -}}
    {{- range $key, $value := $given | default dict -}}
      {{- $_ := set $keys $key $value -}}
    {{- end -}}
    {{- $_ := set $merged $section $keys -}}
  {{- end -}}
{{- end -}}
{{- $path := include "scim-bridge.secretsPath" . -}}
{{- /* Beside those that are given, and never in their place. */ -}}
{{- if eq (include "scim-bridge.test.reads" .) "true" -}}
  {{- $test := dict "name" (include "scim-bridge.test.tokenName" .) "role" "read_only" "token" (dict "file" (printf "%s/test-token" $path)) -}}
  {{- $_ := set $merged.server "token" (append ($merged.server.token | default list) $test) -}}
{{- end -}}
{{- $sources := list -}}
{{- range $source := .Values.config.source -}}
  {{- $source = deepCopy $source -}}
  {{- if not (hasKey $source "secrets") -}}
    {{- $secrets := list -}}
    {{- range $n, $secret := get $.Values.secrets.sources $source.name | default list -}}
      {{- $entry := dict "file" (printf "%s/source-%s-%d" $path $source.name $n) -}}
      {{- with $secret.notAfter -}}{{- $_ := set $entry "not_after" . -}}{{- end -}}
      {{- $secrets = append $secrets $entry -}}
    {{- end -}}
    {{- $_ := set $source "secrets" $secrets -}}
  {{- end -}}
  {{- $sources = append $sources $source -}}
{{- end -}}
{{- $_ := set $merged "source" $sources -}}
{{- toYaml $merged -}}
{{- end -}}

{{- define "scim-bridge.storeUrl" -}}
{{- $redis := .Values.redis -}}
{{- $scheme := ternary "rediss" "redis" $redis.tls.enabled -}}
{{- if .Values.config.store.url -}}
{{- .Values.config.store.url -}}
{{- else if eq .Values.store "embedded" -}}
embedded:/data
{{- else if .Values.valkey.enabled -}}
redis://{{ include "scim-bridge.valkeyName" . }}:6379/0
{{- else if eq $redis.topology "sentinel" -}}
{{ $scheme }}+sentinel://{{ join "," $redis.nodes }}/{{ $redis.primary }}/{{ int $redis.database }}
{{- else if eq $redis.topology "cluster" -}}
{{ $scheme }}-cluster://{{ join "," $redis.nodes }}
{{- else -}}
{{ $scheme }}://{{ $redis.host }}:{{ int $redis.port }}/{{ int $redis.database }}
{{- end -}}
{{- end -}}

{{/* Whether Redis is spoken to without TLS. */}}
{{- define "scim-bridge.redisIsPlain" -}}
{{- regexMatch "^redis([+]sentinel|-cluster)?://" (include "scim-bridge.storeUrl" .) -}}
{{- end -}}

{{/* The hosts of Redis' URL, without their ports. */}}
{{- define "scim-bridge.redisHosts" -}}
{{- $hosts := regexReplaceAll "/.*$" (regexReplaceAll "^[a-z+-]+://" (include "scim-bridge.storeUrl" .) "") "" -}}
{{- $names := list -}}
{{- range $host := splitList "," (regexReplaceAll "^.*@" $hosts "") -}}{{- $names = append $names (regexReplaceAll ":[0-9]+$" $host "") -}}{{- end -}}
{{- join "," $names -}}
{{- end -}}

{{/*
Whether all hosts of Redis are named as Services of this cluster (`redis`, `redis-0.redis`, `redis.cache`,
`….svc`, `….svc.cluster.local`) or are the pod itself.
*/}}
{{- define "scim-bridge.redisIsInside" -}}
{{- $inside := true -}}
{{- range $host := include "scim-bridge.redisHosts" . | splitList "," -}}
  {{- if not (regexMatch "^(localhost|127(\\.[0-9]+){3}|\\[::1\\]|[a-z0-9-]*[a-z-][a-z0-9-]*([.][a-z0-9-]*[a-z-][a-z0-9-]*)?|.+[.]svc([.]cluster[.]local)?)$" $host) -}}{{- $inside = false -}}{{- end -}}
{{- end -}}
{{- $inside -}}
{{- end -}}

{{/* The ports of Redis, for the NetworkPolicy: those of the URL, and of the servers that sentinels name. */}}
{{- define "scim-bridge.redisPorts" -}}
{{- $url := include "scim-bridge.storeUrl" . -}}
{{- $sentinel := contains "+sentinel://" $url -}}
{{- $hosts := regexReplaceAll "/.*$" (regexReplaceAll "^[a-z+-]+://" $url "") "" -}}
{{- $ports := list -}}
{{- range $host := splitList "," $hosts -}}
  {{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" -}}
  {{- $ports = append $ports ($port | default (ternary "26379" "6379" $sentinel)) -}}
{{- end -}}
{{- if $sentinel -}}{{- $ports = append $ports (toString (int .Values.redis.port)) -}}{{- end -}}
{{- $ports | uniq | join "," -}}
{{- end -}}

{{/* The port of Postman, for the NetworkPolicy. */}}
{{- define "scim-bridge.postmanPort" -}}
{{- $url := .Values.config.postman.base_url | default "https://api.getpostman.com/scim/v2" -}}
{{- $host := (urlParse $url).host -}}
{{- regexFind ":[0-9]+$" $host | trimPrefix ":" | default (ternary "80" "443" (hasPrefix "http://" $url)) -}}
{{- end -}}

{{/* dict listen: the port of a listener. */}}
{{- define "scim-bridge.port" -}}
{{- regexFind "[0-9]+$" .listen -}}
{{- end -}}

{{- define "scim-bridge.shutdownGrace" -}}
{{- $server := .Values.config.server -}}
{{- ternary (get $server "shutdown_grace_s") 25 (hasKey $server "shutdown_grace_s") | int -}}
{{- end -}}

{{/* scim-bridge.toml */}}
{{- define "scim-bridge.toml" -}}
{{- $config := include "scim-bridge.config" . | fromYaml -}}
{{- $tables := list -}}
{{- /* Tables first, in an order that people know; then what there may be several of. */ -}}
{{- $known := list "server" "store" "postman" "worker" "retry" "hold" "log" "telemetry" -}}
{{- range $section := concat $known (omit $config "source" | keys | sortAlpha) | uniq -}}
  {{- $given := get $config $section -}}
  {{- if kindIs "slice" $given -}}
    {{- range $given -}}
      {{- $tables = append $tables (printf "[[%s]]%s" $section (include "scim-bridge.toml.keys" .)) -}}
    {{- end -}}
  {{- else if $given -}}
    {{- $tables = append $tables (printf "[%s]%s" $section (include "scim-bridge.toml.keys" $given)) -}}
  {{- end -}}
{{- end -}}
{{- range $source := $config.source -}}
  {{- $tables = append $tables (include "scim-bridge.toml.source" $source) -}}
{{- end -}}
{{- join "\n\n" $tables -}}
{{- end -}}

{{/* A source's tables. */}}
{{- define "scim-bridge.toml.source" -}}
{{- $source := . -}}
{{- $tables := list (printf "[[source]]%s" (include "scim-bridge.toml.keys" (omit $source "signature" "mapping"))) -}}
{{- range $table := list "signature" "mapping" -}}
  {{- with get $source $table -}}
    {{- $tables = append $tables (printf "[source.%s]%s" $table (include "scim-bridge.toml.keys" .)) -}}
  {{- end -}}
{{- end -}}
{{- join "\n\n" $tables -}}
{{- end -}}

{{/* The keys of a table, a line each. */}}
{{- define "scim-bridge.toml.keys" -}}
{{- range $key, $value := . }}
{{- if not (kindIs "invalid" $value) }}
{{ include "scim-bridge.toml.key" $key }} = {{ include "scim-bridge.toml.value" $value }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "scim-bridge.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . -}}{{ . }}{{- else -}}{{ toRawJson . }}{{- end -}}
{{- end -}}

{{/* A value on one line. JSON's texts, numbers, true and false are TOML's; only tables differ. */}}
{{- define "scim-bridge.toml.value" -}}
{{- if kindIs "map" . -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
  {{- if not (kindIs "invalid" $value) -}}
    {{- $pairs = append $pairs (printf "%s = %s" (include "scim-bridge.toml.key" $key) (include "scim-bridge.toml.value" $value)) -}}
  {{- end -}}
{{- end -}}
{ {{- if $pairs }} {{ join ", " $pairs }} {{ end -}} }
{{- else if kindIs "slice" . -}}
{{- $items := list -}}
{{- range . -}}{{- $items = append $items (include "scim-bridge.toml.value" .) -}}{{- end -}}
[{{ join ", " $items }}]
{{- else -}}
{{ toRawJson . }}
{{- end -}}
{{- end -}}
