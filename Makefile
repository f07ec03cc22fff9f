# The version is read where the image reads it, so that the command and the image cannot disagree.
VERSION := $(shell sed -n 's/^version: //p' images/node/node.yaml)
BRONZE := bin/bronze
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64
LINT := build/tools/golangci-lint
# Packages with tests that need the node image and an engine are behind the build tag e2e.
E2E := -tags e2e -count 1 -timeout 60m -v -p 1 ./test/e2e ./test/compat
BENCH_RUNS ?= 5
FUZZ_TIME ?= 60s

.DEFAULT_GOAL := help
.PHONY: help up setup build image test unit e2e fuzz bench lint cross clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

up: image ## set this host up, build what is not built, and create a cluster
	$(BRONZE) cluster create
	@bin/kubectl get nodes -o wide
	@echo "Use it: bin/kubectl get pods -A    Take it away: $(BRONZE) cluster destroy"

setup: ## install what the build needs and start a Docker engine where none answers
	@hack/setup

build: setup ## build bin/bronze
	@hack/build $(BRONZE) ./cmd/bronze

image: build ## build the node image, load it into the engine, and bin/kubectl
	$(BRONZE) image build
	@hack/kubectl

test: image unit e2e ## run every test; sets the host up as up does

unit: ## run the tests that need no node
	go test ./...

e2e: image ## run the tests that make real clusters
	go test $(E2E)

fuzz: setup ## run every fuzz test for FUZZ_TIME, 60s if unset
	hack/fuzz $(FUZZ_TIME)

bench: image ## measure create, destroy, memory and size; table on stdout, JSON in build/bench.json
	go run ./test/bench -runs $(BENCH_RUNS) -json build/bench.json

lint: $(LINT) ## check style and common mistakes
	$(LINT) run ./...
	@cd images/components && test -z "$$(gofmt -l . | tee /dev/stderr)"

$(LINT): hack/tools/go.mod hack/tools/go.sum
	go -C hack/tools build -o ../../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

cross: ## build the command for every platform that it supports
	@set -e; for platform in $(PLATFORMS); do \
		echo "cross: $$platform"; \
		GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 \
			go build -trimpath -ldflags '-s -w' -o build/cross/bronze-$${platform%/*}-$${platform#*/} ./cmd/bronze; \
	done

clean: ## remove what was built here; clusters, the engine and its images stay
	rm -rf bin build
