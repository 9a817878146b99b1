{{/* The pods of the bridge: the Deployments', and that of `helm test`, which has the same files. */}}

{{- define "scim-bridge.configPath" -}}
/etc/scim-bridge/scim-bridge.toml
{{- end -}}

{{/* How long Kubernetes waits before it kills: the hook, the bridge's own grace, and 5 s to close the store. */}}
{{- define "scim-bridge.terminationGrace" -}}
{{- add (ternary (int .Values.preStopSleepSeconds) 0 (eq (include "scim-bridge.hasSleepHook" .) "true")) (include "scim-bridge.shutdownGrace" . | int) 5 -}}
{{- end -}}

{{- define "scim-bridge.hasSleepHook" -}}
{{- and (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) (gt (int .Values.preStopSleepSeconds) 0) -}}
{{- end -}}

{{/* dict root, component: how many replicas there can be. */}}
{{- define "scim-bridge.replicasMax" -}}
{{- $workload := get .root.Values .component -}}
{{- if $workload.autoscaling.enabled -}}
{{- int $workload.autoscaling.maxReplicas -}}
{{- else if dig "keda" "enabled" false $workload -}}
{{- int $workload.keda.maxReplicas -}}
{{- else -}}
{{- int $workload.replicas -}}
{{- end -}}
{{- end -}}

{{/*
The image sets these three by environment variables, which win over any file: so the file's are said again
in the environment. The URL holds no login (the chart refuses one).
*/}}
{{- define "scim-bridge.env" -}}
{{- $config := include "scim-bridge.config" . | fromYaml -}}
- name: SCIM_BRIDGE_CONFIG
  value: {{ include "scim-bridge.configPath" . }}
- name: SCIM_BRIDGE__SERVER__LISTEN
  value: {{ $config.server.listen | quote }}
- name: SCIM_BRIDGE__SERVER__ADMIN_LISTEN
  value: {{ $config.server.admin_listen | quote }}
- name: SCIM_BRIDGE__STORE__URL
  value: {{ $config.store.url | quote }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "scim-bridge.volumeMounts" -}}
- name: config
  mountPath: {{ dir (include "scim-bridge.configPath" .) }}
  readOnly: true
- name: secrets
  mountPath: {{ include "scim-bridge.secretsPath" . }}
  readOnly: true
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "scim-bridge.volumes" -}}
- name: config
  configMap:
    name: {{ include "scim-bridge.fullname" . }}
- {{ include "scim-bridge.secretsVolume" . | nindent 2 | trim }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What every pod of the chart has in common. */}}
{{- define "scim-bridge.podBasics" -}}
serviceAccountName: {{ include "scim-bridge.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* dict root, component: where the pods of a component go. */}}
{{- define "scim-bridge.placement" -}}
{{- $values := .root.Values -}}
{{- $workload := get $values .component -}}
{{- $labels := printf "%s\napp.kubernetes.io/component: %s" (include "scim-bridge.selectorLabels" .root) .component | fromYaml -}}
{{- with $workload.nodeSelector | default $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $workload.tolerations | default $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $workload.priorityClassName | default $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if $workload.affinity }}
affinity:
  {{- toYaml $workload.affinity | nindent 2 }}
{{- else if eq $workload.podAntiAffinity "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- toYaml $labels | nindent 12 }}
{{- else if eq $workload.podAntiAffinity "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- toYaml $labels | nindent 14 }}
{{- end }}
{{- if $workload.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: {{ $workload.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- toYaml $labels | nindent 8 }}
    # Each rollout's pods by themselves: the old ones are about to go.
    matchLabelKeys:
      - pod-template-hash
  {{- end }}
{{- end }}
{{- end -}}
