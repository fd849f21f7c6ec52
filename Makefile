# Every target sets up .venv by itself. PYTHON picks the interpreter that makes it,
# VENV another folder for it.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,\
            $(if $(shell command -v $(name) 2>/dev/null),$(name))) python3)
VENV ?= .venv
RUN = $(VENV)/bin/python

.PHONY: book test lint bench retarget clean environment

book: environment  ## execute the chapters and build the HTML book
	@$(RUN) tools/build_book.py

test: environment  ## lint, unit tests, every notebook, the book, a browser
	@$(RUN) tools/test.py

lint: environment  ## style and types only
	@$(RUN) tools/test.py --lint

bench: environment  ## time the banks and the games' steps against plain loops
	@$(RUN) benchmarks/bank.py
	@$(RUN) benchmarks/games.py

retarget: environment  ## make retarget URL=https://github.com/you/your-fork
	@$(RUN) tools/retarget.py "$(URL)"

environment:
	@$(PYTHON) tools/environment.py "$(VENV)"

clean:  ## remove what is built; .venv and data/cache stay
	rm -rf _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	rm -rf book/_static/vendor
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
