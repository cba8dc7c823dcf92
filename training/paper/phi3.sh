#!/usr/bin/env bash
# The paper's study of Phi-3 Mini, from text to table; see battery.sh for what can be set, docs/paper.md for what it costs.
# There is no published SAE of Phi-3 in SAELens' directory (`clampdown sae search phi`), so the SAE is trained.
set -euo pipefail
export NAME=phi3
export MODEL="${MODEL:-microsoft/Phi-3-mini-4k-instruct}"
export VALUE="${VALUE:-12}"
export TASK_ARMS="${TASK_ARMS:-refusal/none refusal/system-prompt refusal/clamp-1 refusal/clamp-at-10 refusal/sae-pass
  refusal/unrelated-latent second/clamp-1}"
export ATTACK_ARMS="${ATTACK_ARMS:-refusal/system-prompt refusal/clamp-1 refusal/clamp-at-10}"
exec "$(dirname "$0")/battery.sh"
