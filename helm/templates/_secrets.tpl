{{/* Secrets: which there are, where they come from, and the volume that they are mounted by. */}}

{{- define "scim-bridge.secretsPath" -}}
/run/secrets/scim-bridge
{{- end -}}

{{/*
The Secret with the values given in plain text. Its name depends on its content, so that a change makes new pods, and
old ones keep what they were started with.
*/}}
{{- define "scim-bridge.valuesSecretName" -}}
{{- $content := list .Release.Namespace .Release.Name -}}
{{- range $file := include "scim-bridge.rawSecretFiles" . | fromYamlArray -}}
  {{- if hasKey $file "value" -}}{{- $content = append $content (list $file.key $file.value) -}}{{- end -}}
{{- end -}}
{{- printf "%s-secrets-%s" (include "scim-bridge.fullname" .) (toJson $content | sha256sum | trunc 10) -}}
{{- end -}}

{{/* The Secret with the admin token that the chart makes. Not the release's bare name: that is what a user would call theirs. */}}
{{- define "scim-bridge.tokenSecretName" -}}
{{ include "scim-bridge.fullname" . }}-admin-token
{{- end -}}

{{/* The Secret with the read-only token that the chart makes for `helm test`. */}}
{{- define "scim-bridge.testTokenSecretName" -}}
{{ include "scim-bridge.fullname" . }}-test-token
{{- end -}}

{{/*
Every file that some pod mounts, as YAML: a list of `path` (within the volume), `secret` (the Secret's name)
and `key` (in it); with `value` or `generate` where the chart makes the Secret. Secrets that `config` names are not
in it: the user mounts them.
*/}}
{{- define "scim-bridge.secretFiles" -}}
{{- $name := include "scim-bridge.valuesSecretName" . -}}
{{- $files := list -}}
{{- range $file := include "scim-bridge.rawSecretFiles" . | fromYamlArray -}}
  {{- if hasKey $file "value" -}}{{- $_ := set $file "secret" $name -}}{{- end -}}
  {{- $files = append $files $file -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* dict root, component: those that a pod of the component reads. */}}
{{- define "scim-bridge.secretFilesOf" -}}
{{- $files := list -}}
{{- $byRole := eq (include "scim-bridge.program.readsByRole" .root) "true" -}}
{{- range $file := include "scim-bridge.secretFiles" .root | fromYamlArray -}}
  {{- $of := dict "intake" (ne $file.path "postman-key") "worker" (not (hasPrefix "source-" $file.path)) "all" true -}}
  {{- if or (get $of $.component) (not $byRole) -}}{{- $files = append $files $file -}}{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* The same files, but those with a `value` have no `secret` yet: its name is a hash of all values. */}}
{{- define "scim-bridge.rawSecretFiles" -}}
{{- $own := "" -}}
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
    {{- $files = append $files (dict "path" "admin-token" "secret" (include "scim-bridge.tokenSecretName" .) "key" "admin-token" "generate" true) -}}
  {{- end -}}
{{- end -}}
{{- if eq (include "scim-bridge.test.reads" .) "true" -}}
  {{- $token := $values.secrets.testToken -}}
  {{- if $token.existingSecret -}}
    {{- $files = append $files (dict "path" "test-token" "secret" $token.existingSecret "key" $token.key) -}}
  {{- else if $token.value -}}
    {{- $files = append $files (dict "path" "test-token" "secret" $own "key" "test-token" "value" $token.value) -}}
  {{- else -}}
    {{- $files = append $files (dict "path" "test-token" "secret" (include "scim-bridge.testTokenSecretName" .) "key" "test-token" "generate" true) -}}
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
    {{- $files = append $files (dict "path" "redis-password" "secret" (include "scim-bridge.valkeySecretName" .) "key" "redis-password") -}}
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

{{/* A volume with these files, as YAML: one for all Secrets, and without `subPath`, so that Kubernetes updates the files. */}}
{{- define "scim-bridge.secretsVolume" -}}
{{- $bySecret := dict -}}
{{- range $file := . -}}
  {{- $item := dict "key" $file.key "path" $file.path -}}
  {{- $_ := set $bySecret $file.secret (append (get $bySecret $file.secret | default list) $item) -}}
{{- end -}}
name: secrets
projected:
  # Readable by the pod's group (fsGroup) and nobody else.
  defaultMode: 0440
  {{- if not $bySecret }}
  sources: []
  {{- else }}
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
  {{- end }}
{{- end -}}

{{- define "scim-bridge.valkeyName" -}}
{{ include "scim-bridge.fullname" . }}-valkey
{{- end -}}
