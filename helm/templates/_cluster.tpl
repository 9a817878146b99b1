{{/*
What is in the cluster already, by `lookup`: nothing on the first install, and nothing wherever Helm only renders
(`helm template`, and GitOps tools that use it). Everything here must work without it, too.
*/}}

{{/*
The Deployments of this release, as YAML: by component `replicas`, `ready`, whether the Service's label is on
their pods, and the name of their ConfigMap. Looked up once.
*/}}
{{- define "scim-bridge.deployed" -}}
{{- if not (hasKey .Values "_deployed") -}}
  {{- $deployed := dict -}}
  {{- range $component := list "all" "intake" "worker" -}}
    {{- $it := lookup "apps/v1" "Deployment" $.Release.Namespace (include "scim-bridge.workloadName" (dict "root" $ "component" $component)) -}}
    {{- if $it -}}
      {{- $template := $it.spec.template -}}
      {{- $config := "" -}}
      {{- range $volume := $template.spec.volumes -}}
        {{- if eq $volume.name "config" -}}{{- $config = dig "configMap" "name" "" $volume -}}{{- end -}}
      {{- end -}}
      {{- $labelled := hasKey ($template.metadata.labels | default dict) (include "scim-bridge.webhooksLabel" $) -}}
      {{- $_ := set $deployed $component (dict "replicas" ($it.spec.replicas | default 0 | int) "ready" (dig "readyReplicas" 0 ($it.status | default dict) | int) "labelled" $labelled "config" $config) -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set .Values "_deployed" $deployed -}}
{{- end -}}
{{- toYaml .Values._deployed -}}
{{- end -}}

{{/*
The components of the other mode, while those of the wanted one are not ready: a change of `mode` takes two upgrades,
so that webhooks are accepted throughout. The first adds the new pods, the second removes the old ones.
*/}}
{{- define "scim-bridge.outgoingComponents" -}}
{{- $deployed := include "scim-bridge.deployed" . | fromYaml -}}
{{- $wanted := include "scim-bridge.wantedComponents" . | splitList "," -}}
{{- $ready := true -}}
{{- range $component := $wanted -}}
  {{- $it := get $deployed $component | default dict -}}
  {{- if or (not $it) (and (gt (int $it.replicas) 0) (lt (int $it.ready) 1)) -}}{{- $ready = false -}}{{- end -}}
{{- end -}}
{{- $outgoing := list -}}
{{- if and (not $ready) (eq .Values.store "redis") -}}
  {{- range $component, $_ := $deployed -}}
    {{- if not (has $component $wanted) -}}{{- $outgoing = append $outgoing $component -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- $outgoing | join "," -}}
{{- end -}}

{{/* What the Service for webhooks selects. Pods of an earlier chart, which have no such label, are still selected by their component. */}}
{{- define "scim-bridge.webhooksSelector" -}}
{{- include "scim-bridge.selectorLabels" . }}
{{- $unlabelled := "" -}}
{{- range $component, $it := include "scim-bridge.deployed" . | fromYaml -}}
  {{- if and (ne $component "worker") (not $it.labelled) -}}{{- $unlabelled = $component -}}{{- end -}}
{{- end }}
{{- if $unlabelled }}
app.kubernetes.io/component: {{ $unlabelled }}
{{- else }}
{{ include "scim-bridge.webhooksLabel" . }}: "true"
{{- end }}
{{- end -}}

{{/*
dict root, component: how many replicas to ask for; empty: the number is left out. If a scaler decides, the number is that
in the cluster: leaving out one that was set before would reset it to 1 until the scaler has looked.
*/}}
{{- define "scim-bridge.replicas" -}}
{{- $workload := get .root.Values .component -}}
{{- if or $workload.autoscaling.enabled (dig "keda" "enabled" false $workload) -}}
  {{- $it := get (include "scim-bridge.deployed" .root | fromYaml) .component -}}
  {{- if $it -}}{{- int $it.replicas -}}{{- end -}}
{{- else -}}
  {{- int $workload.replicas -}}
{{- end -}}
{{- end -}}

{{/*
The prefix of the keys in Redis. It contains the namespace and the release, since two releases on one Redis are two
stores. An installed release keeps its prefix, which is read from the configuration that its Deployments name.
*/}}
{{- define "scim-bridge.keyPrefix" -}}
{{- if not (hasKey .Values "_keyPrefix") -}}{{- $_ := set .Values "_keyPrefix" (include "scim-bridge.findKeyPrefix" .) -}}{{- end -}}
{{- .Values._keyPrefix -}}
{{- end -}}

