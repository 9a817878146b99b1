{{/*
How much memory a process may take, from its bounds. The figures are the program's: measured, or the constants that
are named; docs/deploy.md shows the sum for the defaults.
*/}}

{{/* A process that does nothing, with room for a store's page cache, in MiB. 16 MB were measured (docs/benchmarks.md), 29 with 100,000 jobs in the embedded store. */}}
{{- define "scim-bridge.memory.idle" -}}
32
{{- end -}}

{{/* What the server keeps for an open connection in addition to its share of the bounds below, in KiB: 5 were measured, and a small head comes on top (docs/security.md). */}}
{{- define "scim-bridge.memory.connection" -}}
8
{{- end -}}

{{/* The largest reply of Postman's that is read (src/scim, REPLY_BYTES_MAX), and as much again once it is parsed, in MiB. */}}
{{- define "scim-bridge.memory.attempt" -}}
8
{{- end -}}

{{/* What heads and bodies under way may take together, in MiB (src/intake/memory.rs): 16 for heads; 8 for small bodies as they arrive, 8 while they wait, and 16 once parsed; for larger bodies, 4 times the largest as they arrive, as much again while they wait, and 32 times the largest (at least 136) once parsed. */}}
{{- define "scim-bridge.memory.bodies" -}}
{{- $server := .Values.config.server -}}
{{- $bytes := ternary (get $server "body_bytes_max") 1048576 (hasKey $server "body_bytes_max") | int64 -}}
{{- $body := div (add $bytes 1048575) 1048576 -}}
{{- add 48 (mul 2 (max 16 (mul 4 $body))) (max 136 (mul 32 $body)) -}}
{{- end -}}

{{/* dict root, component: the worst case, as YAML: `mib`, and `sum`, which lists its parts. */}}
{{- define "scim-bridge.memory.worst" -}}
{{- $config := .root.Values.config -}}
{{- $mib := include "scim-bridge.memory.idle" . | int -}}
{{- $sum := list (printf "%d for a process" $mib) -}}
{{- if ne .component "worker" -}}
  {{- $connections := ternary (get $config.server "connections_max") 10000 (hasKey $config.server "connections_max") | int -}}
  {{- $theirs := div (add (mul $connections (include "scim-bridge.memory.connection" . | int)) 1023) 1024 | int -}}
  {{- $bodies := include "scim-bridge.memory.bodies" .root | int -}}
  {{- $mib = add $mib $theirs $bodies | int -}}
  {{- $sum = append $sum (printf "%d for %d connections (config.server.connections_max)" $theirs $connections) -}}
  {{- $sum = append $sum (printf "%d for heads and bodies (config.server.body_bytes_max)" $bodies) -}}
{{- end -}}
{{- if ne .component "intake" -}}
  {{- $concurrency := ternary (get $config.worker "concurrency") 8 (hasKey $config.worker "concurrency") | int -}}
  {{- $theirs := mul $concurrency (include "scim-bridge.memory.attempt" . | int) | int -}}
  {{- $mib = add $mib $theirs | int -}}
  {{- $sum = append $sum (printf "%d for %d attempts (config.worker.concurrency)" $theirs $concurrency) -}}
{{- end -}}
{{- toYaml (dict "mib" $mib "sum" (join ", " $sum)) -}}
{{- end -}}

{{/* A quantity of Kubernetes', or of Redis' (`256mb`), in bytes; 0: none is given. */}}
{{- define "scim-bridge.bytes" -}}
{{- $text := . | toString -}}
{{- if kindIs "invalid" . -}}{{- $text = "0" -}}{{- end -}}
{{- if kindIs "float64" . -}}{{- $text = printf "%.0f" . -}}{{- end -}}
{{- $number := regexFind "^[0-9.]+" $text | float64 -}}
{{- $unit := regexReplaceAll "^[0-9.]+" $text "" -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "kb" 1024 "mb" 1048576 "gb" 1073741824 -}}
{{- mulf $number (get $units $unit | default 1) | floor | int64 -}}
{{- end -}}
