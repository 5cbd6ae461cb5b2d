#!/bin/sh
# Rewrites everything that is made from something else: deep copies and CRDs from the Go types of
# api/, Go code from the .proto files. Needs Go and Python 3 with pip (for protoc).
set -eu
cd "$(dirname "$0")/../.."
export CGO_ENABLED=0
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
(cd tools/generate && GOBIN=$bin go install sigs.k8s.io/controller-tools/cmd/controller-gen \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc)
"$bin/controller-gen" object paths=./api/...
"$bin/controller-gen" crd:maxDescLen=2048 paths=./api/v1alpha1/... output:crd:dir=api/crd/isthmus
python3 -m venv "$bin/venv"
"$bin/venv/bin/pip" install --quiet --disable-pip-version-check grpcio-tools==1.80.0
for proto in feed/feedpb/feed.proto machine/machinepb/machine.proto; do
	PATH=$bin:$PATH "$bin/venv/bin/python" -m grpc_tools.protoc -I. \
		--go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative $proto
done
gateway=$(go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)
mkdir -p api/crd/gateway
for kind in gatewayclasses gateways httproutes grpcroutes tlsroutes tcproutes referencegrants; do
	install -m 0644 "$gateway/config/crd/standard/gateway.networking.k8s.io_$kind.yaml" api/crd/gateway/
done
