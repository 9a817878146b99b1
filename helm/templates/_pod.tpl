{{/* The pods of the bridge: the Deployments', and that of `helm test`, which has the same files. */}}

{{- define "scim-bridge.configPath" -}}
/etc/scim-bridge/scim-bridge.toml
{{- end -}}

{{/* How long Kubernetes waits before it kills: the hook, the bridge's own grace, and 5 s to close the store. */}}
{{- define "scim-bridge.terminationGrace" -}}
{{- add (ternary (int .Values.preStopSleepSeconds) 0 (eq (include "scim-bridge.hasSleepHook" .) "true")) (include "scim-bridge.shutdownGrace" . | int) 5 -}}
{{- end -}}

{{/* Not with the embedded store: no other pod serves meanwhile, and the next one waits for the store. */}}
{{- define "scim-bridge.hasSleepHook" -}}
{{- and (ne .Values.store "embedded") (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) (gt (int .Values.preStopSleepSeconds) 0) -}}
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

{{/* dict root, files: the configuration, and these of the secrets. */}}
{{- define "scim-bridge.volumes" -}}
- name: config
  configMap:
    name: {{ include "scim-bridge.configName" .root }}
- {{ include "scim-bridge.secretsVolume" .files | nindent 2 | trim }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
dict root, args, mounts, volumes: the spec of a pod that runs one command of the bridge and ends, for a Job of yours
(docs/deploy.md). It has every secret; what else it mounts is yours to say.
*/}}
{{- define "scim-bridge.commandPod" -}}
{{- include "scim-bridge.podBasics" .root }}
{{ include "scim-bridge.podExtras" .root }}
restartPolicy: Never
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: scim-bridge
    image: {{ include "scim-bridge.image" (dict "root" .root "image" .root.Values.image "tag" .root.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args:
      {{- toYaml .args | nindent 6 }}
    env:
      {{- include "scim-bridge.env" .root | nindent 6 }}
    {{- with .root.Values.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    terminationMessagePolicy: FallbackToLogsOnError
    resources:
      requests:
        cpu: 100m
        memory: 128Mi
      limits:
        memory: 512Mi
    securityContext:
      {{- toYaml .root.Values.containerSecurityContext | nindent 6 }}
    volumeMounts:
      {{- include "scim-bridge.volumeMounts" .root | nindent 6 }}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "scim-bridge.volumes" (dict "root" .root "files" (include "scim-bridge.secretFiles" .root | fromYamlArray)) | nindent 2 }}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
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

{{/* What else a pod of the bridge's may be given. */}}
{{- define "scim-bridge.podExtras" -}}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
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
