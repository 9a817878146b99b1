{{/* Secrets: which there are, where they come from, and the volume that they are mounted by. */}}

{{- define "scim-bridge.secretsPath" -}}
/run/secrets/scim-bridge
{{- end -}}

{{/* The chart's own Secret. Not the release's bare name: that is what a user would call theirs. */}}
{{- define "scim-bridge.secretName" -}}
{{ include "scim-bridge.fullname" . }}-generated
{{- end -}}

{{/*
Every file that the pods mount, as YAML: a list of `path` (within the volume), `secret` (the Secret's name)
and `key` (in it); with `value` or `generate` where the chart makes the Secret. One given in `config` is
the user's own affair.
*/}}
{{- define "scim-bridge.secretFiles" -}}
{{- $own := include "scim-bridge.secretName" . -}}
{{- $files := list -}}
{{- $values := .Values -}}
{{- if not (hasKey $values.config.postman "key") -}}
  {{- $key := $values.secrets.postmanKey -}}
  {{- if $key.existingSecret -}}
    {{- $files = append $files (dict "path" "postman-key" "secret" $key.existingSecret "key" $key.key) -}}
  {{- else if or $key.value $values.postmanSim.enabled -}}
    {{- $files = append $files (dict "path" "postman-key" "secret" $own "key" "postman-key" "value" ($key.value | default "sim-key")) -}}
  {{- end -}}
{{- end -}}
{{- if not (hasKey $values.config.server "admin_token") -}}
  {{- $token := $values.secrets.adminToken -}}
  {{- if $token.existingSecret -}}
    {{- $files = append $files (dict "path" "admin-token" "secret" $token.existingSecret "key" $token.key) -}}
  {{- else if $token.value -}}
    {{- $files = append $files (dict "path" "admin-token" "secret" $own "key" "admin-token" "value" $token.value) -}}
  {{- else -}}
    {{- $files = append $files (dict "path" "admin-token" "secret" $own "key" "admin-token" "generate" true) -}}
  {{- end -}}
{{- end -}}
{{- range $source := $values.config.source -}}
  {{- range $n, $secret := get $values.secrets.sources $source.name | default list -}}
    {{- $path := printf "source-%s-%d" $source.name $n -}}
    {{- if $secret.existingSecret -}}
      {{- $files = append $files (dict "path" $path "secret" $secret.existingSecret "key" ($secret.key | default "secret")) -}}
    {{- else if $secret.value -}}
      {{- $files = append $files (dict "path" $path "secret" $own "key" $path "value" $secret.value) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq $values.store "redis" -}}
  {{- $redis := $values.redis -}}
  {{- if $values.valkey.enabled -}}
    {{- $valkey := include "scim-bridge.valkeyName" . -}}
    {{- $files = append $files (dict "path" "redis-password" "secret" $valkey "key" "redis-password") -}}
  {{- else if $redis.password.existingSecret -}}
    {{- $files = append $files (dict "path" "redis-password" "secret" $redis.password.existingSecret "key" $redis.password.key) -}}
  {{- else if $redis.password.value -}}
    {{- $files = append $files (dict "path" "redis-password" "secret" $own "key" "redis-password" "value" $redis.password.value) -}}
  {{- end -}}
  {{- if eq $redis.topology "sentinel" -}}
    {{- $password := $redis.sentinel.password -}}
    {{- if $password.existingSecret -}}
      {{- $files = append $files (dict "path" "sentinel-password" "secret" $password.existingSecret "key" $password.key) -}}
    {{- else if $password.value -}}
      {{- $files = append $files (dict "path" "sentinel-password" "secret" $own "key" "sentinel-password" "value" $password.value) -}}
    {{- end -}}
  {{- end -}}
  {{- if $redis.tls.enabled -}}
    {{- with $redis.tls.ca.existingSecret -}}
      {{- $files = append $files (dict "path" "redis-ca.crt" "secret" . "key" $redis.tls.ca.key) -}}
    {{- end -}}
    {{- with $redis.tls.client.existingSecret -}}
      {{- $files = append $files (dict "path" "redis-client.crt" "secret" . "key" $redis.tls.client.certKey) -}}
      {{- $files = append $files (dict "path" "redis-client.key" "secret" . "key" $redis.tls.client.keyKey) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* The volume with all of them: one for all Secrets, and without `subPath`, so that the files follow them. */}}
{{- define "scim-bridge.secretsVolume" -}}
{{- $bySecret := dict -}}
{{- range $file := include "scim-bridge.secretFiles" . | fromYamlArray -}}
  {{- $item := dict "key" $file.key "path" $file.path -}}
  {{- $_ := set $bySecret $file.secret (append (get $bySecret $file.secret | default list) $item) -}}
{{- end -}}
name: secrets
projected:
  # Readable by the pod's group (fsGroup) and nobody else.
  defaultMode: 0440
  sources:
    {{- range $secret, $items := $bySecret }}
    - secret:
        name: {{ $secret }}
        items:
          {{- range $items }}
          - key: {{ .key }}
            path: {{ .path }}
          {{- end }}
    {{- end }}
{{- end -}}

{{- define "scim-bridge.valkeyName" -}}
{{ include "scim-bridge.fullname" . }}-valkey
{{- end -}}

{{/* dict root, name, key: what is in that Secret of the cluster, else a new random text. Asked once for each Secret. */}}
{{- define "scim-bridge.keptOrNew" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .name -}}
{{- $data := dict -}}
{{- if $found -}}{{- $data = $found.data | default dict -}}{{- end -}}
{{- if hasKey $data .key -}}
{{- get $data .key -}}
{{- else -}}
{{- randAlphaNum 40 | b64enc -}}
{{- end -}}
{{- end -}}
