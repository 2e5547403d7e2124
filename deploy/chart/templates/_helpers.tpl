{{- define "idp.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "idp.selector" -}}
app.kubernetes.io/name: idp
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "idp.labels" -}}
{{ include "idp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "idp.image" -}}
{{- $repository := required "image.repository is required" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "idp.environment" -}}
{{- $_ := required "settings.IDP_PUBLIC_URL is required" .Values.settings.IDP_PUBLIC_URL -}}
{{- $several := or (gt (int .Values.server.replicas) 1) (gt (int .Values.server.workers) 1) .Values.autoscaling.enabled -}}
{{- if and $several (not .Values.secret.keys.IDP_REDIS_URL) -}}
{{ fail "several pods or processes need shared counters: name a key for IDP_REDIS_URL in secret.keys" }}
{{- end -}}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $name, $key := .Values.secret.keys }}
- name: {{ $name }}_FILE
  value: /run/secrets/idp/{{ $key }}
{{- end }}
{{- /* Not the mounted folder itself, which belongs to root and is open to others. */}}
- name: IDP_DATA_DIR
  value: /data/idp
{{- end }}

{{- define "idp.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  - name: secret
    secret:
      secretName: {{ required "secret.name is required" .Values.secret.name }}
      defaultMode: 0440
  - name: tmp
    emptyDir:
      sizeLimit: 256Mi
  - name: data
    {{- if .Values.data.existingClaim }}
    persistentVolumeClaim:
      claimName: {{ .Values.data.existingClaim }}
    {{- else }}
    emptyDir:
      sizeLimit: 1Gi
    {{- end }}
{{- end }}

{{- define "idp.container" -}}
image: {{ include "idp.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: secret
    mountPath: /run/secrets/idp
    readOnly: true
  - name: tmp
    mountPath: /tmp
  - name: data
    mountPath: /data
{{- end }}

{{- define "idp.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "idp.selector" $ | nindent 8 }}
        app.kubernetes.io/component: server
  {{- end }}
{{- end }}