{{- define "scim-bridge.findKeyPrefix" -}}
{{- $toml := "" -}}
{{- range $component, $it := include "scim-bridge.deployed" . | fromYaml -}}
  {{- if and (not $toml) $it.config -}}
    {{- $found := lookup "v1" "ConfigMap" $.Release.Namespace $it.config -}}
    {{- if $found -}}{{- $toml = get ($found.data | default dict) "scim-bridge.toml" | default "" -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- if and $toml (not (regexMatch "(?m)^url = \"embedded:" $toml)) -}}
  {{- /* A configuration without a prefix used the program's default. */ -}}
  {{- regexReplaceAll "^key_prefix = \"(.*)\"$" (regexFind "(?m)^key_prefix = \".*\"$" $toml) "${1}" | default "scim-bridge" -}}
{{- else -}}
  {{- $whole := printf "scim-bridge:%s:%s" .Release.Namespace .Release.Name -}}
  {{- /* The program accepts at most 64 characters. */ -}}
  {{- if gt (len $whole) 64 -}}{{- $whole = printf "%s-%s" (trunc 51 $whole) (sha256sum $whole | trunc 12) -}}{{- end -}}
  {{- $whole -}}
{{- end -}}
{{- end -}}

{{/*
dict root, names, key: what is under that key of the first of these Secrets that is in the cluster, else a new random
text, in base64.
*/}}
{{- define "scim-bridge.keptOrNew" -}}
{{- $kept := "" -}}
{{- range $name := .names -}}
  {{- if not $kept -}}
    {{- $found := lookup "v1" "Secret" $.root.Release.Namespace $name -}}
    {{- if $found -}}{{- $kept = get ($found.data | default dict) $.key | default "" -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- $kept | default (randAlphaNum 40 | b64enc) -}}
{{- end -}}

{{/*
ConfigMaps and Secrets of earlier revisions that pods of this release may still be started with, as a YAML list of `kind`
and `name`. They stay part of the release as long as a ReplicaSet, current or old, names them, so that an old pod that is
recreated, or a rollout that is undone, finds what it was started with.
(`helm.sh/resource-policy: keep` would not do: Helm refuses to roll back onto an object that is there and is not in
the current manifest.)
*/}}
{{- define "scim-bridge.stillRead" -}}
{{- $own := dict -}}
{{- range list (include "scim-bridge.configName" .) (include "scim-bridge.valuesSecretName" .) (include "scim-bridge.tokenSecretName" .) (include "scim-bridge.testTokenSecretName" .) (include "scim-bridge.valkeyConfigName" .) (include "scim-bridge.valkeySecretName" .) -}}
  {{- $_ := set $own . true -}}
{{- end -}}
{{- $specs := list -}}
{{- range $set := (lookup "apps/v1" "ReplicaSet" .Release.Namespace "").items -}}
  {{- $labels := $set.metadata.labels | default dict -}}
  {{- if eq (get $labels "app.kubernetes.io/instance") $.Release.Name -}}
    {{- $specs = append $specs $set.spec.template.spec -}}
  {{- end -}}
{{- end -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace (include "scim-bridge.valkeyName" .) -}}
  {{- $specs = append $specs .spec.template.spec -}}
{{- end -}}
{{- $named := dict -}}
{{- range $spec := $specs -}}
  {{- range $volume := $spec.volumes -}}
    {{- with dig "configMap" "name" "" $volume -}}{{- $_ := set $named (printf "ConfigMap/%s" .) true -}}{{- end -}}
    {{- with dig "secret" "secretName" "" $volume -}}{{- $_ := set $named (printf "Secret/%s" .) true -}}{{- end -}}
    {{- range $source := dig "projected" "sources" list $volume -}}
      {{- with dig "secret" "name" "" $source -}}{{- $_ := set $named (printf "Secret/%s" .) true -}}{{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $still := list -}}
{{- range $key, $_ := $named -}}
  {{- $kind := dir $key -}}
  {{- $name := base $key -}}
  {{- /* Only what this chart makes, by its names and those that earlier ones gave: all else is the user's. */ -}}
  {{- $ours := printf "^%s(-(config|secrets|valkey)-[0-9a-f]{10}|-admin-token|-test-token|-generated|-valkey|-valkey-password)?$" (include "scim-bridge.fullname" $) -}}
  {{- if and (regexMatch $ours $name) (not (hasKey $own $name)) -}}
    {{- with lookup "v1" $kind $.Release.Namespace $name -}}
      {{- $made := .metadata.annotations | default dict -}}
      {{- if and (eq (get $made "meta.helm.sh/release-name" | default "") $.Release.Name) (eq (get $made "meta.helm.sh/release-namespace" | default "") $.Release.Namespace) -}}
        {{- $still = append $still (dict "kind" $kind "name" $name "immutable" (.immutable | default false) "type" (.type | default "") "data" (.data | default dict)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toYaml $still -}}
{{- end -}}
