# What the project's people type. Users need none of it: go build, go test.

.PHONY: build test bench lint generate fuzz fuzz-readers kill-check soak-check ci gpu-check

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

EXECS ?= 1000000
fuzz-readers: # what reads files, each as many executions; hours. FUZZ_ONLY='train/data ' takes some
	FUZZ_EXECS=$(EXECS) FUZZ_ONLY='$(or $(FUZZ_ONLY),^(internal|nn|diffusion|train|tensor/gorgonia)[/ ])' .ci/run fuzz

kill-check: # 200 kill -9 of real runs, at chosen moments, resumed and compared byte for byte; KILL='-kills 50'
	go run ./internal/killcheck $(KILL)

soak-check: # what a process holds that trains, samples and saves for long; SOAK='-for 15m'
	go run ./internal/soakcheck -for 2h $(SOAK)

ci: # all that must hold
	.ci/run

gpu-check: # what a GPU does, as a report; CHECK='--out report.md --peer venv/bin/python'
	go run ./internal/gpucheck $(CHECK)
