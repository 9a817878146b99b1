{{/* Names and labels. */}}

{{- define "scim-bridge.name" -}}
{{- regexReplaceAll "-+$" (.Values.nameOverride | default .Chart.Name | trunc 40) "" -}}
{{- end -}}

{{/*
At most 40 characters: the longest suffix must still fit into the 63 of a label. A release's name may have dots,
a Service's may not.
*/}}
{{- define "scim-bridge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- regexReplaceAll "-+$" (.Values.fullnameOverride | trunc 40) "" -}}
{{- else -}}
{{- $name := include "scim-bridge.name" . -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- regexReplaceAll "-+$" (ternary $release (printf "%s-%s" $release $name) (contains $name $release) | trunc 40) "" -}}
{{- end -}}
{{- end -}}

{{/* The Deployment of a component: `intake`, `worker`, or `all`, which needs no word for itself. */}}
{{- define "scim-bridge.workloadName" -}}
{{- $fullname := include "scim-bridge.fullname" .root -}}
{{- ternary $fullname (printf "%s-%s" $fullname .component) (eq .component "all") -}}
{{- end -}}

{{/* What `mode` asks for. */}}
{{- define "scim-bridge.wantedComponents" -}}
{{- ternary "all" "intake,worker" (eq .Values.mode "all") -}}
{{- end -}}

{{/* What there is to be: what is asked for, and what it takes the place of until that is ready (_cluster.tpl). */}}
{{- define "scim-bridge.components" -}}
{{- include "scim-bridge.wantedComponents" . -}}
{{- with include "scim-bridge.outgoingComponents" . -}},{{ . }}{{- end -}}
{{- end -}}

{{/* Which component accepts webhooks. */}}
{{- define "scim-bridge.intakeComponent" -}}
{{- ternary "all" "intake" (eq .Values.mode "all") -}}
{{- end -}}

{{/* Which component brings jobs to Postman. */}}
{{- define "scim-bridge.workerComponent" -}}
{{- ternary "all" "worker" (eq .Values.mode "all") -}}
{{- end -}}

{{/* What the Service for webhooks selects, besides the release: pods of either mode, so that a change of mode changes no selector. */}}
{{- define "scim-bridge.webhooksLabel" -}}
scim-bridge/takes-webhooks
{{- end -}}

{{- define "scim-bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "scim-bridge.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* What selects all pods of the bridge, and no other of the release. */}}
{{- define "scim-bridge.selectorLabels" -}}
app.kubernetes.io/name: {{ include "scim-bridge.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The pods beside the bridge have a name of their own, so that no selector of the bridge meets them. */}}
{{- define "scim-bridge.besideLabels" -}}
app.kubernetes.io/name: {{ include "scim-bridge.name" .root }}-{{ .beside }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- end -}}

{{/* What selectors match: no label of the user's may have one of these names. */}}
{{- define "scim-bridge.selectorKeys" -}}
app.kubernetes.io/name,app.kubernetes.io/instance,app.kubernetes.io/component,{{ include "scim-bridge.webhooksLabel" . }}
{{- end -}}

{{/*
dict root, own, pod: on every object, in addition to what selects it. The user's replace the chart's. A pod does
not carry the chart's version: a chart that changes nothing else would restart it.
*/}}
{{- define "scim-bridge.labelsBeside" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $ours := dict "app.kubernetes.io/version" .root.Chart.AppVersion "app.kubernetes.io/part-of" "scim-bridge" "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- if not .pod -}}{{- $_ := set $ours "helm.sh/chart" $chart -}}{{- end -}}
{{- toYaml (merge (dict) (.own | default dict) .root.Values.commonLabels $ours) -}}
{{- end -}}

{{- define "scim-bridge.commonLabels" -}}
{{- include "scim-bridge.labelsBeside" (dict "root" .) -}}
{{- end -}}

{{- define "scim-bridge.commonPodLabels" -}}
{{- include "scim-bridge.labelsBeside" (dict "root" . "pod" true) -}}
{{- end -}}

{{/* dict root, component, own, pod: the labels of an object of the bridge, with those of the user's for this one. */}}
{{- define "scim-bridge.labels" -}}
{{ include "scim-bridge.selectorLabels" .root }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{ include "scim-bridge.labelsBeside" . }}
{{- end -}}

{{/* dict root, own: an object's annotations, on lines of their own, if it has any. */}}
{{- define "scim-bridge.annotations" -}}
{{- with merge (dict) (.own | default dict) .root.Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* A text as a block of YAML at four blanks, without blanks on its empty lines. */}}
{{- define "scim-bridge.block" -}}
{{- . | trim | indent 4 | replace "\n    \n" "\n\n" -}}
{{- end -}}

{{/* dict root, image, tag: where an image is. `imageRegistry` replaces the registry that a repository begins with. */}}
{{- define "scim-bridge.image" -}}
{{- $repository := .image.repository -}}
{{- with .root.Values.imageRegistry | default (dig "imageRegistry" "" (.root.Values.global | default dict)) -}}
  {{- /* As container engines have it: a first part with a dot or a port, or `localhost`, is a registry. */ -}}
  {{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- if .image.digest -}}
{{ $repository }}@{{ .image.digest }}
{{- else -}}
{{ $repository }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end -}}
