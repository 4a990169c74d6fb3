{{/* Name of the Deployment and of what belongs to it. */}}
{{- define "rhea.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if hasSuffix "operator" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-operator" (.Release.Name | trunc 54 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Name of what has no namespace: two releases of one name in two namespaces do not meet. */}}
{{- define "rhea.clusterWideName" -}}
{{- printf "%s-%s" .Release.Namespace (include "rhea.fullname" .) -}}
{{- end -}}

{{/* Labels that choose the operator's pods. The policies of the clusters know the operator by the name, so it is always the same. */}}
{{- define "rhea.selectorLabels" -}}
app.kubernetes.io/name: rhea-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rhea.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{ include "rhea.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: rhea
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "rhea.image" -}}
{{- $name := .Values.image.repository -}}
{{- if .Values.image.registry -}}
{{- $name = printf "%s/%s" (.Values.image.registry | trimSuffix "/") $name -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "rhea.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "rhea.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* The restricted profile, for a container. */}}
{{- define "rhea.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The restricted profile, for a pod. */}}
{{- define "rhea.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What the operator does in the namespaces of clusters. */}}
{{- define "rhea.namespacedRules" -}}
- apiGroups: [rheakv.io]
  resources: [rheaclusters]
  verbs: [get, list, watch]
- apiGroups: [rheakv.io]
  resources: [rheastores]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [rheakv.io]
  resources: [rheaclusters/status, rheastores/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods, persistentvolumeclaims, services, secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What it reads of things that have no namespace. */}}
{{- define "rhea.clusterWideRules" -}}
- apiGroups: [""]
  resources: [nodes, persistentvolumes]
  verbs: [get, list, watch]
- apiGroups: [storage.k8s.io]
  resources: [storageclasses]
  verbs: [get, list, watch]
{{- end -}}
