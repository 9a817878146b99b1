{{/*
The alerts, as YAML. Every process reports the figures of the shared store, so those are aggregated by `max`, never
summed; what each process counts for itself is summed. Only a hold on everything silences the alerts on the oldest job:
while hires are held (scope `creates`), updates and leaves go on, and the age does not say which of them is the oldest.
`runbook` is a section of docs/failures.md, or of the page under docs/ that `page` names.
*/}}
{{- define "scim-bridge.alerts" -}}
{{- $of := printf "namespace=%q,job=%q" .Release.Namespace (printf "%s-admin" (include "scim-bridge.fullname" .)) -}}
{{- $rule := .Values.prometheusRule -}}
- alert: ScimBridgeDown
  severity: critical
  for: 5m
  expr: absent(scim_bridge_build_info{ {{- $of -}} })
  summary: No scim-bridge process is seen.
  description: No metrics have arrived for 5 minutes. Either nothing accepts webhooks, or monitoring does not reach the pods.
  runbook: when-nothing-answers
- alert: ScimBridgeNoWorker
  severity: critical
  for: 5m
  expr: |
    sum by (namespace) (max by (namespace, role) (scim_bridge_processes{ {{- $of -}} ,role=~"all|worker"})) == 0
  summary: No process brings people to Postman.
  description: Webhooks are accepted and wait. No process with a worker has a recent heartbeat on this store.
  page: runbook.md
  runbook: work-nobody
- alert: ScimBridgeProblems
  severity: warning
  for: 10m
  expr: max by (namespace) (scim_bridge_problems{ {{- $of -}} }) > 0
  summary: {{ `{{ $value }} things need attention.` | quote }}
  description: '`scim-bridge status` and the console''s first page list them, each with what to do. They are the bridge''s own judgement of all people and of the last minute''s calls and deliveries.'
  page: runbook.md
  runbook: runbook-what-needs-attention-and-what-to-do
- alert: ScimBridgeStoreDown
  severity: critical
  for: 2m
  expr: min by (namespace, pod) (scim_bridge_store_up{ {{- $of -}} }) == 0
  summary: {{ `{{ $labels.pod }} cannot read or write the store.` | quote }}
  description: Webhooks are answered 503 and nothing is brought to Postman. Nothing accepted is lost. The code is in the log and in scim_bridge_store_errors_total.
  runbook: the-store-on-redis-temporary-and-fixed-without-a-restart
- alert: ScimBridgeOldestJob
  severity: warning
  for: 5m
  expr: |
    max by (namespace) (scim_bridge_oldest_due_job_age_seconds{ {{- $of -}} }) > {{ int $rule.oldestJobSeconds }}
    unless max by (namespace) (scim_bridge_hold{ {{- $of -}} ,scope="all"}) == 1
  summary: A job has been due for more than {{ int $rule.oldestJobSeconds }} s.
  description: {{ `The oldest has waited for {{ $value | humanizeDuration }}. Either more arrives than Postman's limit allows, or the workers make no progress, or hires are held (ScimBridgeHold, scope creates).` | quote }}
  runbook: tried-again-automatically
- alert: ScimBridgeNoProgress
  severity: critical
  for: 10m
  expr: |
    max by (namespace) (scim_bridge_oldest_due_job_age_seconds{ {{- $of -}} }) > 300
    unless sum by (namespace) (increase(scim_bridge_job_outcomes_total{ {{- $of -}} }[10m])) > 0
    unless max by (namespace) (scim_bridge_hold{ {{- $of -}} ,scope="all"}) == 1
  summary: Jobs are due, and no worker finishes any.
  description: For 10 minutes no worker has finished a job, while jobs are due and not everything is held. If hires are held (ScimBridgeHold, scope creates), see whether an update or a leave is due.
  runbook: when-nothing-moves
- alert: ScimBridgeDeadLetters
  severity: warning
  for: 5m
  expr: max by (namespace) (scim_bridge_dead_letters{ {{- $of -}} }) > 0
  summary: {{ `{{ $value }} dead letters wait for an operator.` | quote }}
  description: Each blocks one person, whose changes wait, or is a record that could not be mapped; nobody else waits. They heal with HR's next event, a corrected mapping or a replay, and stay until then or until an operator discards them. `scim-bridge dead list` shows the reason for each.
  runbook: dead-letters-one-persons-own-trouble
- alert: ScimBridgeHold
  severity: warning
  for: 10m
  expr: max by (namespace, scope) (scim_bridge_hold{ {{- $of -}} }) == 1
  summary: {{ `A hold is in force (scope {{ $labels.scope }}): people wait.` | quote }}
  description: Nothing is lost. If Postman refuses everyone, a probe lifts the hold automatically once the cause is removed; the guard's holds (deactivations, addresses) and an operator's wait for an operator. `scim-bridge hold show` shows the cause.
  runbook: holds-the-target-refuses-everything
- alert: ScimBridgeKeyRefused
  severity: critical
  for: 5m
  expr: sum by (namespace) (increase(scim_bridge_scim_requests_total{ {{- $of -}} ,status=~"401|403"}[15m])) > 2
  summary: Postman answers 401 or 403.
  description: The SCIM key is refused (expired, revoked, its admin gone), or it lacks a permission.
  runbook: hold-key
- alert: ScimBridgeRateLimited
  severity: warning
  for: 15m
  expr: sum by (namespace) (increase(scim_bridge_scim_requests_total{ {{- $of -}} ,status="429"}[15m])) > 3
  summary: Postman answers 429.
  description: The bridge itself stays below the limit, so something else uses the same team's limit.
  runbook: scim-429
- alert: ScimBridgeSignatureFailures
  severity: warning
  for: 10m
  expr: |
    sum by (namespace, source, reason) (increase(scim_bridge_signature_failures_total{ {{- $of -}} }[1h])) > {{ int $rule.signatureFailuresPerHour }}
  summary: {{ `Webhooks for source {{ $labels.source }} are refused: {{ $labels.reason }}.` | quote }}
  description: A secret or a clock is wrong on one side, or somebody is trying to forge webhooks.
  runbook: when-webhooks-are-refused-with-401
{{- end -}}
