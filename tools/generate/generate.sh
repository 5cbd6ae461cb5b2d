#!/bin/sh
# Rewrites everything that is made from something else: deep copies, CRDs and OpenAPI from the
# Go types of api/, Go code from the .proto files. Needs Go and Python 3 with pip (for protoc).
set -eu
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd tools/generate && GOBIN=$bin go install ./prune k8s.io/kube-openapi/cmd/openapi-gen sigs.k8s.io/controller-tools/cmd/controller-gen \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc)
"$bin/controller-gen" object paths=./api/...
"$bin/controller-gen" crd:maxDescLen=2048 paths=./api/v1alpha1/... output:crd:dir=api/crd/isthmus
served=$(printf 'k8s.io/api/%s/v1 ' core coordination events authentication authorization admissionregistration)
served="$served k8s.io/apimachinery/pkg/apis/meta/v1"
"$bin/openapi-gen" --go-header-file /dev/null --report-filename /dev/null --output-model-name-file zz_generated.model_name.go \
	--output-dir hub/apiserver/openapi --output-pkg github.com/isthmus-mesh/isthmus/hub/apiserver/openapi \
	--output-file zz_generated.openapi.go $(printf -- '--readonly-pkg %s ' $served) ./api/view/v1alpha1 $served
"$bin/prune" hub/apiserver/openapi/zz_generated.openapi.go 'github.com/isthmus-mesh/isthmus/api/view/v1alpha1.*' \
	$(printf 'k8s.io/api/core/v1.%sList ' Namespace Secret ConfigMap ServiceAccount Event) \
	k8s.io/api/coordination/v1.LeaseList k8s.io/api/events/v1.EventList k8s.io/api/authentication/v1.SelfSubjectReview \
	'k8s.io/api/authorization/v1.*' 'k8s.io/api/admissionregistration/v1.*'
python3 -m venv "$bin/venv"
"$bin/venv/bin/pip" install --quiet --disable-pip-version-check grpcio-tools==1.80.0
for proto in feed/feedpb/feed.proto machine/machinepb/machine.proto machine/machinepb/edges.proto examples/shop/ratespb/rates.proto; do
	PATH=$bin:$PATH "$bin/venv/bin/python" -m grpc_tools.protoc -I. \
		--go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative $proto
done
gateway=$(go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)
mkdir -p api/crd/gateway
for kind in gatewayclasses gateways httproutes grpcroutes tlsroutes tcproutes referencegrants; do
	install -m 0644 "$gateway/config/crd/standard/gateway.networking.k8s.io_$kind.yaml" api/crd/gateway/
done
istio=$(go list -m -f '{{.Dir}}' istio.io/api)
mkdir -p api/crd/istio
for kind in networking.istio.io_virtualservices networking.istio.io_destinationrules networking.istio.io_serviceentries \
	security.istio.io_authorizationpolicies security.istio.io_requestauthentications security.istio.io_peerauthentications; do
	awk -v RS='---\n' -v name="  name: ${kind#*_}.${kind%%_*}\n" 'index($0, name)' \
		"$istio/kubernetes/customresourcedefinitions.gen.yaml" >"api/crd/istio/$kind.yaml"
done
