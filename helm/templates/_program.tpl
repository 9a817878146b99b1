{{/*
What the program of this appVersion can do that the chart waits for: tests/chart/test_program.py tries the program,
and says when one of these is to change.
*/}}

{{/* Configuration keys that the chart sets as soon as there are such, with commas between them. */}}
{{- define "scim-bridge.program.keys" -}}
postman.team,store.allow_plain
{{- end -}}

{{/* Whether a process starts without the secrets that its role does not read: `true` or `false`. */}}
{{- define "scim-bridge.program.readsByRole" -}}
true
{{- end -}}
