#!/usr/bin/env bash
# Sets everything up and checks everything: ruff, mypy, shellcheck, pytest.
# Usage: bash scripts/run_tests.sh [pytest arguments]    -m "not slow" leaves out the tests that take long
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

use_environment requirements.txt requirements-dev.txt
cd "$PROJECT_DIR"

ruff check .
mypy
shellcheck scripts/*.sh scripts/lib/*.sh ascend310_infer/build.sh .ci/run
exec python -m pytest "$@"
