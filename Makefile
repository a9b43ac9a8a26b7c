# Everything that a developer or CI does, by one name each.
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: serve test check docs pythons format bench fuzz dist clean

serve: $(VENV)/.serve ## the gateway on its embedded defaults, at http://127.0.0.1:8080/
	$(BIN)/mod-progress serve

test: check ## style and types, the whole suite with coverage by branch, and other Pythons
	scripts/system-packages nginx libnginx-mod-http-uploadprogress apache2 apache2-utils \
		libapache2-mod-upload-progress php-fpm redis-server chromium libjs-prototype curl openssl \
		iptables iproute2 tmux systemd prometheus
	command -v npm >/dev/null || scripts/system-packages npm
	scripts/test $(BIN)
	scripts/pythons $(VENV)/pythons

check: $(VENV)/.test ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	scripts/types-on-windows $(BIN)

docs: $(VENV)/.docs ## the documentation site, in site/; a dead link fails
	$(BIN)/python scripts/site.py site

pythons: ## the core's tests on each other Python, and with the lowest versions of dependencies
	scripts/system-packages redis-server openssl
	scripts/pythons $(VENV)/pythons

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## the lookup table, and the gateway beside its peers: ten minutes
	scripts/system-packages gcc libc6-dev nginx-light libnginx-mod-http-uploadprogress haproxy \
		apache2 libapache2-mod-upload-progress
	$(BIN)/python bench/table.py
	$(BIN)/python bench/gateway.py --write bench

FUZZ_SECONDS ?= 30

fuzz: $(VENV)/.test ## each property of fuzz/ for so many seconds; its file's first line tells it
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/pytest -o timeout=0 fuzz

dist: $(VENV)/.test ## what a release uploads: the wheel and the source, checked
	rm -rf dist
	$(BIN)/python -m hatchling build --directory dist
	$(BIN)/twine check --strict dist/*

clean:
	rm -rf $(VENV) build dist site .coverage* .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	python3 -m venv $(VENV)

$(VENV)/.serve: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all]'
	touch $@

$(VENV)/.docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all,docs]'
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[all,docs,test]'
	touch $@ $(VENV)/.serve $(VENV)/.docs
