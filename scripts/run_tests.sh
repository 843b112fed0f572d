#!/usr/bin/env bash
# Sets everything up and checks everything: ruff, shellcheck where present, pytest.
# Usage: bash scripts/run_tests.sh [pytest arguments]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib/environment.sh"

use_environment requirements.txt requirements-dev.txt
cd "$PROJECT_DIR"

ruff check .
for script in scripts/*.sh scripts/lib/*.sh ascend310_infer/build.sh .ci/run; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh scripts/lib/*.sh ascend310_infer/build.sh .ci/run
else
  echo "shellcheck is not installed; its checks are left out"
fi
exec python -m pytest "$@"
