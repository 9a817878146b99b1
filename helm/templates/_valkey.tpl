{{- define "scim-bridge.valkeyConf" -}}
bind * -::*
port 6379
dir /data
# What is accepted must survive a restart: docs/redis.md.
appendonly yes
appendfsync everysec
save ""
# A job must never be thrown away for want of memory.
maxmemory-policy noeviction
maxmemory {{ .Values.valkey.maxmemory }}
{{- end -}}
