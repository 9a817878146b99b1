{{/* What `helm test` sends. */}}

{{- define "scim-bridge.test.source" -}}
{{- .Values.test.source | default (first .Values.config.source).name -}}
{{- end -}}

{{/* Whether the chart knows how the tested source wants its payload: the default preset's without a mapping, or one is given. */}}
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
