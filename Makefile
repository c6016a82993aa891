bin := .venv/bin

.PHONY: run test lint format docs bench dist clean

run:            # prepare this machine, then open the window, or audit where there is no screen
	@.ci/prepare run
	@.ci/start

test:           # all tests; needs no screen
	@.ci/prepare dev
	@PYTHONDONTWRITEBYTECODE= $(bin)/python -m pytest -n auto --dist worksteal    # else each process compiles anew

lint:
	@.ci/prepare dev
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	for system in linux win32 darwin; do $(bin)/mypy --platform $$system || exit; done
	$(bin)/mypy tests .ci/*.py .packaging/*.py
	$(bin)/lint-imports

format:
	@.ci/prepare dev
	$(bin)/ruff check --fix-only .
	$(bin)/ruff format .

docs:           # the page of the terminal, from the commands
	@.ci/prepare dev
	@$(bin)/python .packaging/documents.py

bench:          # measure; docs/performance.md says what, and how its table is written anew
	@.ci/prepare dev
	@$(bin)/python tests/bench/measure.py --json docs/performance.json

dist:           # wheel, sdist and the bundles of this system, into dist
	@.ci/prepare dist
	@$(bin)/python .packaging/build.py
	@$(bin)/python .packaging/try.py

clean:
	rm -rf .venv .demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find core gui resources tests -name __pycache__ -prune -exec rm -rf {} +
