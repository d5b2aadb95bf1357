{{- define "ocm-gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ocm-gateway.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "ocm-gateway.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ocm-gateway.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ocm-gateway.selector" -}}
app.kubernetes.io/name: {{ include "ocm-gateway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ocm-gateway.labels" -}}
{{ include "ocm-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ocm-gateway.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ocm-gateway.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ocm-gateway.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The name of the Secret that is mounted, or nothing. */}}
{{- define "ocm-gateway.secret" -}}
{{- if .Values.secrets.existingSecret -}}
{{- .Values.secrets.existingSecret -}}
{{- else if .Values.secrets.files -}}
{{- include "ocm-gateway.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* "true" when the state is in PostgreSQL, shared by all replicas. */}}
{{- define "ocm-gateway.shared" -}}
{{- $state := default dict .Values.config.state -}}
{{- if hasPrefix "postgresql" (default "" $state.database) -}}true{{- end -}}
{{- end -}}

{{/* The host of the public origin, without its port. */}}
{{- define "ocm-gateway.host" -}}
{{- $origin := required "config.public.origin has to be set" (default dict .Values.config.public).origin -}}
{{- regexReplaceAll ":[0-9]+$" (urlParse $origin).host "" -}}
{{- end -}}

{{/* The configuration file: the operator's settings, and what the pod decides. */}}
{{- define "ocm-gateway.config" -}}
{{- $own := dict "public" (dict "listen" "0.0.0.0:8080") "management" (dict "listen" "0.0.0.0:8081") "state" (dict "folder" "/var/lib/ocm-gateway") -}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end -}}

{{- define "ocm-gateway.check" -}}
{{- if and (not (include "ocm-gateway.shared" .)) (or (gt (int .Values.replicas) 1) .Values.autoscaling.enabled) -}}
{{- fail "more than one replica needs PostgreSQL: SQLite is one process's file. Set config.state.database to postgresql://..., or replicas to 1." -}}
{{- end -}}
{{- if and (eq .Values.mode "sidecar") (not .Values.sidecar.container) -}}
{{- fail "mode sidecar needs sidecar.container: the storage that runs beside the gateway" -}}
{{- end -}}
{{- if and (include "ocm-gateway.shared" .) (not (default dict .Values.config.state).key_file) -}}
{{- fail "with PostgreSQL all replicas need the same key: put it into a Secret and set config.state.key_file" -}}
{{- end -}}
{{- end -}}

{{- define "ocm-gateway.container" -}}
name: gateway
image: {{ include "ocm-gateway.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/ocm-gateway/config/gateway.yaml]
ports:
  - {name: public, containerPort: 8080}
  - {name: management, containerPort: 8081}
{{- with .Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
startupProbe:
  httpGet: {path: /startupz, port: management}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: management}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: management}
  periodSeconds: 5
  timeoutSeconds: 5
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: config, mountPath: /etc/ocm-gateway/config, readOnly: true}
  {{- if include "ocm-gateway.secret" . }}
  - {name: secrets, mountPath: /etc/ocm-gateway/secrets, readOnly: true}
  {{- end }}
  - {name: state, mountPath: /var/lib/ocm-gateway}
  - {name: tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
