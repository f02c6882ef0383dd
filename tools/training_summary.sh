#!/usr/bin/env bash
# Prints a run's log.csv as a Markdown table: one row per so many images (default 100,000), means over the rows in between.
set -euo pipefail
log=${1:?usage: tools/training_summary.sh LOG.csv [IMAGES]}
awk -F, -v every="${2:-100000}" '
  function row() { printf "| %d | %.4f | %.3f | %.2f | %.2g | %.1f-%.1f |\n", images, loss / n, balance / n, norm / n, rate, 100 * low, 100 * high }
  BEGIN { print "| images | flow loss | balance | gradient norm | learning rate | expert load, % |"; print "|---|---|---|---|---|---|" }
  NR > 1 {
    span = int(($2 - 1) / every)
    if (n && span != last) { row(); loss = balance = norm = n = 0 }
    if (!n) { low = 1; high = 0 }
    last = span; images = $2; loss += $3; balance += $4; norm += $5; rate = $6; ++n
    for (i = 8; i <= NF; ++i) { if ($i < low) low = $i; if ($i > high) high = $i }
  }
  END { if (n) row() }' "$log"
