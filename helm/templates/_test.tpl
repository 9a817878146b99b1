{{/* What `helm test` sends. */}}

{{- define "scim-bridge.test.source" -}}
{{- .Values.test.source | default (first .Values.config.source).name -}}
{{- end -}}

{{/* Whether there is a payload for the tested source: a given one, or the default one, if the source has the default preset and no mapping. */}}
{{- define "scim-bridge.test.possible" -}}
{{- $known := false -}}
{{- range $source := .Values.config.source -}}
  {{- if eq $source.name (include "scim-bridge.test.source" $) -}}
    {{- $plain := and (eq ($source.preset | default "standard-webhooks") "standard-webhooks") (not $source.preset_file) (not $source.mapping) -}}
    {{- $known = or $known $plain -}}
  {{- end -}}
{{- end -}}
{{- or $known (ne .Values.test.payload "") -}}
{{- end -}}

{{- define "scim-bridge.test.follows" -}}
{{- or (ne .Values.test.payload "") (gt (len .Values.test.person) 0) .Values.postmanSim.enabled -}}
{{- end -}}

{{/* Whether its pod reads the admin API; for that it has a read-only token of its own. */}}
{{- define "scim-bridge.test.reads" -}}
{{- and .Values.test.enabled (eq (include "scim-bridge.test.possible" .) "true") (eq (include "scim-bridge.test.follows" .) "true") -}}
{{- end -}}

{{/* That token's name in `[[server.token]]`. */}}
{{- define "scim-bridge.test.tokenName" -}}
helm-test
{{- end -}}

{{/* Its environment: that of the other pods, without the full admin token. */}}
{{- define "scim-bridge.test.extraEnv" -}}
{{- $env := list -}}
{{- range .Values.extraEnv -}}
  {{- if not (hasPrefix "SCIM_BRIDGE__SERVER__ADMIN_TOKEN" .name) -}}{{- $env = append $env . -}}{{- end -}}
{{- end -}}
{{- with $env -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "scim-bridge.test.payload" -}}
{{- if .Values.test.payload -}}
{{- .Values.test.payload | trim -}}
{{- else if eq (include "scim-bridge.test.follows" .) "true" -}}
{{- $made := dict "employeeId" "helm-test" "email" "helm-test@example.com" "firstName" "Helm" "lastName" "Test" -}}
{{- $person := .Values.test.person | default $made -}}
{{- dict "type" "employee.hired" "data" (dict "employee_id" $person.employeeId "email" $person.email "first_name" $person.firstName "last_name" $person.lastName) | toRawJson -}}
{{- else -}}
{"type":"scim-bridge.helm-test"}
{{- end -}}
{{- end -}}

{{/* The secrets that it reads: those of the source that it sends as, and, if it follows the outcome, the read-only token. */}}
{{- define "scim-bridge.test.secretFiles" -}}
{{- $prefix := printf "source-%s-" (include "scim-bridge.test.source" .) -}}
{{- $files := list -}}
{{- range $file := include "scim-bridge.secretFiles" . | fromYamlArray -}}
  {{- /* A source's name may be the beginning of another's: only a number follows. */ -}}
  {{- if or (regexMatch "^[0-9]+$" (trimPrefix $prefix $file.path)) (eq $file.path "test-token") -}}
    {{- $files = append $files $file -}}
  {{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{/* Its configuration: that one source, and nothing that refers to a secret that it does not mount. */}}
{{- define "scim-bridge.test.toml" -}}
{{- $config := include "scim-bridge.config" . | fromYaml -}}
{{- $server := dict -}}
{{- if eq (include "scim-bridge.test.reads" .) "true" -}}
  {{- $_ := set $server "admin_token" (dict "file" (printf "%s/test-token" (include "scim-bridge.secretsPath" .))) -}}
{{- end -}}
{{- $tables := list (printf "[server]%s" (include "scim-bridge.toml.keys" $server)) (printf "[log]%s" (include "scim-bridge.toml.keys" ($config.log | default dict))) -}}
{{- range $source := $config.source -}}
  {{- if eq $source.name (include "scim-bridge.test.source" $) -}}
    {{- $tables = append $tables (include "scim-bridge.toml.source" $source) -}}
  {{- end -}}
{{- end -}}
{{- join "\n\n" $tables -}}
{{- end -}}
