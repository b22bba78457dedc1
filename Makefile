# `make demo` and `make test` do all their own set-up in .venv; PYTHON names the interpreter to build it with.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
QUICK := not slow and not integration
# Compiled tests are kept, since each process would compile all of them again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test integration slow test-numerics style quality docs wordnet test-oldest test-latest clean

demo: wordnet
	$(BIN)/python examples/demo.py

# The quick tests, on all cores. Idle workers take tests from busy ones.
test: $(INSTALLED)
	$(BIN)/python -m pytest -m "$(QUICK)" -n auto --dist worksteal

# Tests that start other processes, and the pages of the docs, the examples and the benchmarks. Files stay whole, since one
# launch serves many tests.
integration: $(INSTALLED)
	$(BIN)/python -m pytest -m "integration and not slow" -n auto --dist loadfile

# No test may depend on the last bits of floating point: the quick tests with other kernels, threads and initial weights.
# Threads that wait sleep, since workers share the cores.
test-numerics: $(INSTALLED)
	@set -e; for setting in ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=COMPATIBLE MKL_CBWR=AVX2 \
			"OMP_WAIT_POLICY=PASSIVE --num_threads 2" "OMP_WAIT_POLICY=PASSIVE --perturb_weights 1e-6"; do \
		echo "$$setting"; \
		env $${setting%% *} $(BIN)/python -m pytest -q -m "$(QUICK)" -n auto --dist worksteal $$(echo "$$setting " | cut -d" " -f2-); \
	done

slow: wordnet
	$(BIN)/python -m pytest -m slow

style: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

quality: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in site/: every link has to lead somewhere, and nothing is fetched.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

wordnet: $(INSTALLED)
	$(BIN)/python -m augment download

# Debian keeps ensurepip, which gives a new environment its pip, in the package python3-venv. Where that is missing, pip
# comes from Debian's wheel of it, which can be unpacked without root.
define new_environment
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 10) or sys.exit(f"$(PYTHON) is Python {v}; expected 3.10 or later. Name another one: make PYTHON=python3.11")'
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(1); \
	else \
		echo "$(PYTHON) has no ensurepip; taking pip from the package python3-pip-whl"; \
		$(PYTHON) -m venv --without-pip $(1) && \
		(cd $(1) && (apt-get download python3-pip-whl || (apt-get update && apt-get download python3-pip-whl)) && \
		dpkg-deb -x python3-pip-whl_*.deb debian && \
		PYTHONPATH=$$(echo debian/usr/share/python-wheels/pip-*.whl) bin/python -m pip install pip) || \
		{ echo "No pip could be had. Install it with: sudo apt-get install python3-venv"; exit 1; }; \
	fi
endef

$(INSTALLED): requirements.txt
	$(call new_environment,.venv)
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

.PRECIOUS: .venv-%/installed
# The quick and the integration tests with the oldest and the newest set of packages, each in an environment of its own of some gigabytes.
.venv-%/installed: tests/constraints/%.txt
	$(call new_environment,.venv-$*)
	.venv-$*/bin/python -m pip install --disable-pip-version-check -r $<
	@touch $@

test-oldest test-latest: test-%: .venv-%/installed
	.venv-$*/bin/python -m pytest -m "not slow"

clean:
	rm -rf .venv .venv-* outputs site
