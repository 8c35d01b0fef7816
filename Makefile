# What the project's people type. Users need none of it: go build, go test.

.PHONY: build test bench lint generate fuzz ci gpu-check

build: # the command, in the current folder
	go build -o langevin ./cmd/langevin

test:
	go test ./...

bench: # times of the kernels and of whole training steps
	go test -run '^$$' -bench . ./tensor/cpu
	go run ./cmd/langevin bench

lint:
	.ci/run gofmt vet staticcheck

generate: # assembly, from its own module, and documents
	cd internal/asmgen && go generate ./...
	go generate ./...

fuzz: # every target for some seconds
	.ci/run fuzz

ci: # all that must hold
	.ci/run

gpu-check: # what a GPU does, as a report; CHECK='--out report.md --peer venv/bin/python'
	go run ./internal/gpucheck $(CHECK)
