{{/* Where pods may go, as rules of a NetworkPolicy's `egress`. */}}

{{- define "scim-bridge.policy.dns" -}}
# DNS.
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with .Values.networkPolicy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Empty with the embedded store. */}}
{{- define "scim-bridge.policy.redis" -}}
{{- if eq .Values.store "redis" -}}
# Redis.
- ports:
    {{- range $port := splitList "," (include "scim-bridge.redisPorts" .) }}
    - {port: {{ $port }}, protocol: TCP}
    {{- end }}
  {{- if .Values.valkey.enabled }}
  to:
    - podSelector:
        matchLabels:
          {{- include "scim-bridge.besideLabels" (dict "root" . "beside" "valkey") | nindent 10 }}
  {{- else }}
  {{- with .Values.networkPolicy.redisTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "scim-bridge.policy.postman" -}}
{{- if .Values.postmanSim.enabled -}}
# The Postman stand-in, in place of Postman.
- ports:
    - {port: 9080, protocol: TCP}
  to:
    - podSelector:
        matchLabels:
          {{- include "scim-bridge.besideLabels" (dict "root" . "beside" "postman-sim") | nindent 10 }}
{{- else -}}
# Postman.
- ports:
    - {port: {{ include "scim-bridge.postmanPort" . }}, protocol: TCP}
  {{- with .Values.networkPolicy.httpsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The collector of traces, if `config` names one: intakes and workers both send. */}}
{{- define "scim-bridge.policy.traces" -}}
{{- with dig "telemetry" "otlp_endpoint" "" (.Values.config | toYaml | fromYaml) -}}
# The collector of traces.
- ports:
    - {port: {{ regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default (ternary "80" "443" (hasPrefix "http://" .)) }}, protocol: TCP}
{{- end -}}
{{- end -}}
