{{/* What an EnvoyFilter applies to, as fields of its spec; nothing for the sidecars of the namespace. */}}
{{- define "split.workload" -}}
{{- if eq .Values.at "gateway" -}}
workloadSelector: { labels: { istio: {{ .Values.ingress | quote }} } }
{{- else if eq .Values.at "gateway-api" -}}
workloadSelector: { labels: { gateway.networking.k8s.io/gateway-name: {{ .Values.gateway | quote }} } }
{{- else if eq .Values.at "waypoint" -}}
targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: {{ .Values.waypoint | quote }} } ]
{{- end -}}
{{- end -}}

{{/* The side of the proxies that an EnvoyFilter patches. */}}
{{- define "split.context" -}}
{{- if hasPrefix "gateway" .Values.at -}} GATEWAY
{{- else if eq .Values.at "waypoint" -}} SIDECAR_INBOUND
{{- else -}} SIDECAR_OUTBOUND
{{- end -}}
{{- end -}}

{{/* The virtual host with the routes: its name has the port of the service, or of the gateway. */}}
{{- define "split.vhost" -}}
{{- if hasPrefix "gateway" .Values.at -}} {{ .Values.hostname }}:80
{{- else -}} {{ .Values.service.host }}:{{ .Values.service.port }}
{{- end -}}
{{- end -}}

{{/* The filter's configuration. */}}
{{- define "split.configuration" -}}
{{- $values := .Values -}}
{{- $own := dict "rules" "rules" "variants" "variants" "variantHeader" "headers.variant"
    "clusterHeader" "headers.cluster" "pointHeader" "headers.point" -}}
{{- range $field, $value := $own -}}
{{- if hasKey ($values.configuration | default dict) $field -}}
{{- fail (printf "configuration.%s: it belongs into the value %s of the chart" $field $value) -}}
{{- end -}}
{{- end -}}
{{- $configuration := dict "rules" .Values.rules -}}
{{- if eq .Values.route "route-weights" -}}
{{- $_ := set $configuration "pointHeader" .Values.headers.point -}}
{{- else -}}
{{- $variants := dict -}}
{{- range .Values.variants -}}
{{- $variant := dict -}}
{{- if eq $values.route "cluster-header" -}}
{{- $port := toString $values.service.port -}}
{{- $_ := set $variant "cluster" (printf "outbound|%s|%s|%s" $port .name $values.service.host) -}}
{{- end -}}
{{- $_ := set $variants .name $variant -}}
{{- end -}}
{{- $_ := set $configuration "variants" $variants -}}
{{- $_ := set $configuration "variantHeader" .Values.headers.variant -}}
{{- end -}}
{{- if eq .Values.route "cluster-header" -}}
{{- $_ := set $configuration "clusterHeader" .Values.headers.cluster -}}
{{- end -}}
{{- merge $configuration (.Values.configuration | default dict) | toYaml -}}
{{- end -}}
