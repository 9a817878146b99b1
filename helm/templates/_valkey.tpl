{{/* Named by its content. */}}
{{- define "scim-bridge.valkeyConfigName" -}}
{{- printf "%s-%s" (include "scim-bridge.valkeyName" .) (include "scim-bridge.valkeyConf" . | sha256sum | trunc 10) -}}
{{- end -}}

{{/* A given password's Secret is named by its content; a generated password never changes. */}}
{{- define "scim-bridge.valkeySecretName" -}}
{{- with .Values.redis.password.value -}}
{{- printf "%s-%s" (include "scim-bridge.valkeyName" $) (list $.Release.Namespace $.Release.Name . | toJson | sha256sum | trunc 10) -}}
{{- else -}}
{{ include "scim-bridge.valkeyName" . }}-password
{{- end -}}
{{- end -}}

{{- define "scim-bridge.valkeyConf" -}}
bind * -::*
port 6379
dir /data
# What is accepted must survive a restart: docs/redis.md.
appendonly yes
# A durability that waits for disks needs `always`: STORE-EVERYSEC in docs/failures.md.
appendfsync {{ dig "store" "durability" "written" .Values.config | eq "written" | ternary "everysec" "always" }}
save ""
# A job must never be thrown away for want of memory.
maxmemory-policy noeviction
maxmemory {{ .Values.valkey.maxmemory }}
{{- end -}}
